//! Messages while faults are made, each of which is looked for in the end.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use ::tests::harness::failure::{Failure, Verdict};
use ::tests::harness::process::{self, Running, Signal};
use serde_json::Value;

use ::tests::net::Net;

const TOPIC: &str = "chaos";
/// A message that is not answered by then counts as not acknowledged, and may be there all the same.
const TIMEOUT: &str = "3s";
/// Reading everything back after the longest run.
const AUDIT_LIMIT: Duration = Duration::from_secs(240);
/// The load goes on for so long when all is well in the end.
pub const CALM: Duration = Duration::from_secs(5);
/// One of so many messages is acknowledged at least. More than half are, where faults follow each other without a rest.
const LEAST_SHARE: u64 = 10;
/// One send, and everything around it.
const SEND_LIMIT: Duration = Duration::from_secs(30);

/// A program that sends.
#[derive(Debug)]
pub struct Load {
    running: Running,
    report: PathBuf,
}

/// Where `mqbench` is, and what it talks to.
#[derive(Debug)]
pub struct Sender {
    pub program: PathBuf,
    pub machine: usize,
    pub namesrvs: String,
    pub dir: PathBuf,
}

impl Sender {
    /// Sends `rate` messages a second from now on, whatever becomes of them.
    ///
    /// `mqbench failover` sends so, and looks for everything in the end. The faults are made here, so it waits for a rest that is longer
    /// than any run before it would make its own.
    pub fn start(&self, net: &Net, rate: u32) -> Verdict<Load> {
        let (report, log) = (self.dir.join("load.json"), self.dir.join("load.log"));
        let mut command = net.command(self.machine, &self.program);
        command.args(["failover", "--json", "-t", TOPIC, "-n", &self.namesrvs]);
        command.args(["--rate", &rate.to_string(), "--timeout", TIMEOUT, "--connections", "4"]);
        command.args(["--fault", "true", "--times", "1", "--settle", "48h", "--wait", "72h"]);
        let (running, input) = Running::start_talking("mqbench", &mut command, &report, &log)?;
        drop(input);
        Ok(Load { running, report })
    }

    /// Sends one message after the other until one is acknowledged; how long that took.
    ///
    /// # Errors
    /// None is within `limit`.
    pub fn until_acknowledged(&self, net: &Net, limit: Duration) -> Verdict<Duration> {
        let begin = Instant::now();
        loop {
            let mut command = net.command(self.machine, &self.program);
            command.args(["produce", "-t", "chaos-after", "-n", &self.namesrvs]);
            command.args(["--count", "1", "--blocking", "--audit"]);
            let seen = process::run("after", &mut command, &self.dir, SEND_LIMIT)?;
            let took = begin.elapsed();
            if seen.status.success() && took <= limit {
                return Ok(took);
            }
            if took > limit {
                let (out, err) = (seen.out, seen.err);
                let text = format!("no message is acknowledged within {limit:?}:\n{out}{err}");
                return Err(Failure::Wrong(text));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Load {
    /// # Errors
    /// It has ended by itself.
    pub fn look(&mut self) -> Verdict {
        match self.running.ended() {
            None => Ok(()),
            Some(status) => Err(self.ended(status)),
        }
    }

    fn ended(&self, status: ExitStatus) -> Failure {
        let report = process::tail(&self.report);
        let (program, output) = ("mqbench".to_owned(), self.running.tail() + &report);
        Failure::Exit { program, status, output }
    }

    /// Sends no more and reads everything back; what came of it in one line.
    ///
    /// # Errors
    /// A promise was broken, or it could not be found out.
    pub fn audit(mut self) -> Verdict<String> {
        self.running.signal(Signal::Interrupt);
        let status = self.running.wait(AUDIT_LIMIT)?;
        if !status.success() {
            return Err(self.ended(status));
        }
        read(&self.report).ok_or_else(|| {
            Failure::Wrong(format!("{}: it has no audit in it", self.report.display()))
        })?
    }
}

/// The audit in a report; `None` if it has none.
fn read(report: &Path) -> Option<Verdict<String>> {
    judge(&std::fs::read_to_string(report).ok()?)
}

/// What an audit says. Clean is one that has looked for what was acknowledged, found each where it should be, and nothing that nobody has
/// sent; and what it looked for are messages of the whole run, and not of its beginning only.
fn judge(report: &str) -> Option<Verdict<String>> {
    let report: Value = serde_json::from_str(report).ok()?;
    let audit = report["audit"].as_object()?;
    let count = |name: &str| audit.get(name).and_then(Value::as_u64);
    let (looked_for, unacknowledged) = (count("looked_for")?, count("unacknowledged")?);
    let broken: Vec<String> =
        ["lost", "twice", "misplaced", "altered", "unreadable", "foreign", "beyond"]
            .iter()
            .filter(|name| count(name) != Some(0))
            .map(|name| format!("{name} {:?}", audit.get(*name)))
            .collect();
    let promises = report["broken"].as_object()?;
    let broken_promises = promises
        .iter()
        .filter(|(_, count)| count.as_u64() != Some(0))
        .map(|(name, count)| format!("{name} {count}"));
    let mut broken: Vec<String> = broken.into_iter().chain(broken_promises).collect();
    let sent = report["sent"].as_u64()?;
    let text = format!(
        "{sent} messages sent, {looked_for} acknowledged and all there where their acknowledgement says, {unacknowledged} there without one"
    );
    let served = served_in_the_end(&report["timeline"])?;
    if looked_for * LEAST_SHARE < sent {
        broken.push(format!("less than one in {LEAST_SHARE} was acknowledged"));
    }
    if served == 0 {
        broken.push(
            "none was acknowledged of those that were sent when all was well in the end".to_owned(),
        );
    }
    Some(match broken.is_empty() {
        true => Ok(text),
        false => Err(Failure::Wrong(format!("the audit: {}; {text}", broken.join(", ")))),
    })
}

/// How many were acknowledged of those that were due in the last [`CALM`].
fn served_in_the_end(timeline: &Value) -> Option<u64> {
    let step = timeline["step_s"].as_f64().filter(|step| *step > 0.0)?;
    let mut served = 0;
    for group in timeline["groups"].as_array()? {
        let acked = group["acked"].as_array()?;
        // The last step has only begun. Long runs have steps of more than a second.
        let steps = acked.iter().rev().zip(0_u32..);
        let last = steps.take_while(|(_, behind)| f64::from(*behind) * step <= CALM.as_secs_f64());
        served += last.filter_map(|(count, _)| count.as_u64()).sum::<u64>();
    }
    Some(served)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(looked_for: u64, lost: u64, foreign: u64, rising: u64) -> String {
        report_of(70, looked_for, [lost, foreign, rising], "[0,1,0]")
    }

    fn report_of(sent: u64, looked_for: u64, bad: [u64; 3], acked: &str) -> String {
        let [lost, foreign, rising] = bad;
        format!(
            r#"{{"sent":{sent},"timeline":{{"step_s":2.5,"groups":[{{"acked":{acked}}}]}},"broken":{{"offsets_not_rising":{rising}}},"audit":{{"looked_for":{looked_for},"lost":{lost},"twice":0,"misplaced":0,"altered":0,"unreadable":0,"foreign":{foreign},"beyond":0,"unacknowledged":2}}}}"#
        )
    }

    #[test]
    fn only_an_audit_without_any_finding_is_clean() {
        assert!(matches!(judge(&report(7, 0, 0, 0)), Some(Ok(_))));
        for bad in [report(0, 0, 0, 0), report(7, 1, 0, 0), report(7, 0, 1, 0), report(7, 0, 0, 1)]
        {
            assert!(matches!(judge(&bad), Some(Err(_))), "{bad}");
        }
        let served = |acked: &str| judge(&report_of(70, 7, [0; 3], acked)).expect("an audit");
        // Of three steps of 2.5 s those count that have begun in the last five seconds.
        assert!(served("[0,0,9,1,0,0]").is_ok() && served("[9,9,9,0,0,0]").is_err());
        let few = judge(&report_of(71, 7, [0; 3], "[7,7]")).expect("an audit");
        assert!(few.unwrap_err().to_string().contains("less than one in 10"));
        for none in ["", "{}", r#"{"audit":null,"broken":{},"sent":1}"#] {
            assert!(judge(none).is_none(), "{none}");
        }
    }
}
