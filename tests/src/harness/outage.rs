//! A stock client that sends and consumes while servers die, and what it counted: the driver's check `outage`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ChildStdin;
use std::time::Duration;

use super::drivers::Workshop;
use super::failure::{Failure, Trying, Verdict, expect};
use super::lab::{Client, Home, Lab};
use super::process::Running;

mod flow;

/// How long the driver gives itself, unless the options say otherwise; each wait below has its own limit.
const DEADLINE: &str = "deadline=900";
const START_LIMIT: Duration = Duration::from_secs(60);
/// Sends that meet dead brokers take their time: up to three seconds each by default.
const SEND_LIMIT: Duration = Duration::from_secs(400);
/// The driver waits for two minutes for what was acknowledged, and then says what is missing.
const END_LIMIT: Duration = Duration::from_secs(180);

/// The driver, running.
pub struct Outage {
    running: Running,
    input: Option<ChildStdin>,
    output: PathBuf,
    /// Lines of its output that belong to what is done already.
    read: usize,
}

/// What it counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    numbers: BTreeMap<String, u64>,
    /// Failed sends by their reason, a line each.
    pub failures: Vec<String>,
}

/// What a consumer got that was away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returned {
    /// What nobody of its group had got.
    pub new: u64,
    /// What somebody of its group had got before.
    pub again: u64,
}

impl Returned {
    fn of(line: &str) -> Option<Self> {
        let (new, again) = line.strip_prefix("RETURNED new=")?.split_once(" again=")?;
        Some(Self { new: new.parse().ok()?, again: again.parse().ok()? })
    }
}

impl Outage {
    /// Starts it and waits until its topic is there.
    ///
    /// # Errors
    /// If it does not come so far.
    pub fn start(
        lab: &Lab,
        home: &Home,
        client: Client,
        id: &str,
        options: &[&str],
    ) -> Verdict<Self> {
        Self::start_from(&lab.shop, home, client, id, options)
    }

    /// The same without a lab.
    ///
    /// # Errors
    /// If it does not come so far.
    pub fn start_from(
        shop: &Workshop,
        home: &Home,
        client: Client,
        id: &str,
        options: &[&str],
    ) -> Verdict<Self> {
        let name = format!("outage-{}-{id}", client.name());
        let output = home.dir.join(format!("{name}.out"));
        let log = home.dir.join(format!("{name}.err"));
        let mut command = shop.driver(home, client, "outage", id);
        command.arg(DEADLINE).args(options);
        let (running, input) = Running::start_talking(&name, &mut command, &output, &log)?;
        let mut outage = Self { running, input: Some(input), output, read: 0 };
        outage.wait_for("READY", START_LIMIT)?;
        Ok(outage)
    }

    /// Starts its consumer, which runs to the end.
    ///
    /// # Errors
    /// If it does not start.
    pub fn consume(&mut self) -> Verdict {
        self.tell("consume")?;
        self.wait_for("CONSUMING", START_LIMIT)
    }

    /// Has it send, and does something in the middle: when so many of all sends so far were answered.
    ///
    /// # Errors
    /// If it does not come to an end, and what is done reports.
    pub fn send_and(
        &mut self,
        how: &str,
        count: u32,
        at: u32,
        meanwhile: impl FnOnce() -> Verdict,
    ) -> Verdict {
        self.begin(how, count, at)?;
        meanwhile()?;
        self.sent()
    }

    /// Has it begin to send, and waits until so many of all sends so far were answered. [`Outage::sent`] waits for the end.
    ///
    /// # Errors
    /// If it does not come so far.
    pub fn begin(&mut self, how: &str, count: u32, at: u32) -> Verdict {
        self.tell(&format!("send {how} {count}"))?;
        self.wait_until_at(at)
    }

    fn wait_until_at(&mut self, at: u32) -> Verdict {
        let is_there = |line: &str| {
            let done = line.strip_prefix("AT ").and_then(|done| done.parse().ok());
            done.is_some_and(|done: u32| done >= at)
        };
        self.wait_for_line(&format!("AT {at}"), is_there, SEND_LIMIT).map(|_| ())
    }

    /// Waits for the end of what [`Outage::begin`] has begun.
    ///
    /// # Errors
    /// If it does not come.
    pub fn sent(&mut self) -> Verdict {
        self.wait_for("SENT", SEND_LIMIT)
    }

    /// Has it send, and waits until it has.
    ///
    /// # Errors
    /// If it does not come to an end.
    pub fn send(&mut self, how: &str, count: u32) -> Verdict {
        self.tell(&format!("send {how} {count}"))?;
        self.wait_for("SENT", SEND_LIMIT)
    }

    /// Has it send on until none of a hundred sends fails: it has found whoever leads now.
    ///
    /// # Errors
    /// If it does not come to that; [`Outage::end`] has what failed.
    pub fn recover(&mut self, how: &str) -> Verdict {
        self.tell(&format!("recover {how}"))?;
        self.wait_for("RECOVERED", SEND_LIMIT)
    }

    /// Starts a consumer of another group, beside the one that runs to the end.
    ///
    /// # Errors
    /// If it does not start.
    pub fn join(&mut self) -> Verdict {
        self.tell("join")?;
        self.wait_for("JOINED", START_LIMIT)
    }

    /// Stops the consumer that has joined, when it has got all that was acknowledged. Nobody of its group is there then.
    ///
    /// # Errors
    /// If it does not come so far.
    pub fn leave(&mut self) -> Verdict {
        self.tell("leave")?;
        self.wait_for("LEFT", END_LIMIT)
    }

    /// Starts a new one of its group, which runs to the end, and waits until it has got what was acknowledged meanwhile.
    ///
    /// # Errors
    /// If it does not come so far.
    pub fn come_back(&mut self) -> Verdict<Returned> {
        self.tell("return")?;
        let line =
            self.wait_for_line("RETURNED", |line| line.starts_with("RETURNED "), END_LIMIT)?;
        Returned::of(&line).ok_or_else(|| Failure::Wrong(format!("two numbers in {line:?}")))
    }

    /// Waits until all that these broker names acknowledged has arrived.
    ///
    /// # Errors
    /// If it does not.
    pub fn await_from(&mut self, brokers: &[&str]) -> Verdict {
        self.tell(&format!("await {}", brokers.join(" ")))?;
        self.wait_for("AWAITED", END_LIMIT)
    }

    /// Lets it wait for the rest, and returns what it counted.
    ///
    /// # Errors
    /// If it ends in another way.
    pub fn end(mut self) -> Verdict<Counts> {
        drop(self.input.take());
        let status = self.running.wait(END_LIMIT)?;
        let said = self.said();
        if !status.success() {
            let output = format!("{said}\n{}", self.running.tail());
            return Err(Failure::Exit { program: "outage".to_owned(), status, output });
        }
        Counts::of(&said).ok_or_else(|| Failure::Wrong(format!("no counts in:\n{said}")))
    }

    fn tell(&mut self, line: &str) -> Verdict {
        let input = self.input.as_mut().expect("it is kept until the end");
        writeln!(input, "{line}").trying("telling the driver what to do")?;
        input.flush().trying("telling the driver what to do")
    }

    fn wait_for(&mut self, word: &str, limit: Duration) -> Verdict {
        let is_it = |line: &str| line.split(' ').next() == Some(word);
        self.wait_for_line(word, is_it, limit).map(|_| ())
    }

    /// The next line that is wanted. What it has said before that is done with.
    fn wait_for_line(
        &mut self,
        what: &str,
        wanted: impl Fn(&str) -> bool,
        limit: Duration,
    ) -> Verdict<String> {
        let (output, mut read, mut line) = (self.output.clone(), self.read, None);
        let waited = self.running.wait_until(what, limit, || {
            let said = fs::read_to_string(&output).unwrap_or_default();
            // The last one may be there in part only.
            let whole = &said[..said.rfind('\n').map_or(0, |end| end + 1)];
            line = whole.lines().skip(read).position(&wanted).and_then(|at| {
                read += at + 1;
                whole.lines().nth(read - 1).map(str::to_owned)
            });
            Ok(line.is_some())
        });
        self.read = read;
        match waited {
            Ok(()) => Ok(line.expect("it is waited for")),
            Err(failure @ (Failure::Exit { .. } | Failure::Deadline { .. })) => {
                let said = last_lines(&self.said());
                Err(Failure::Wrong(format!("{failure}\n  it said:\n{said}")))
            }
            Err(failure) => Err(failure),
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

impl Counts {
    /// Reads the last lines of the driver; `None` if there are no counts in them.
    #[must_use]
    pub fn of(said: &str) -> Option<Self> {
        let counts = said.lines().find_map(|line| line.strip_prefix("COUNTS "))?;
        let numbers: Option<BTreeMap<String, u64>> = counts
            .split(' ')
            .map(|word| {
                let (key, number) = word.split_once('=')?;
                Some((key.to_owned(), number.parse().ok()?))
            })
            .collect();
        let failures =
            said.lines().filter_map(|line| line.strip_prefix("FAILED ")).map(str::to_owned);
        Some(Self { numbers: numbers?, failures: failures.collect() })
    }

    /// A number by its name.
    ///
    /// # Panics
    /// If the driver does not count that.
    #[must_use]
    pub fn get(&self, key: &str) -> u64 {
        *self.numbers.get(key).unwrap_or_else(|| panic!("the driver counts no {key}"))
    }

    /// Fails unless all that was acknowledged has arrived where its answer said, and nothing else came.
    ///
    /// # Errors
    /// `Wrong` with all counts.
    pub fn nothing_is_lost(&self) -> Verdict {
        for key in ["lost", "misplaced", "strangers"] {
            expect(self.get(key) == 0, || format!("{key} must be 0: {self}"))?;
        }
        expect(self.get("acknowledged") > 0, || format!("nothing was acknowledged: {self}"))
    }

    /// Fails if a message is stored more often than its client has tried to send it: somebody else has sent it again.
    ///
    /// # Errors
    /// `Wrong` with all counts.
    pub fn nothing_is_stored_unsent(&self) -> Verdict {
        expect(self.get("stored_unsent") == 0, || format!("stored_unsent must be 0: {self}"))
    }

    /// Fails if a queue has not kept the order of the sends. Only sends that wait for the one before have an order: stock
    /// clients hand asynchronous ones to as many threads as there are cores.
    ///
    /// # Errors
    /// `Wrong` with all counts.
    pub fn order_is_kept(&self) -> Verdict {
        expect(self.get("disordered") == 0, || format!("disordered must be 0: {self}"))
    }

    /// Fails if more messages were stored twice than were under way at a time.
    ///
    /// # Errors
    /// `Wrong` with all counts.
    pub fn stored_twice_at_most(&self, most: u64) -> Verdict {
        expect(self.get("stored_twice") <= most, || format!("at most {most} stored twice: {self}"))
    }

    /// Fails if the consumer that ran all the time got more messages from their one place again.
    ///
    /// # Errors
    /// `Wrong` with all counts.
    pub fn delivered_twice_at_most(&self, most: u64) -> Verdict {
        let what = || format!("at most {most} delivered twice: {self}");
        expect(self.get("delivered_twice") <= most, what)
    }

    /// Fails if more sends failed.
    ///
    /// # Errors
    /// `Wrong` with all counts.
    pub fn failed_at_most(&self, most: u64) -> Verdict {
        expect(self.get("failed") <= most, || format!("at most {most} sends may fail: {self}"))
    }

    /// Fails if the time between two acknowledgements was longer.
    ///
    /// # Errors
    /// `Wrong` with all counts.
    pub fn paused_at_most(&self, most: Duration) -> Verdict {
        let is_short = u128::from(self.get("longest_pause_ms")) <= most.as_millis();
        expect(is_short, || format!("a pause of at most {most:?}: {self}"))
    }

    /// Fails if one message took longer from its first attempt to its acknowledgement. That of `queue` goes on until it has one, so
    /// it is an outage of its queue, whatever is acknowledged by others meanwhile.
    ///
    /// # Errors
    /// `Wrong` with all counts.
    pub fn each_sent_within(&self, most: Duration) -> Verdict {
        let is_short = u128::from(self.get("longest_send_ms")) <= most.as_millis();
        expect(is_short, || format!("each message is acknowledged within {most:?}: {self}"))
    }

    /// All numbers by their names, and what failed, under `what`.
    #[must_use]
    pub fn json(&self, what: &str) -> serde_json::Value {
        let mut all = serde_json::json!({ "what": what });
        for (key, number) in &self.numbers {
            all[key] = (*number).into();
        }
        all["failures"] = self.failures.clone().into();
        all
    }

    /// Fails if a send failed.
    ///
    /// # Errors
    /// `Wrong` with all counts.
    pub fn none_failed(&self) -> Verdict {
        expect(self.get("failed") == 0, || format!("no send may fail: {self}"))
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.numbers.iter().map(|(key, number)| format!("{key}={number}"));
        write!(f, "{}", words.collect::<Vec<_>>().join(" "))?;
        self.failures.iter().try_for_each(|failure| write!(f, "; failed: {failure}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "READY\nAT 100\nSENT sent=2 acknowledged=1 failed=1\n\
        FAILED 1 x MQBrokerException code 14\nCOUNTS sent=2 acknowledged=1 failed=1 lost=0 misplaced=0 strangers=0 \
        stored_twice=3 stored_unsent=0 disordered=0 delivered_twice=2 longest_pause_ms=1500 longest_send_ms=700\nOK outage\n";

    #[test]
    fn counts_are_read_and_judged() {
        let counts = Counts::of(SAID).unwrap();
        assert_eq!((counts.get("sent"), counts.get("failed")), (2, 1));
        assert_eq!(counts.failures, ["1 x MQBrokerException code 14"]);
        assert!(counts.nothing_is_lost().is_ok());
        assert!(counts.none_failed().unwrap_err().to_string().contains("code 14"));
        assert!(counts.stored_twice_at_most(3).is_ok() && counts.stored_twice_at_most(2).is_err());
        assert!(counts.delivered_twice_at_most(2).is_ok());
        assert!(counts.delivered_twice_at_most(1).is_err());
        assert!(counts.failed_at_most(1).is_ok() && counts.failed_at_most(0).is_err());
        assert!(counts.paused_at_most(Duration::from_millis(1500)).is_ok());
        assert!(counts.paused_at_most(Duration::from_millis(1499)).is_err());
        assert!(counts.each_sent_within(Duration::from_millis(700)).is_ok());
        assert!(counts.each_sent_within(Duration::from_millis(699)).is_err());
        assert!(counts.order_is_kept().is_ok());
        let other = Counts::of(&SAID.replace("disordered=0", "disordered=1")).unwrap();
        assert!(other.order_is_kept().is_err() && other.nothing_is_lost().is_ok());
        assert!(counts.nothing_is_stored_unsent().is_ok());
        let other = Counts::of(&SAID.replace("unsent=0", "unsent=1")).unwrap();
        assert!(other.nothing_is_stored_unsent().is_err());
        let json = counts.json("a case");
        assert_eq!((json["what"].as_str(), json["lost"].as_u64()), (Some("a case"), Some(0)));
        assert_eq!(json["failures"][0], "1 x MQBrokerException code 14");
        for bad in ["lost=0", "misplaced=0", "strangers=0"] {
            let worse = SAID.replace(bad, &bad.replace('0', "1"));
            assert!(Counts::of(&worse).unwrap().nothing_is_lost().is_err(), "{bad}");
        }
        let nothing = SAID.replace("acknowledged=1", "acknowledged=0");
        assert!(Counts::of(&nothing).unwrap().nothing_is_lost().is_err());
    }

    #[test]
    fn what_a_consumer_got_that_was_away_is_read() {
        let wanted = Returned { new: 900, again: 3 };
        assert_eq!(Returned::of("RETURNED new=900 again=3"), Some(wanted));
        for bad in ["RETURNED new=900", "RETURNED new=x again=3", "LEFT"] {
            assert_eq!(Returned::of(bad), None, "{bad}");
        }
    }

    #[test]
    fn no_counts_are_made_up() {
        assert_eq!(Counts::of("READY\nOK outage\n"), None);
        assert_eq!(Counts::of("COUNTS sent=x\n"), None);
    }
}
