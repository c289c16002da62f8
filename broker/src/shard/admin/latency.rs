//! How long things took: percentiles of the last minute or two, and how they were spread since the start.

use std::cell::{Cell, RefCell};
use std::time::Duration;

/// Buckets below one power of two, so that a percentile is right to an eighth.
const STEPS: usize = 8;
/// Powers of two of microseconds: the last one begins at 2^31 µs, more than half an hour.
const POWERS: usize = 32;
const BUCKETS: usize = STEPS * POWERS;

/// The spread that RocketMQ's tools print: upper bounds in milliseconds with their names; the last is open.
const SPREAD: [(u64, &str); 12] = [
    (0, "[<=0ms]"),
    (10, "[0~10ms]"),
    (50, "[10~50ms]"),
    (100, "[50~100ms]"),
    (200, "[100~200ms]"),
    (500, "[200~500ms]"),
    (1_000, "[500ms~1s]"),
    (2_000, "[1~2s]"),
    (3_000, "[2~3s]"),
    (4_000, "[3~4s]"),
    (5_000, "[4~5s]"),
    (10_000, "[5~10s]"),
];
const SPREAD_REST: &str = "[10s~]";

/// Durations of one kind. Noting one is a few additions.
#[derive(Debug)]
pub struct Latency {
    minutes: RefCell<[Vec<u32>; 2]>,
    spread: [Cell<u64>; SPREAD.len() + 1],
    max: Cell<Duration>,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            minutes: RefCell::new([vec![0; BUCKETS], vec![0; BUCKETS]]),
            spread: Default::default(),
            max: Cell::default(),
        }
    }
}

impl Latency {
    /// Notes one.
    pub fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let count = &mut self.minutes.borrow_mut()[0][bucket(micros)];
        *count = count.saturating_add(1);
        let millis = micros / 1000;
        let at = SPREAD.iter().position(|(up_to, _)| millis <= *up_to);
        let spread = &self.spread[at.unwrap_or(SPREAD.len())];
        spread.set(spread.get() + 1);
        self.max.set(self.max.get().max(took));
    }

    /// A minute is over: the one before the last is forgotten.
    pub fn next_minute(&self) {
        let mut minutes = self.minutes.borrow_mut();
        minutes.swap(0, 1);
        minutes[0].fill(0);
    }

    /// The duration that `share` (0 to 1) of the last one to two minutes did not exceed; zero if there
    /// were none.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        assert!((0.0..=1.0).contains(&share));
        let minutes = self.minutes.borrow();
        let count = |at: usize| u64::from(minutes[0][at]) + u64::from(minutes[1][at]);
        let total: u64 = (0..BUCKETS).map(count).sum();
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate to an eighth"
        )]
        let rank = ((total as f64 * share).ceil() as u64).clamp(1, total.max(1));
        let mut seen = 0;
        for at in 0..BUCKETS {
            seen += count(at);
            if seen >= rank {
                return Duration::from_micros(upper(at));
            }
        }
        Duration::ZERO
    }

    /// The longest since the start.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max.get()
    }

    /// How many there were since the start.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.spread.iter().map(Cell::get).sum()
    }

    /// The spread since the start, as tools print it.
    #[must_use]
    pub fn spread(&self) -> String {
        let names = SPREAD.iter().map(|(_, name)| *name).chain([SPREAD_REST]);
        let parts = names.zip(&self.spread).map(|(name, count)| format!("{name}:{} ", count.get()));
        parts.collect()
    }
}

fn bucket(micros: u64) -> usize {
    let floor = STEPS as u64;
    if micros < floor {
        return usize::try_from(micros).expect("below eight");
    }
    let power = micros.ilog2();
    let step = (micros >> (power - 3)) & (floor - 1);
    let at = (power as usize - 2) * STEPS + usize::try_from(step).expect("below eight");
    at.min(BUCKETS - 1)
}

/// The largest number of microseconds in a bucket.
fn upper(bucket: usize) -> u64 {
    if bucket < STEPS {
        return bucket as u64;
    }
    let power = bucket / STEPS + 2;
    let step = (bucket % STEPS) as u64;
    ((STEPS as u64 + step + 1) << (power - 3)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_ends_where_the_next_begins() {
        for at in 0..BUCKETS - 1 {
            assert_eq!(bucket(upper(at)), at);
            assert_eq!(bucket(upper(at) + 1), at + 1);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_forget_after_two_minutes() {
        let latency = Latency::default();
        assert_eq!(latency.percentile(0.99), Duration::ZERO);
        for millis in 1..=100 {
            latency.note(Duration::from_millis(millis));
        }
        let median = latency.percentile(0.5).as_micros();
        assert!((50_000..=56_250).contains(&median), "{median}");
        assert!(latency.percentile(1.0) >= Duration::from_millis(100));
        latency.next_minute();
        assert!(latency.percentile(0.99) >= Duration::from_millis(99));
        latency.next_minute();
        assert_eq!(latency.percentile(0.99), Duration::ZERO);
        assert_eq!((latency.max(), latency.count()), (Duration::from_millis(100), 100));
    }

    #[test]
    fn the_spread_has_rocketmqs_bounds() {
        let latency = Latency::default();
        for micros in [0, 999, 1_000, 10_999, 11_000, 99_000_000] {
            latency.note(Duration::from_micros(micros));
        }
        let spread = latency.spread();
        assert!(spread.starts_with("[<=0ms]:2 [0~10ms]:2 [10~50ms]:1 [50~100ms]:0 "), "{spread}");
        assert!(spread.ends_with("[5~10s]:0 [10s~]:1 "), "{spread}");
    }
}
