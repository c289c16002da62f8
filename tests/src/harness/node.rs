//! A server that may have several lives on one port and one directory.

use std::fs;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use super::failure::Verdict;
use super::process::{self, Running, Signal};
use super::servers::Plan;

const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A server, running or between two lives.
#[derive(Debug)]
pub struct Node {
    /// How it is started.
    pub plan: Plan,
    running: Option<Running>,
}

impl Node {
    /// One that was not started yet.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self { plan, running: None }
    }

    /// Starts it; it may take a while until it serves.
    ///
    /// # Errors
    /// If the program cannot be started.
    ///
    /// # Panics
    /// If it runs.
    pub fn start(&mut self) -> Verdict {
        assert!(self.running.is_none(), "one server on one port and store");
        let plan = &self.plan;
        self.running = Some(Running::start(&plan.name, &mut plan.command(), &plan.log())?);
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

    /// Stops it with SIGTERM.
    ///
    /// # Errors
    /// If it does not end; it is killed then.
    ///
    /// # Panics
    /// If it was not started.
    pub fn stop(&mut self) -> Verdict<ExitStatus> {
        self.running.take().expect("it was started").stop(STOP_LIMIT)
    }

    /// Tells it to stop and does not wait: [`Node::stop`] does.
    pub fn ask_to_stop(&mut self) {
        if let Some(running) = &mut self.running {
            running.signal(Signal::Terminate);
        }
    }

    /// Kills it with SIGKILL.
    ///
    /// # Panics
    /// If it was not started.
    pub fn kill(&mut self) {
        self.running.take().expect("it was started").kill();
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
    ///
    /// # Panics
    /// If it was not started.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running.as_ref().expect("it was started").pid()
    }

    /// Its log, all its lives.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.plan.log()).unwrap_or_default()
    }

    /// The end of its log, for a failure.
    #[must_use]
    pub fn tail(&self) -> String {
        format!("  end of the log of {}:\n{}", self.plan.name, process::tail(&self.plan.log()))
    }

    /// Where its files are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.plan.dir
    }
}
