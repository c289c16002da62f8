//! One line a second while a run goes on.

use crate::report::text::micros;
use crate::seconds::Second;

/// The line of a second; `label` says which run of several it belongs to.
#[must_use]
pub fn line(label: &str, second: &Second) -> String {
    let window = &second.window;
    let at = |quantile: f64| {
        let nanos = window.latencies.value_at_quantile(quantile);
        let micros_of = u32::try_from(nanos / 1000).map_or(f64::INFINITY, f64::from);
        if window.latencies.is_empty() { "-".to_owned() } else { micros(micros_of) }
    };
    let phase = if window.warm_up { "  (warm-up)" } else { "" };
    let label = if label.is_empty() { String::new() } else { format!("{label}  ") };
    format!(
        "{label}{:>4} s  {:>9} msg/s  p50 {:>8}  p99 {:>8}  errors {}{phase}",
        second.number,
        window.done,
        at(0.5),
        at(0.99),
        window.errors
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::{Window, latencies};

    #[test]
    fn a_second_is_one_line() {
        let second = |number: u64, nanos: u64, done: u64, errors: u64, warm_up: bool| {
            let mut latencies = latencies();
            latencies.saturating_record_n(nanos, done);
            let measured = latencies.clone();
            Second { number, window: Window { latencies, measured, done, errors, warm_up } }
        };
        assert_eq!(
            line("", &second(1, 2_000_000, 40, 1, true)),
            "   1 s         40 msg/s  p50  2.00 ms  p99  2.00 ms  errors 1  (warm-up)"
        );
        assert_eq!(
            line("A 1/5", &second(2, 0, 0, 0, false)),
            "A 1/5     2 s          0 msg/s  p50        -  p99        -  errors 0"
        );
    }
}
