//! Latencies, and what becomes of them.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Nanoseconds beyond which a latency is counted as this: a disk that slow is no disk.
const LATENCY_MAX: u64 = 600_000_000_000;

/// Writes below which a median is much of chance. Of one disk, the medians of two samples of 100 writes were 0.88 to 1.14 times
/// each other in 95 of 100 pairs; of 20 writes, 0.72 to 1.35 times.
pub const LEAST_FOR_P50: u64 = 100;
/// The same for a 99th percentile, of which ten writes should lie beyond. With 1,000 writes two samples were 0.6 to 1.7 times
/// each other, with 100 writes 0.2 to 4.2 times.
pub const LEAST_FOR_P99: u64 = 1000;

/// Latencies of writes while they are measured.
pub struct Tally {
    latencies: Histogram<u64>,
    bytes: u64,
    time: Duration,
}

impl Tally {
    /// Nothing yet.
    pub fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1, LATENCY_MAX, 3);
        let latencies = latencies.expect("the bounds are in order and the precision is possible");
        Self { latencies, bytes: 0, time: Duration::ZERO }
    }

    /// A write of `bytes` bytes that became durable after `latency`.
    pub fn record(&mut self, latency: Duration, bytes: usize) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(LATENCY_MAX);
        self.latencies.saturating_record(nanos);
        self.bytes += bytes as u64;
    }

    /// Another stretch of time in which it was measured.
    pub fn spent(&mut self, time: Duration) {
        self.time += time;
    }

    /// What came of it; `None` if nothing was recorded.
    pub fn stats(&self) -> Option<Stats> {
        if self.latencies.is_empty() {
            return None;
        }
        let micros = |quantile| self.latencies.value_at_quantile(quantile) as f64 / 1000.0;
        Some(Stats {
            writes: self.latencies.len(),
            p50: micros(0.5),
            p99: micros(0.99),
            p999: micros(0.999),
            max: self.latencies.max() as f64 / 1000.0,
            bytes_a_second: self.bytes as f64 / self.time.as_secs_f64().max(1e-9),
        })
    }
}

/// Latencies of durable writes in microseconds, and their rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    /// Number of writes.
    pub writes: u64,
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile; the largest where there were fewer than 1,000 writes.
    pub p999: f64,
    /// The largest.
    pub max: f64,
    /// Bytes made durable in a second.
    pub bytes_a_second: f64,
}

/// The fewest writes that a figure rests on, if they are too few for what is read from it.
#[must_use]
pub fn too_few(of: impl IntoIterator<Item = Stats>, least: u64) -> Option<u64> {
    of.into_iter().map(|stats| stats.writes).min().filter(|writes| *writes < least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_counted_in_microseconds() {
        let mut tally = Tally::new();
        assert_eq!(tally.stats(), None);
        for micros in 1..=1000 {
            tally.record(Duration::from_micros(micros), 4096);
        }
        tally.spent(Duration::from_secs(1));
        tally.spent(Duration::from_secs(1));
        let stats = tally.stats().unwrap();
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < 0.002;
        assert!(near(stats.p50, 500.0) && near(stats.p99, 990.0), "{stats:?}");
        assert!(near(stats.p999, 999.0) && near(stats.max, 1000.0), "{stats:?}");
        assert_eq!((stats.writes, stats.bytes_a_second), (1000, 2_048_000.0));
    }

    #[test]
    fn the_fewest_writes_count() {
        let of =
            |writes| Stats { writes, p50: 1.0, p99: 1.0, p999: 1.0, max: 1.0, bytes_a_second: 1.0 };
        assert_eq!(too_few([of(100), of(5000)], LEAST_FOR_P50), None);
        assert_eq!(too_few([of(100), of(5000)], LEAST_FOR_P99), Some(100));
        assert_eq!(too_few([of(300), of(20), of(99)], LEAST_FOR_P50), Some(20));
        assert_eq!(too_few([], LEAST_FOR_P50), None);
    }
}
