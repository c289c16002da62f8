//! A server that may have several lives, one after the other.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use super::failure::{Failure, Verdict};
use super::process::{self, Running, Signal};

/// A stop in good order hands leadership over first.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// A server, running or between two lives. It knows whether its end is news.
#[derive(Debug)]
pub struct Server {
    /// What it is called.
    pub name: String,
    log: PathBuf,
    running: Option<Running>,
    /// Its end is no news from then on.
    is_asked_to_stop: bool,
    is_paused: bool,
}

impl Server {
    /// One that was not started yet. What it says goes to `log`, all its lives.
    #[must_use]
    pub fn new(name: &str, log: PathBuf) -> Self {
        let name = name.to_owned();
        Self { name, log, running: None, is_asked_to_stop: false, is_paused: false }
    }

    /// Starts it; it may take a while until it serves.
    ///
    /// # Errors
    /// If the program cannot be started.
    ///
    /// # Panics
    /// If it runs.
    pub fn start(&mut self, command: &mut Command) -> Verdict {
        assert!(self.running.is_none(), "{} runs: one server on one port and store", self.name);
        (self.is_asked_to_stop, self.is_paused) = (false, false);
        self.running = Some(Running::start(&self.name, command, &self.log)?);
        Ok(())
    }

    /// Waits until `done` says so.
    ///
    /// # Errors
    /// As [`Running::wait_until`].
    ///
    /// # Panics
    /// If it was not started.
    pub fn wait_until(
        &mut self,
        what: &str,
        limit: Duration,
        done: impl FnMut() -> Verdict<bool>,
    ) -> Verdict {
        self.running.as_mut().expect("it was started").wait_until(what, limit, done)
    }

    /// Stops it with SIGTERM, and waits. Nothing if it was not started, or was killed.
    ///
    /// # Errors
    /// `Deadline` if it does not end; it is killed then. `Exit` if it has ended before it was told to, or not as `ends_well` says.
    pub fn stop(&mut self, ends_well: impl FnOnce(ExitStatus) -> bool) -> Verdict {
        self.go_on();
        let looked = self.look();
        let Some(mut running) = self.running.take() else { return Ok(()) };
        looked?;
        // A broker that is told a second time ends at once, and not in good order.
        let status = match self.is_asked_to_stop {
            true => running.wait(STOP_LIMIT)?,
            false => running.stop(STOP_LIMIT)?,
        };
        if ends_well(status) {
            return Ok(());
        }
        Err(self.exit("told to stop", status, &running))
    }

    /// Looks whether it runs, if it should.
    ///
    /// # Errors
    /// `Exit` if it has ended by itself.
    pub fn look(&mut self) -> Verdict {
        let Some(running) = self.running.as_mut().filter(|_| !self.is_asked_to_stop) else {
            return Ok(());
        };
        let Some(status) = running.ended() else { return Ok(()) };
        let running = self.running.as_ref().expect("seen above");
        Err(self.exit("by itself", status, running))
    }

    fn exit(&self, when: &str, status: ExitStatus, running: &Running) -> Failure {
        let program = format!("{}, {when},", self.name);
        Failure::Exit { program, status, output: running.tail() }
    }

    /// Tells it to stop and does not wait: [`Server::stop`] does.
    pub fn ask_to_stop(&mut self) {
        if let Some(running) = &mut self.running {
            running.signal(Signal::Terminate);
            self.is_asked_to_stop = true;
        }
    }

    /// SIGKILL. Nothing if it does not run.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill();
        }
    }

    /// SIGSTOP.
    pub fn pause(&mut self) {
        if let Some(running) = &mut self.running {
            running.signal(Signal::Stop);
            self.is_paused = true;
        }
    }

    /// SIGCONT, if it is paused.
    pub fn go_on(&mut self) {
        if let Some(running) = self.running.as_mut().filter(|_| self.is_paused) {
            running.signal(Signal::Continue);
        }
        self.is_paused = false;
    }

    /// Whether it was started, and neither stopped nor killed since.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.running.is_some()
    }

    /// Whether it runs.
    pub fn is_alive(&mut self) -> bool {
        self.running.as_mut().is_some_and(|running| running.ended().is_none())
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(Running::pid)
    }

    /// Everything that it has said, all its lives.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The end of that, for a failure.
    #[must_use]
    pub fn tail(&self) -> String {
        format!("  end of the log of {}:\n{}", self.name, process::tail(&self.log))
    }
}
