//! A server that may have several lives on one port and one directory.

use std::fs;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use super::failure::{Failure, Verdict};
use super::process::{self, Running, Signal};
use super::servers::Plan;

const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A server, running or between two lives.
#[derive(Debug)]
pub struct Node {
    /// How it is started.
    pub plan: Plan,
    running: Option<Running>,
    /// Its end is no news from then on.
    is_asked_to_stop: bool,
}

impl Node {
    /// One that was not started yet.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self { plan, running: None, is_asked_to_stop: false }
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
        self.is_asked_to_stop = false;
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
    /// `Deadline` if it does not end; it is killed then. `Exit` if it does not end in good order, or has ended before it
    /// was told to.
    ///
    /// # Panics
    /// If it was not started.
    pub fn stop(&mut self) -> Verdict {
        let looked = self.look();
        let mut running = self.running.take().expect("it was started");
        looked?;
        // A broker that is told a second time ends at once, and not in good order.
        let status = match self.is_asked_to_stop {
            true => running.wait(STOP_LIMIT)?,
            false => running.stop(STOP_LIMIT)?,
        };
        if self.plan.ends_well(status) {
            return Ok(());
        }
        Err(self.exit("told to stop", status, &running))
    }

    /// Looks whether a server that should run does.
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
        let program = format!("{}, {when},", self.plan.name);
        Failure::Exit { program, status, output: running.tail() }
    }

    /// Tells it to stop and does not wait: [`Node::stop`] does.
    pub fn ask_to_stop(&mut self) {
        if let Some(running) = &mut self.running {
            running.signal(Signal::Terminate);
            self.is_asked_to_stop = true;
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

#[cfg(test)]
mod tests {
    use super::super::servers::Maker;
    use super::*;

    /// For what takes no time where nothing is wrong.
    const LIMIT: Duration = Duration::from_secs(20);

    fn started(name: &str, maker: Maker, script: &str) -> Node {
        let dir = std::env::temp_dir().join(format!("node-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let mut node = Node::new(Plan::script(maker, &dir, script));
        node.start().unwrap();
        node
    }

    /// Waits for what the script does first.
    fn until_it_said_ready(node: &mut Node) {
        let log = node.plan.log();
        let said = || Ok(fs::read_to_string(&log).is_ok_and(|text| text.contains("ready")));
        node.wait_until("ready", LIMIT, said).unwrap();
    }

    fn until_it_ended(node: &mut Node) {
        node.running.as_mut().expect("it was started").wait(LIMIT).unwrap();
    }

    #[test]
    fn a_server_that_ended_by_itself_is_seen_even_if_it_is_told_to_stop_later() {
        let mut node = started("died", Maker::Ours, "echo assertion; exit 134");
        until_it_ended(&mut node);
        for failure in [node.look().unwrap_err(), node.stop().unwrap_err()] {
            let text = failure.to_string();
            assert!(text.contains("by itself") && text.contains("134"), "{text}");
            assert!(text.contains("assertion"), "{text}");
        }
        assert!(node.look().is_ok(), "nothing is wrong with what was stopped");
        fs::remove_dir_all(node.dir()).unwrap();
    }

    #[test]
    fn what_ends_because_it_was_asked_to_has_not_ended_by_itself() {
        let script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done";
        let mut node = started("asked", Maker::Ours, script);
        until_it_said_ready(&mut node);
        node.ask_to_stop();
        until_it_ended(&mut node);
        assert!(node.look().is_ok() && node.stop().is_ok());
        fs::remove_dir_all(node.dir()).unwrap();
    }

    #[test]
    fn what_was_asked_to_stop_is_not_told_a_second_time() {
        let script = "trap '[ -z \"$asked\" ] || exit 143; asked=1' TERM; echo ready
            while [ -z \"$asked\" ]; do sleep 0.01; done
            for time in 1 2 3 4 5 6 7 8 9; do sleep 0.05; done";
        let mut node = started("twice", Maker::Ours, script);
        until_it_said_ready(&mut node);
        node.ask_to_stop();
        node.stop().unwrap();
        fs::remove_dir_all(node.dir()).unwrap();
    }

    #[test]
    fn a_stop_in_bad_order_is_a_failure_and_a_jvm_has_its_own_number_for_a_good_one() {
        let script = "trap 'exit 143' TERM; echo ready; while :; do sleep 0.01; done";
        for (maker, is_good) in [(Maker::Ours, false), (Maker::Apache, true)] {
            let mut node = started(&format!("{maker:?}"), maker, script);
            until_it_said_ready(&mut node);
            assert!(node.look().is_ok());
            assert_eq!(node.stop().is_ok(), is_good, "{maker:?}");
            fs::remove_dir_all(node.dir()).unwrap();
        }
    }
}
