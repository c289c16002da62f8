//! A stock Java client that sends and consumes through all faults, and what it must have counted in the end: the check `outage`
//! of the interop suites' driver.

use std::path::Path;
use std::time::Duration;

use ::tests::harness::drivers::Workshop;
use ::tests::harness::failure::{Failure, Trying, Verdict, expect};
use ::tests::harness::lab::{Client, Home};
use ::tests::harness::outage::{Counts, Outage};
use ::tests::harness::setup::workspace_root;
use ::tests::harness::tools::Tools;
use ::tests::net::Missing;

use crate::cluster::Cluster;

/// The newest.
pub const CLIENT: Client = Client::Java550;
/// Messages a second over all queues, each sent synchronously.
const RATE: u32 = 20;
/// Messages that it remembers: a long run has a lower rate.
const MESSAGES: u64 = 250_000;
/// Milliseconds between two looks for routes: with the default of 30 s it would sleep through most faults.
const POLL: &str = "poll=1000";
/// Seconds that the driver gives itself: longer than any run.
const DEADLINE: &str = "deadline=259200";
/// Queues of its topic, each with one message under way at a time.
const QUEUES: u64 = 4;
/// Attempts of one message that a fault may leave without an answer, and stored all the same: a fault lasts 10 s at most, and an
/// attempt 3 s.
const ATTEMPTS: u64 = 4;
/// Two pulls of a client: what came to a consumer that runs on, and comes again when a fault makes it take a queue anew.
const DELIVERED_AGAIN: u64 = 64;

/// The client, running.
pub struct Java {
    outage: Outage,
    /// Messages a second.
    pub rate: u32,
}

/// What it is built and run with.
pub fn workshop(bin: &Path) -> Workshop {
    let (root, bin) = (workspace_root(), bin.to_owned());
    Workshop { root, bin, prebuilt: true, tools: Tools::find() }
}

/// What this machine lacks for it.
pub fn missing() -> Option<Missing> {
    let names = Tools::find().missing(CLIENT.part().tools())?;
    Some(Missing::Program(format!("--java: {names}")))
}

impl Java {
    /// Starts it on the clients' machine. It consumes to the end, and sends until [`Java::end`].
    ///
    /// # Errors
    /// It does not come so far.
    pub fn start(shop: &Workshop, cluster: &Cluster, dir: &Path, time: Duration) -> Verdict<Self> {
        let (dir, rate) = (dir.join("java"), rate(time));
        std::fs::create_dir_all(&dir).trying(dir.display().to_string())?;
        let namesrv = cluster.addresses.clone();
        let inside = Some(cluster.net.namespace_of(cluster.sender.machine));
        let home = Home { dir, namesrv, brokers: Vec::new(), inside };
        let mut outage = Outage::start_from(shop, &home, CLIENT, "chaos", &[POLL, DEADLINE])?;
        outage.consume()?;
        outage.flow(rate)?;
        Ok(Self { outage, rate })
    }

    /// # Errors
    /// It has ended by itself.
    pub fn look(&mut self) -> Verdict {
        self.outage.look().map_err(of_the_client)
    }

    /// Waits until one more of its messages is acknowledged; how long that took.
    ///
    /// # Errors
    /// None is within `limit`.
    pub fn until_acknowledged(&mut self, limit: Duration) -> Verdict<Duration> {
        self.outage.until_acknowledged(limit).map_err(of_the_client)
    }

    /// Ends its sends, and waits until everything that was acknowledged has arrived; what it has counted.
    ///
    /// # Errors
    /// It does not come to an end.
    pub fn end(mut self) -> Verdict<Counts> {
        self.outage.still().map_err(of_the_client)?;
        self.outage.end().map_err(of_the_client)
    }
}

/// Says whose failure it is: there are other programs in a run.
fn of_the_client(failure: Failure) -> Failure {
    Failure::Wrong(format!("the Java client: {failure}"))
}

/// Messages a second for a run with faults for so long.
fn rate(time: Duration) -> u32 {
    let most = MESSAGES / time.as_secs().max(1);
    u32::try_from(most).unwrap_or(RATE).clamp(1, RATE)
}

/// Everything that was acknowledged is there, in the order of the sends; and no more came twice than so many faults explain.
///
/// # Errors
/// `Wrong` with all counts.
pub fn judge(counts: &Counts, faults: u32) -> Verdict {
    judge_all(counts, u64::from(faults)).map_err(of_the_client)
}

fn judge_all(counts: &Counts, faults: u64) -> Verdict {
    counts.nothing_is_lost()?;
    counts.order_is_kept()?;
    counts.nothing_is_stored_unsent()?;
    counts.stored_twice_at_most(faults * QUEUES * ATTEMPTS)?;
    counts.delivered_twice_at_most(faults * DELIVERED_AGAIN)?;
    // A message is given up after a minute without an answer.
    expect(counts.get("acknowledged") * 2 >= counts.get("sent"), || {
        format!("at least a half of all that was sent must be acknowledged: {counts}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: &str = "COUNTS sent=100 acknowledged=50 failed=50 lost=0 misplaced=0 strangers=0 unpromised=3 \
        stored_twice=32 stored_unsent=0 delivered_twice=128 disordered=0";

    fn judged(said: &str) -> Verdict {
        judge(&Counts::of(said).expect("they are counts"), 2)
    }

    #[test]
    fn what_two_faults_explain_is_clean_and_no_more() {
        assert!(judged(CLEAN).is_ok());
        for (good, bad) in [
            ("lost=0", "lost=1"),
            ("misplaced=0", "misplaced=1"),
            ("strangers=0", "strangers=1"),
            ("disordered=0", "disordered=1"),
            ("unsent=0", "unsent=1"),
            ("stored_twice=32", "stored_twice=33"),
            ("delivered_twice=128", "delivered_twice=129"),
            ("acknowledged=50", "acknowledged=49"),
        ] {
            assert!(CLEAN.contains(good), "{good}");
            let wrong = judged(&CLEAN.replace(good, bad)).expect_err(bad).to_string();
            assert!(wrong.starts_with("the Java client: ") && wrong.contains(bad), "{wrong}");
        }
    }

    #[test]
    fn a_long_run_has_a_rate_whose_messages_can_be_remembered() {
        let rate = |minutes: u64| rate(Duration::from_secs(minutes * 60));
        assert_eq!([rate(0), rate(1), rate(30), rate(1440)], [RATE, RATE, RATE, 2]);
        for minutes in 1..=1440 {
            assert!(u64::from(rate(minutes)) * minutes * 60 <= MESSAGES, "{minutes}");
        }
    }
}
