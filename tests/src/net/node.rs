//! A machine with a server on it: a broker, or a NameServer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use crate::harness::cores;
use crate::harness::failure::{Failure, Trying, Verdict};
use crate::harness::process::{self, Running, Signal};

use super::Net;

/// Where clients reach a broker, and the other members.
pub const PORT: u16 = 10_911;
/// Where the other members reach it.
pub const RAFT_PORT: u16 = 40_911;
/// Where a NameServer is.
pub const NAMESRV_PORT: u16 = 9876;
/// A stop in good order hands leadership over first.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// A server, and the files that it leaves.
#[derive(Debug)]
pub struct Node {
    /// What it is called, and its namespace too.
    pub name: String,
    /// Its number in the network.
    pub machine: usize,
    program: PathBuf,
    dir: PathBuf,
    running: Option<Running>,
    paused: bool,
    /// The cores that it may use; none: all.
    cores: Vec<usize>,
}

impl Node {
    /// Nothing runs yet. Its files are in `dir`, which is made.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn new(name: &str, machine: usize, program: PathBuf, dir: &Path) -> Verdict<Self> {
        let dir = dir.join(name);
        fs::create_dir_all(&dir).trying(dir.display().to_string())?;
        Ok(Self {
            name: name.to_owned(),
            machine,
            program,
            dir,
            running: None,
            paused: false,
            cores: Vec::new(),
        })
    }

    /// The same on the cores of the member with this number.
    #[must_use]
    pub fn on_cores_of(self, number: usize) -> Self {
        Self { cores: cores::share(&cores::allowed(), number, 1), ..self }
    }

    /// Writes its configuration.
    ///
    /// # Errors
    /// The system refuses.
    pub fn configure(&self, text: &str) -> Verdict {
        let conf = self.conf();
        fs::write(&conf, text).trying(conf.display().to_string())
    }

    /// The end of what it has said, for a failure.
    #[must_use]
    pub fn tail(&self) -> String {
        format!("  end of the log of {}:\n{}", self.name, process::tail(&self.log()))
    }

    fn conf(&self) -> PathBuf {
        self.dir.join("server.conf")
    }

    /// Its store.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    /// Everything that it has said, all its lives.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// Starts it, on what it has left.
    ///
    /// # Errors
    /// The program cannot be started.
    ///
    /// # Panics
    /// If it runs.
    pub fn start(&mut self, net: &Net) -> Verdict {
        assert!(self.running.is_none(), "{} runs", self.name);
        let on_cores = cores::command(&self.cores, self.program.as_os_str());
        let mut command = net.command(self.machine, Path::new(on_cores.get_program()));
        command.args(on_cores.get_args());
        command.arg("-c").arg(self.conf()).current_dir(&self.dir);
        self.running = Some(Running::start(&self.name, &mut command, &self.log())?);
        Ok(())
    }

    /// Whether it was started and neither killed nor stopped since.
    pub fn should_run(&self) -> bool {
        self.running.is_some()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(Running::pid)
    }

    /// Looks whether it runs, if it should.
    ///
    /// # Errors
    /// It has ended by itself.
    pub fn look(&mut self) -> Verdict {
        let Some(running) = &mut self.running else { return Ok(()) };
        match running.ended() {
            None => Ok(()),
            Some(status) => {
                let (program, output) = (format!("{} by itself", self.name), running.tail());
                Err(Failure::Exit { program, status, output })
            }
        }
    }

    /// SIGKILL. Nothing if it does not run.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill();
        }
        self.paused = false;
    }

    /// SIGTERM, and waits. Nothing if it does not run.
    ///
    /// # Errors
    /// It does not end, or not in good order.
    pub fn stop(&mut self) -> Verdict {
        self.go_on();
        let Some(mut running) = self.running.take() else { return Ok(()) };
        let status: ExitStatus = running.stop(STOP_LIMIT)?;
        if status.success() {
            return Ok(());
        }
        let (program, output) = (format!("{} told to stop", self.name), running.tail());
        Err(Failure::Exit { program, status, output })
    }

    /// SIGSTOP.
    pub fn pause(&mut self) {
        if let Some(running) = &mut self.running {
            running.signal(Signal::Stop);
            self.paused = true;
        }
    }

    /// SIGCONT, if it is paused.
    pub fn go_on(&mut self) {
        if let Some(running) = self.running.as_mut().filter(|_| self.paused) {
            running.signal(Signal::Continue);
        }
        self.paused = false;
    }

    /// It begins with an empty store the next time.
    ///
    /// # Errors
    /// The store cannot be removed.
    ///
    /// # Panics
    /// If it runs.
    pub fn wipe(&mut self) -> Verdict {
        assert!(self.running.is_none(), "{} runs", self.name);
        match fs::remove_dir_all(self.store()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).trying(self.store().display().to_string())
            }
            _ => Ok(()),
        }
    }
}
