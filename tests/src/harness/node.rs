//! A server on ports and a directory of this machine, as its plan says.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::failure::Verdict;
use super::server::Server;
use super::servers::Plan;

/// A server, running or between two lives.
#[derive(Debug)]
pub struct Node {
    /// How it is started.
    pub plan: Plan,
    server: Server,
}

impl Node {
    /// One that was not started yet.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let server = Server::new(&plan.name, plan.log());
        Self { plan, server }
    }

    /// As [`Server::start`].
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn start(&mut self) -> Verdict {
        self.server.start(&mut self.plan.command())
    }

    /// As [`Server::wait_until`].
    ///
    /// # Errors
    /// As there.
    pub fn wait_until(
        &mut self,
        what: &str,
        limit: Duration,
        done: impl FnMut() -> Verdict<bool>,
    ) -> Verdict {
        self.server.wait_until(what, limit, done)
    }

    /// As [`Server::stop`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// If it was not started.
    pub fn stop(&mut self) -> Verdict {
        assert!(self.is_started(), "{} was started", self.plan.name);
        self.server.stop(|status| self.plan.ends_well(status))
    }

    /// Looks whether a server that should run does.
    ///
    /// # Errors
    /// `Exit` if it has ended by itself.
    pub fn look(&mut self) -> Verdict {
        self.server.look()
    }

    /// Tells it to stop and does not wait: [`Node::stop`] does.
    pub fn ask_to_stop(&mut self) {
        self.server.ask_to_stop();
    }

    /// Kills it with SIGKILL.
    ///
    /// # Panics
    /// If it was not started.
    pub fn kill(&mut self) {
        assert!(self.is_started(), "{} was started", self.plan.name);
        self.server.kill();
    }

    /// Whether it was started, and neither stopped nor killed since.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.server.is_started()
    }

    /// Whether it runs.
    pub fn is_alive(&mut self) -> bool {
        self.server.is_alive()
    }

    /// Its process.
    ///
    /// # Panics
    /// If it was not started.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.pid().expect("it was started")
    }

    /// Its log, all its lives.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.server.log()).unwrap_or_default()
    }

    /// The end of its log, for a failure.
    #[must_use]
    pub fn tail(&self) -> String {
        self.server.tail()
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
        let end = std::time::Instant::now() + LIMIT;
        while node.is_alive() {
            assert!(std::time::Instant::now() < end, "{} does not end", node.plan.name);
            std::thread::sleep(Duration::from_millis(5));
        }
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
