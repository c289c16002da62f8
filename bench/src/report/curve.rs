//! A histogram as numbers to print and to plot.

use crate::recorder::Latencies;

/// Latency by percentile: pairs of per cent and microseconds, rising.
pub type Curve = Vec<(f64, f64)>;

/// Points for each further nine (90 %, 99 %, ...).
const STEPS: i32 = 8;
/// Nines at most.
const NINES: i32 = 7;

/// The curve of a histogram, denser towards 100 %: its end is the largest value. Empty without a sample.
#[must_use]
pub fn curve(latencies: &Latencies) -> Curve {
    if latencies.is_empty() {
        return Curve::new();
    }
    let mut points = Curve::new();
    for step in 0..=STEPS * NINES {
        let rest = 10_f64.powf(-f64::from(step) / f64::from(STEPS));
        // Beyond this the next sample is the last one.
        if rest * float(latencies.len()) < 1.0 {
            break;
        }
        let quantile = 1.0 - rest;
        points.push((quantile * 100.0, float(latencies.value_at_quantile(quantile)) / 1000.0));
    }
    points.push((100.0, float(latencies.max()) / 1000.0));
    points
}

/// Nanoseconds of a histogram as microseconds; `None` if it is empty.
pub(crate) fn micros(latencies: &Latencies, nanos: u64) -> Option<f64> {
    (!latencies.is_empty()).then(|| round(float(nanos) / 1000.0))
}

/// Three digits behind the point: more would be noise.
pub(crate) fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts and times of a run stay below 2^53")]
pub(crate) fn float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::latencies;

    #[test]
    fn a_curve_rises_to_the_largest_value_and_no_further_than_the_samples_go() {
        assert_eq!(curve(&latencies()), []);
        let mut some = latencies();
        for micros in 1..=1000 {
            some.record(micros * 1000).unwrap();
        }
        let points = curve(&some);
        assert!(points.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{points:?}");
        assert_eq!(points[0].0, 0.0);
        assert_eq!(points.last().map(|point| point.0), Some(100.0));
        assert!((points.last().unwrap().1 - 1000.0).abs() < 1.0);
        let at = |percent: f64| points.iter().find(|p| (p.0 - percent).abs() < 1e-9).unwrap().1;
        assert!((at(90.0) - 900.0).abs() < 2.0 && (at(99.0) - 990.0).abs() < 2.0);
        assert!(points[points.len() - 2].0 <= 99.9 + 1e-9, "{points:?}");
    }
}
