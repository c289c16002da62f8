//! A machine with a server on it: a broker, or a NameServer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use ::tests::harness::failure::{Failure, Trying, Verdict};
use ::tests::harness::process::{Running, Signal};

use crate::net::Net;

/// Where clients reach a broker, and the other members.
pub const PORT: u16 = 10_911;
const RAFT_PORT: u16 = 40_911;
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
}

impl Node {
    /// Nothing runs yet. Its files are in `dir`, which is made.
    pub fn new(name: &str, machine: usize, program: PathBuf, dir: &Path) -> Verdict<Self> {
        let dir = dir.join(name);
        fs::create_dir_all(&dir).trying(dir.display().to_string())?;
        Ok(Self { name: name.to_owned(), machine, program, dir, running: None, paused: false })
    }

    /// Writes its configuration.
    pub fn configure(&self, text: &str) -> Verdict {
        let conf = self.conf();
        fs::write(&conf, text).trying(conf.display().to_string())
    }

    fn conf(&self) -> PathBuf {
        self.dir.join("server.conf")
    }

    /// Its store.
    pub fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    /// Everything that it has said, all its lives.
    pub fn log(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// Starts it, on what it has left.
    pub fn start(&mut self, net: &Net) -> Verdict {
        assert!(self.running.is_none(), "{} runs", self.name);
        let mut command = net.command(self.machine, &self.program);
        command.arg("-c").arg(self.conf()).current_dir(&self.dir);
        self.running = Some(Running::start(&self.name, &mut command, &self.log())?);
        Ok(())
    }

    /// Whether it was started and neither killed nor stopped since.
    pub fn should_run(&self) -> bool {
        self.running.is_some()
    }

    /// Its process.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(Running::pid)
    }

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

/// Label and address of a member, as `dLegerPeers` says them.
pub fn peer(net: &Net, node: &Node) -> String {
    format!("{}-{}:{RAFT_PORT}", node.name, net.address(node.machine))
}

/// The configuration of a broker that belongs to the group of `peers`.
pub fn broker_conf(net: &Net, node: &Node, namesrvs: &str, peers: &[String]) -> String {
    let address = net.address(node.machine);
    format!(
        "brokerClusterName=chaos\nbrokerName=broker-a\nlistenPort={PORT}\nbindAddress={address}\nbrokerIP1={address}\n\
         namesrvAddr={namesrvs}\nstorePathRootDir={}\nflushDiskType=SYNC_FLUSH\n\
         mappedFileSizeCommitLog=16MiB\nmaxMessageSize=1MiB\ntailBudget=4MiB\n\
         enableDLegerCommitLog=true\ndLegerGroup=g\ndLegerPeers={}\ndLegerSelfId={}\n\
         raftHeartbeatMillis=100\nraftElectionMinMillis=500\nraftElectionMaxMillis=1000\n",
        node.store().display(),
        peers.join(";"),
        node.name,
    )
}

/// The configuration of a NameServer.
pub fn namesrv_conf(net: &Net, node: &Node) -> String {
    format!("listenPort={NAMESRV_PORT}\nbindAddress={}\n", net.address(node.machine))
}
