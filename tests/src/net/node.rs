//! A machine with a server on it: a broker, or a NameServer.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::cores;
use crate::harness::failure::{Trying, Verdict};
use crate::harness::server::Server;

use super::Net;

/// Where clients reach a broker, and the other members.
pub const PORT: u16 = 10_911;
/// Where the other members reach it.
pub const RAFT_PORT: u16 = 40_911;
/// Where a NameServer is.
pub const NAMESRV_PORT: u16 = 9876;

/// A server, and the files that it leaves.
#[derive(Debug)]
pub struct Node {
    /// What it is called, and its namespace too.
    pub name: String,
    /// Its number in the network.
    pub machine: usize,
    program: PathBuf,
    dir: PathBuf,
    server: Server,
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
            server: Server::new(name, dir.join("server.log")),
            dir,
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
        self.server.tail()
    }

    fn conf(&self) -> PathBuf {
        self.dir.join("server.conf")
    }

    /// Its store.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    /// Starts it, on what it has left.
    ///
    /// # Errors
    /// The program cannot be started.
    ///
    /// # Panics
    /// If it runs.
    pub fn start(&mut self, net: &Net) -> Verdict {
        let on_cores = cores::command(&self.cores, self.program.as_os_str());
        let mut command = net.command(self.machine, Path::new(on_cores.get_program()));
        command.args(on_cores.get_args());
        command.arg("-c").arg(self.conf()).current_dir(&self.dir);
        self.server.start(&mut command)
    }

    /// Whether it was started and neither killed nor stopped since.
    #[must_use]
    pub fn should_run(&self) -> bool {
        self.server.is_started()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.pid()
    }

    /// Looks whether it runs, if it should.
    ///
    /// # Errors
    /// It has ended by itself.
    pub fn look(&mut self) -> Verdict {
        self.server.look()
    }

    /// SIGKILL. Nothing if it does not run.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// SIGTERM, and waits. Nothing if it does not run.
    ///
    /// # Errors
    /// It does not end, not in good order, or has ended by itself before.
    pub fn stop(&mut self) -> Verdict {
        self.server.stop(|status| status.success())
    }

    /// SIGSTOP.
    pub fn pause(&mut self) {
        self.server.pause();
    }

    /// SIGCONT, if it is paused.
    pub fn go_on(&mut self) {
        self.server.go_on();
    }

    /// It begins with an empty store the next time.
    ///
    /// # Errors
    /// The store cannot be removed.
    ///
    /// # Panics
    /// If it runs.
    pub fn wipe(&mut self) -> Verdict {
        assert!(!self.should_run(), "{} runs", self.name);
        match fs::remove_dir_all(self.store()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).trying(self.store().display().to_string())
            }
            _ => Ok(()),
        }
    }
}
