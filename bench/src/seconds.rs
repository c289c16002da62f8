//! The course of a run, second by second.

use serde::{Deserialize, Serialize};

use crate::limits::POINTS_MAX;
use crate::recorder::{Latencies, Window, latencies};

/// One second of all executors.
#[derive(Clone, Debug)]
pub struct Second {
    /// Its number, from 1.
    pub number: u64,
    /// What happened.
    pub window: Window,
}

/// Adds up the windows of all executors, and has a second when all have told theirs.
#[derive(Debug)]
pub struct Seconds {
    executors: usize,
    told: usize,
    number: u64,
    sum: Option<Window>,
}

impl Seconds {
    /// For a run on so many executors.
    #[must_use]
    pub fn new(executors: usize) -> Seconds {
        assert!(executors > 0, "a run has an executor");
        Seconds { executors, told: 0, number: 0, sum: None }
    }

    /// One executor's second; the whole when it is the last one's.
    pub fn add(&mut self, window: Window) -> Option<Second> {
        match &mut self.sum {
            None => self.sum = Some(window),
            Some(sum) => {
                let same = "all histograms have the same bounds";
                sum.latencies.add(&window.latencies).expect(same);
                sum.measured.add(&window.measured).expect(same);
                sum.done += window.done;
                sum.errors += window.errors;
                sum.warm_up |= window.warm_up;
            }
        }
        self.told += 1;
        if self.told < self.executors {
            return None;
        }
        self.told = 0;
        self.number += 1;
        self.sum.take().map(|window| Second { number: self.number, window })
    }
}

/// A point of a plot over time: what happened in the `step` seconds before it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Seconds since the run began, warm-up included.
    pub at_s: u64,
    /// Messages a second.
    pub rate: f64,
    /// Median latency in microseconds; `None` without a message.
    pub p50_us: Option<f64>,
    /// 99 % latency.
    pub p99_us: Option<f64>,
    /// Failures and broken promises.
    pub errors: u64,
    /// Whether it belongs to the warm-up.
    pub warm_up: bool,
}

/// The points of a run, a second apart; further apart when there would be more than [`POINTS_MAX`].
#[derive(Debug)]
pub struct Series {
    points: Vec<Point>,
    /// Seconds between points.
    step: u64,
    gathered: u64,
    latencies: Latencies,
    done: u64,
    errors: u64,
}

impl Default for Series {
    fn default() -> Series {
        Series {
            points: Vec::new(),
            step: 1,
            gathered: 0,
            latencies: latencies(),
            done: 0,
            errors: 0,
        }
    }
}

impl Series {
    /// Takes up another second.
    pub fn add(&mut self, second: &Second) {
        let window = &second.window;
        self.latencies.add(&window.latencies).expect("all histograms have the same bounds");
        self.done += window.done;
        self.errors += window.errors;
        self.gathered += 1;
        if self.gathered < self.step {
            return;
        }
        let at = |quantile: f64| {
            let nanos = self.latencies.value_at_quantile(quantile);
            (!self.latencies.is_empty()).then(|| float(nanos) / 1000.0)
        };
        self.points.push(Point {
            at_s: second.number,
            rate: float(self.done) / float(self.step),
            p50_us: at(0.5),
            p99_us: at(0.99),
            errors: self.errors,
            warm_up: window.warm_up,
        });
        (self.gathered, self.done, self.errors) = (0, 0, 0);
        self.latencies.reset();
        if self.points.len() >= POINTS_MAX {
            self.halve();
        }
    }

    /// Makes one point of two. The quantiles of both together are not known any more; the worse one is shown.
    fn halve(&mut self) {
        assert!(self.points.len().is_multiple_of(2), "the limit is even");
        let worse = |a: Option<f64>, b: Option<f64>| a.into_iter().chain(b).reduce(f64::max);
        self.points = self
            .points
            .chunks_exact(2)
            .map(|pair| Point {
                at_s: pair[1].at_s,
                rate: f64::midpoint(pair[0].rate, pair[1].rate),
                p50_us: worse(pair[0].p50_us, pair[1].p50_us),
                p99_us: worse(pair[0].p99_us, pair[1].p99_us),
                errors: pair[0].errors + pair[1].errors,
                warm_up: pair[1].warm_up,
            })
            .collect();
        self.step *= 2;
    }

    /// The points, in order of time.
    #[must_use]
    pub fn into_points(self) -> Vec<Point> {
        self.points
    }
}

const _: () = assert!(POINTS_MAX.is_multiple_of(2), "points are merged in pairs");

#[expect(clippy::cast_precision_loss, reason = "counts and times of a second stay below 2^53")]
fn float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(nanos: u64, done: u64, errors: u64) -> Window {
        let mut all = latencies();
        all.saturating_record_n(nanos, done);
        Window { measured: all.clone(), latencies: all, done, errors, warm_up: false }
    }

    #[test]
    fn a_second_is_that_of_all_executors() {
        let mut seconds = Seconds::new(2);
        assert!(seconds.add(window(1000, 10, 1)).is_none());
        let second = seconds.add(window(5000, 30, 2)).unwrap();
        assert_eq!((second.number, second.window.done, second.window.errors), (1, 40, 3));
        assert_eq!((second.window.latencies.len(), second.window.measured.len()), (40, 40));
        assert!(seconds.add(window(1000, 1, 0)).is_none());
        assert_eq!(seconds.add(window(1000, 1, 0)).unwrap().number, 2);
    }

    #[test]
    fn a_long_run_has_coarser_points_and_loses_no_message() {
        let mut series = Series::default();
        let mut seconds = Seconds::new(1);
        let count = 5 * POINTS_MAX as u64;
        for number in 0..count {
            let second = seconds.add(window(1_000_000 * (1 + number % 2), 10, 1)).unwrap();
            series.add(&second);
            assert!(series.points.len() < POINTS_MAX);
        }
        let step = series.step;
        let points = series.into_points();
        assert_eq!(step, 8);
        assert_eq!(points.len() as u64, count / step);
        assert!(points.iter().all(|point| (point.rate - 10.0).abs() < 1e-9));
        assert_eq!(points.iter().map(|point| point.errors).sum::<u64>(), count);
        assert_eq!(points.last().unwrap().at_s, count);
        assert!(points[0].p50_us.unwrap() > 1990.0, "the worse of those merged");
    }

    #[test]
    fn a_second_without_messages_has_no_latency() {
        let mut series = Series::default();
        series.add(&Second { number: 1, window: window(1, 0, 0) });
        let [point] = series.into_points()[..] else { panic!("one point") };
        assert_eq!((point.rate, point.p50_us, point.p99_us), (0.0, None, None));
    }
}
