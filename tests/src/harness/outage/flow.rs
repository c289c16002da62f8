//! A client that sends at an even pace beside everything else, however long that goes on.

use std::time::{Duration, Instant};

use super::super::failure::{Failure, Verdict};
use super::{Outage, SEND_LIMIT, START_LIMIT};

impl Outage {
    /// Has it send so many messages a second over all queues, each again until it is acknowledged, until [`Outage::still`]. It
    /// does so by itself: this returns at once. The Java drivers know it.
    ///
    /// # Errors
    /// If it does not begin.
    pub fn flow(&mut self, rate: u32) -> Verdict {
        assert!(rate > 0, "a flow has messages");
        self.tell(&format!("flow {rate}"))?;
        self.wait_for("FLOWING", START_LIMIT)
    }

    /// Waits until a message is acknowledged that was not when this was called; how long that took.
    ///
    /// # Errors
    /// If none is in time.
    pub fn until_acknowledged(&mut self, limit: Duration) -> Verdict<Duration> {
        let begin = Instant::now();
        // What it has said until now is of what was before.
        self.read = self.said().lines().count();
        let is_it = |line: &str| line.starts_with("FLOWED ");
        self.wait_for_line("a message that is acknowledged (FLOWED)", is_it, limit)?;
        Ok(begin.elapsed())
    }

    /// Ends what [`Outage::flow`] has begun, and waits for the answers to what is under way.
    ///
    /// # Errors
    /// If they do not come.
    pub fn still(&mut self) -> Verdict {
        self.tell("still")?;
        self.wait_for("STILL", SEND_LIMIT)
    }

    /// Looks whether it runs.
    ///
    /// # Errors
    /// It has ended by itself.
    pub fn look(&mut self) -> Verdict {
        let Some(status) = self.running.ended() else { return Ok(()) };
        let output = super::last_lines(&self.said()) + "\n" + &self.running.tail();
        Err(Failure::Exit { program: "outage".to_owned(), status, output })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::super::super::process::Running;
    use super::*;

    /// Answers as the driver does; `more` has it acknowledge for ever.
    const SCRIPT: &str = "while read word rate; do case $word in \
        flow) echo FLOWED $rate; echo FLOWING;; \
        still) echo STILL;; \
        more) while sleep 0.1; do echo FLOWED 9; done;; esac; done";

    fn talking(dir: &std::path::Path) -> Outage {
        let (output, log) = (dir.join("out"), dir.join("err"));
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT]);
        let (running, input) =
            Running::start_talking("sh", &mut command, &output, &log).expect("there is a shell");
        Outage { running, input: Some(input), output, read: 0 }
    }

    #[test]
    fn only_what_is_acknowledged_after_the_question_counts_and_an_end_is_seen() {
        let dir = std::env::temp_dir().join(format!("flow-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let mut outage = talking(&dir);
        outage.flow(20).unwrap();
        let none = outage.until_acknowledged(Duration::from_millis(300)).unwrap_err().to_string();
        assert!(none.contains("acknowledged") && none.contains("FLOWED 20"), "{none}");
        outage.still().unwrap();
        outage.look().unwrap();
        outage.tell("more").unwrap();
        outage.until_acknowledged(Duration::from_secs(20)).unwrap();
        outage.running.kill();
        let ended = outage.look().unwrap_err().to_string();
        assert!(ended.contains("outage ended with") && ended.contains("FLOWED 9"), "{ended}");
        fs::remove_dir_all(dir).unwrap();
    }
}
