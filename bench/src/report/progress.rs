//! One line a second while a run goes on.

use crate::recorder::{Latencies, Window, latencies};
use crate::report::text::micros;

/// Adds up the windows of all executors, and has a line when all have told their second.
pub struct Progress {
    executors: usize,
    told: usize,
    second: u64,
    latencies: Latencies,
    done: u64,
    errors: u64,
}

impl Progress {
    /// For a run on so many executors.
    #[must_use]
    pub fn new(executors: usize) -> Progress {
        assert!(executors > 0, "a run has an executor");
        Progress { executors, told: 0, second: 0, latencies: latencies(), done: 0, errors: 0 }
    }

    /// One executor's second; the line when it is the last one's.
    pub fn line(&mut self, window: &Window) -> Option<String> {
        self.latencies.add(&window.latencies).expect("all histograms have the same bounds");
        self.done += window.done;
        self.errors += window.errors;
        self.told += 1;
        if self.told < self.executors {
            return None;
        }
        self.second += 1;
        let at = |quantile: f64| {
            let nanos = self.latencies.value_at_quantile(quantile);
            let micros_of = u32::try_from(nanos / 1000).map_or(f64::INFINITY, f64::from);
            if self.latencies.is_empty() { "-".to_owned() } else { micros(micros_of) }
        };
        let phase = if window.warm_up { "  (warm-up)" } else { "" };
        let line = format!(
            "{:>4} s  {:>9} msg/s  p50 {:>8}  p99 {:>8}  errors {}{phase}",
            self.second,
            self.done,
            at(0.5),
            at(0.99),
            self.errors
        );
        self.told = 0;
        self.latencies.reset();
        self.done = 0;
        self.errors = 0;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_all_executors_is_one_line() {
        let window = |nanos: u64, done: u64, errors: u64, warm_up: bool| {
            let mut latencies = latencies();
            for _ in 0..done {
                latencies.saturating_record(nanos);
            }
            Window { latencies, done, errors, warm_up }
        };
        let mut progress = Progress::new(2);
        assert_eq!(progress.line(&window(100_000, 10, 0, true)), None);
        let line = progress.line(&window(2_000_000, 30, 1, true)).unwrap();
        assert_eq!(
            line,
            "   1 s         40 msg/s  p50  2.00 ms  p99  2.00 ms  errors 1  (warm-up)"
        );
        assert_eq!(progress.line(&window(0, 0, 0, false)), None);
        let line = progress.line(&window(0, 0, 0, false)).unwrap();
        assert_eq!(line, "   2 s          0 msg/s  p50        -  p99        -  errors 0");
    }
}
