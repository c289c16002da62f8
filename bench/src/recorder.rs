//! What a run counts: latencies as histograms, messages, bytes, failures, broken promises.

use std::time::Duration;

use hdrhistogram::Histogram;
use runtime::Instant;
use serde::Serialize;

use crate::audit::Ledger;
use crate::failures::Failures;
use crate::limits::{LATENCY_MAX, UNSENT_GROUPS};
use crate::schedule::Schedule;

/// Latencies in nanoseconds, to three digits.
pub type Latencies = Histogram<u64>;

/// An empty histogram.
#[must_use]
pub fn latencies() -> Latencies {
    Histogram::new_with_bounds(1, nanos(LATENCY_MAX), 3).expect("constant bounds that fit")
}

/// Whole nanoseconds.
#[must_use]
pub fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What a broker promised and did not keep. Any of these above zero means that the broker under test is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// An acknowledged send got an offset that is not above one acknowledged in its queue before it was sent.
    pub offsets_not_rising: u64,
    /// An acknowledgement named another queue than the one asked for.
    pub wrong_queue: u64,
    /// Messages missing between two that were pulled.
    pub missing: u64,
    /// Messages that came again.
    pub duplicates: u64,
    /// Bodies that do not have their checksum.
    pub bad_checksum: u64,
    /// Bodies of another size than `--size`.
    pub wrong_size: u64,
    /// Answers that make no sense: a stored record or an answer that cannot be read.
    pub unreadable: u64,
    /// Acknowledged messages that an audit did not find.
    pub lost: u64,
    /// Messages sent once that an audit found again.
    pub twice: u64,
    /// Lanes with messages that an audit found elsewhere than acknowledged.
    pub misplaced: u64,
    /// Messages that an audit found with another body than the one sent.
    pub altered: u64,
}

impl Broken {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Broken {
            offsets_not_rising,
            wrong_queue,
            missing,
            duplicates,
            bad_checksum,
            wrong_size,
            unreadable,
            lost,
            twice,
            misplaced,
            altered,
        } = *self;
        let sends = offsets_not_rising + wrong_queue + lost + twice + misplaced + altered;
        let pulls = missing + duplicates + bad_checksum + wrong_size;
        sends + pulls + unreadable
    }

    fn merge(&mut self, other: &Broken) {
        self.offsets_not_rising += other.offsets_not_rising;
        self.wrong_queue += other.wrong_queue;
        self.missing += other.missing;
        self.duplicates += other.duplicates;
        self.bad_checksum += other.bad_checksum;
        self.wrong_size += other.wrong_size;
        self.unreadable += other.unreadable;
        self.lost += other.lost;
        self.twice += other.twice;
        self.misplaced += other.misplaced;
        self.altered += other.altered;
    }
}

/// Sums of a run, or of a part of it.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Measured latencies.
    pub latencies: Latencies,
    /// Messages sent, warm-up included.
    pub sent: u64,
    /// Messages acknowledged, or received; warm-up included.
    pub done: u64,
    /// Those that were done within the measured time.
    pub measured: u64,
    /// Bytes of their bodies.
    pub measured_bytes: u64,
    /// When the last message was done.
    pub last: Option<Instant>,
    /// The longest time within the measurement in which an executor had no message done, up to one that was.
    pub longest_gap: Duration,
    /// What was refused or lost.
    pub failures: Failures,
    /// What must not be.
    pub broken: Broken,
    /// How often a broker said that a consumer's position is gone (code 21), as retention makes it.
    pub moved: u64,
    /// Messages without an answer when the run ended.
    pub unanswered: u64,
    /// Messages of an open loop that were due and could not be sent, because too many were in flight.
    pub unsent: u64,
    /// How long after its time each message of an open loop was sent, while there was room for it: the generator's own
    /// lateness. `None` in a closed loop.
    pub lateness: Option<Box<Latencies>>,
    /// What an audit looks for, by lane.
    pub ledgers: Vec<Ledger>,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            latencies: latencies(),
            sent: 0,
            done: 0,
            measured: 0,
            measured_bytes: 0,
            last: None,
            longest_gap: Duration::ZERO,
            failures: Failures::default(),
            broken: Broken::default(),
            moved: 0,
            unanswered: 0,
            unsent: 0,
            lateness: None,
            ledgers: Vec::new(),
        }
    }
}

impl Tally {
    /// Adds another part of the same run.
    pub fn merge(&mut self, other: Tally) {
        self.latencies.add(&other.latencies).expect("all histograms have the same bounds");
        self.sent += other.sent;
        self.done += other.done;
        self.measured += other.measured;
        self.measured_bytes += other.measured_bytes;
        self.last = self.last.max(other.last);
        self.longest_gap = self.longest_gap.max(other.longest_gap);
        self.failures.merge(other.failures);
        self.broken.merge(&other.broken);
        self.moved += other.moved;
        self.unanswered += other.unanswered;
        self.unsent += other.unsent;
        if let Some(lateness) = other.lateness {
            self.lateness().add(&*lateness).expect("all histograms have the same bounds");
        }
        self.ledgers.extend(other.ledgers);
    }

    fn lateness(&mut self) -> &mut Latencies {
        self.lateness.get_or_insert_with(|| Box::new(latencies()))
    }
}

/// What happened since the last look, warm-up included: for the progress line.
#[derive(Clone, Debug)]
pub struct Window {
    /// Latencies.
    pub latencies: Latencies,
    /// Those of them that are measured.
    pub measured: Latencies,
    /// Messages done.
    pub done: u64,
    /// Failures, and broken promises.
    pub errors: u64,
    /// Whether it began in the warm-up.
    pub warm_up: bool,
}

/// Counts for all lanes of one executor.
#[derive(Debug, Default)]
pub struct Recorder {
    /// Everything, except measured latencies since the last look.
    pub tally: Tally,
    /// Measured latencies since the last look. A latency is put down once, here or in `warm`.
    fresh: Option<Latencies>,
    warm: Option<Latencies>,
    looked: (u64, u64),
    /// When the last look was.
    looked_at: Option<Instant>,
}

impl Recorder {
    /// A send was acknowledged: `bytes` of body, enqueued and acknowledged when. The latency counts if the send
    /// was enqueued in the measured time, the message if it was acknowledged then.
    pub fn acknowledged(
        &mut self,
        schedule: &Schedule,
        enqueued: Instant,
        at: Instant,
        bytes: u64,
    ) {
        let latency = nanos(at.saturating_since(enqueued));
        self.latency(schedule.is_measured(enqueued), latency);
        self.done(schedule, at, bytes);
    }

    /// A message was received: `bytes` of body, at `at`, and how old it was.
    pub fn received(&mut self, schedule: &Schedule, at: Instant, bytes: u64, age: Duration) {
        let measured = schedule.is_measured(at);
        self.latency(measured, nanos(age));
        self.done(schedule, at, bytes);
    }

    /// A message of an open loop was sent so long after its time although there was room for it.
    pub fn late(&mut self, schedule: &Schedule, at: Instant, late: Duration) {
        if schedule.is_measured(at) {
            self.tally.lateness().saturating_record(nanos(late));
        }
    }

    /// The run has ended at `end` with `count` messages due and not sent; `due` tells when each was. They waited at least
    /// until then, and leaving that out would flatter a broker that could not keep up.
    pub fn unsent(
        &mut self,
        schedule: &Schedule,
        end: Instant,
        count: u64,
        due: impl Fn(u64) -> Instant,
    ) {
        self.tally.unsent += count;
        let group = count.div_ceil(UNSENT_GROUPS).max(1);
        let mut first = 0;
        while first < count {
            let size = group.min(count - first);
            let since = due(first);
            let place = if schedule.is_measured(since) { &mut self.fresh } else { &mut self.warm };
            let waited = nanos(end.saturating_since(since));
            place.get_or_insert_with(latencies).saturating_record_n(waited, size);
            first += size;
        }
    }

    fn latency(&mut self, measured: bool, nanos: u64) {
        let place = if measured { &mut self.fresh } else { &mut self.warm };
        place.get_or_insert_with(latencies).saturating_record(nanos);
    }

    fn done(&mut self, schedule: &Schedule, at: Instant, bytes: u64) {
        self.tally.done += 1;
        let before = self.tally.last.replace(at);
        if schedule.is_measured(at) {
            self.tally.measured += 1;
            self.tally.measured_bytes += bytes;
            let from = schedule.measure_from();
            let gap = at.saturating_since(before.map_or(from, |before| before.max(from)));
            self.tally.longest_gap = self.tally.longest_gap.max(gap);
        }
    }

    /// What happened since the last call, or since the beginning; `now` is the time of this one.
    pub fn window(&mut self, schedule: &Schedule, now: Instant) -> Window {
        let since = self.looked_at.replace(now).unwrap_or_else(|| schedule.begin());
        let (latencies, measured) = self.settle();
        let errors = self.tally.failures.total() + self.tally.broken.total();
        let (done_before, errors_before) = self.looked;
        self.looked = (self.tally.done, errors);
        Window {
            latencies,
            measured,
            done: self.tally.done - done_before,
            errors: errors - errors_before,
            warm_up: since < schedule.measure_from(),
        }
    }

    /// Moves the latencies since the last look to the sums: all of them, warm-up included, and the measured ones.
    fn settle(&mut self) -> (Latencies, Latencies) {
        let (mut all, mut measured) = (latencies(), latencies());
        let same = "all histograms have the same bounds";
        if let Some(warm) = &mut self.warm {
            all.add(&*warm).expect(same);
            warm.reset();
        }
        if let Some(fresh) = &mut self.fresh {
            measured.add(&*fresh).expect(same);
            all.add(&*fresh).expect(same);
            self.tally.latencies.add(&*fresh).expect(same);
            fresh.reset();
        }
        (all, measured)
    }

    /// The sums, with everything in them.
    #[must_use]
    pub fn into_tally(mut self) -> Tally {
        self.settle();
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn the_warm_up_shows_in_windows_and_not_in_the_sums() {
        let begin = runtime::now();
        let schedule = Schedule::new(begin, 10 * SECOND, Some(10 * SECOND));
        let mut recorder = Recorder::default();
        let (early, late) = (begin + SECOND, begin + 15 * SECOND);
        recorder.acknowledged(&schedule, early, early + 500 * MILLI, 100);
        // Enqueued in the warm-up, acknowledged after it: a measured message without a measured latency.
        let edge = begin + 10 * SECOND - MILLI;
        recorder.acknowledged(&schedule, edge, edge + 2 * MILLI, 100);
        let window = recorder.window(&schedule, edge);
        assert_eq!((window.done, window.latencies.len(), window.errors), (2, 2, 0));
        assert!(window.warm_up && recorder.window(&schedule, late).warm_up);

        recorder.acknowledged(&schedule, late, late + 3 * MILLI, 100);
        // Enqueued in time, acknowledged in the drain: its latency must not get lost.
        let end = begin + 20 * SECOND;
        recorder.acknowledged(&schedule, end - MILLI, end + SECOND, 100);
        recorder.tally.failures.note(Some(2), "busy", 3);
        let window = recorder.window(&schedule, end);
        assert_eq!((window.done, window.latencies.len(), window.errors), (2, 2, 3));
        assert!(!window.warm_up);
        assert_eq!(recorder.window(&schedule, end).done, 0);

        let tally = recorder.into_tally();
        assert_eq!((tally.done, tally.measured, tally.measured_bytes), (4, 2, 200));
        assert_eq!(tally.latencies.len(), 2);
        let within = |value: u64, want: Duration| {
            let want = nanos(want);
            value.abs_diff(want) <= want / 500
        };
        assert!(within(tally.latencies.min(), 3 * MILLI), "{}", tally.latencies.min());
        assert!(within(tally.latencies.max(), SECOND + MILLI), "{}", tally.latencies.max());
        assert_eq!(tally.last, Some(end + SECOND));
    }

    #[test]
    fn the_longest_gap_is_within_the_measurement() {
        let begin = runtime::now();
        let schedule = Schedule::new(begin, 10 * SECOND, Some(10 * SECOND));
        let mut recorder = Recorder::default();
        let mut done = |seconds: u32| {
            let at = begin + seconds * SECOND;
            recorder.acknowledged(&schedule, at, at, 1);
            recorder.tally.longest_gap
        };
        assert_eq!((done(1), done(9)), (Duration::ZERO, Duration::ZERO), "that is the warm-up");
        assert_eq!((done(11), done(14), done(15)), (SECOND, 3 * SECOND, 3 * SECOND));
        assert_eq!(done(30), 3 * SECOND, "and that is after the end");
        let mut all = Tally::default();
        all.merge(recorder.into_tally());
        assert_eq!(all.longest_gap, 3 * SECOND);
    }

    #[test]
    fn messages_that_could_not_be_sent_count_with_the_time_that_they_waited() {
        let begin = runtime::now();
        let schedule = Schedule::new(begin, SECOND, Some(10 * SECOND));
        let end = begin + 11 * SECOND;
        let mut recorder = Recorder::default();
        // One due every millisecond of the last two seconds, and a thousand more in the warm-up.
        recorder
            .unsent(&schedule, end, 2000, |n| end - 2 * SECOND + MILLI * u32::try_from(n).unwrap());
        recorder.unsent(&schedule, end, 1000, |_| begin);
        let tally = recorder.into_tally();
        assert_eq!((tally.unsent, tally.latencies.len(), tally.done), (3000, 2000, 0));
        let median = tally.latencies.value_at_quantile(0.5);
        assert!(median.abs_diff(nanos(SECOND)) < nanos(5 * MILLI), "{median}");
        let mut recorder = Recorder::default();
        recorder.unsent(&schedule, end, 10 * UNSENT_GROUPS + 1, |_| end - SECOND);
        assert_eq!(recorder.into_tally().latencies.len(), 10 * UNSENT_GROUPS + 1);
    }

    #[test]
    fn parts_add_up() {
        let begin = runtime::now();
        let schedule = Schedule::new(begin, Duration::ZERO, None);
        let part = |age: Duration, at: Instant| {
            let mut recorder = Recorder::default();
            recorder.received(&schedule, at, 10, age);
            recorder.tally.broken.missing = 2;
            recorder.tally.sent = 1;
            recorder.into_tally()
        };
        let mut all = Tally::default();
        all.merge(part(MILLI, begin + SECOND));
        all.merge(part(10_000 * SECOND, begin));
        assert_eq!((all.done, all.sent, all.measured_bytes, all.broken.total()), (2, 2, 20, 4));
        assert_eq!(all.last, Some(begin + SECOND));
        assert!(
            all.latencies.max() >= nanos(LATENCY_MAX),
            "what is beyond the scale counts as its end"
        );
    }
}
