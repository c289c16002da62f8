//! When a run warms up, measures, and ends.

use std::time::Duration;

use runtime::Instant;

/// The phases of a run: warm-up, measurement, end. The same for all executors of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    begin: Instant,
    measure_from: Instant,
    /// `None`: somebody else says when it is enough.
    end: Option<Instant>,
}

impl Schedule {
    /// A run that begins at `begin` with a warm-up and measures for `measure`, or until it is [cut](Schedule::cut).
    #[must_use]
    pub fn new(begin: Instant, warmup: Duration, measure: Option<Duration>) -> Schedule {
        let measure_from = begin + warmup;
        Schedule { begin, measure_from, end: measure.map(|time| measure_from + time) }
    }

    /// When the warm-up begins.
    #[must_use]
    pub fn begin(&self) -> Instant {
        self.begin
    }

    /// When the measurement begins.
    #[must_use]
    pub fn measure_from(&self) -> Instant {
        self.measure_from
    }

    /// When it ends, if that is known.
    #[must_use]
    pub fn end(&self) -> Option<Instant> {
        self.end
    }

    /// Whether what happens at `at` is measured: the warm-up is not, the end is.
    #[must_use]
    pub fn is_measured(&self, at: Instant) -> bool {
        at >= self.measure_from && self.end.is_none_or(|end| at <= end)
    }

    /// Whether nothing new is begun at `at`.
    #[must_use]
    pub fn is_over(&self, at: Instant) -> bool {
        self.end.is_some_and(|end| at >= end)
    }

    /// Ends it at `at`, unless it ends earlier.
    #[must_use]
    pub fn cut(self, at: Instant) -> Schedule {
        let end = self.end.map_or(at, |end| end.min(at));
        Schedule { end: Some(end), ..self }
    }

    /// How long was measured, if nothing was measured after `last`.
    #[must_use]
    pub fn measured(&self, last: Instant) -> Duration {
        let end = self.end.map_or(last, |end| end.min(last));
        end.saturating_since(self.measure_from)
    }
}

/// The part of `count` that lane `index` of `lanes` gets; the parts differ by one at most and add up.
#[must_use]
pub fn share(count: u64, lanes: u64, index: u64) -> u64 {
    assert!(index < lanes, "a lane is one of the lanes");
    count / lanes + u64::from(index < count % lanes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_warm_up_is_not_measured_and_the_end_is_final() {
        let begin = runtime::now();
        let run = Schedule::new(begin, 2 * SECOND, Some(3 * SECOND));
        assert!(!run.is_measured(begin) && !run.is_measured(begin + SECOND));
        assert!(run.is_measured(begin + 2 * SECOND) && run.is_measured(begin + 5 * SECOND));
        assert!(!run.is_measured(begin + 6 * SECOND));
        assert!(!run.is_over(begin + 4 * SECOND) && run.is_over(begin + 5 * SECOND));
        assert_eq!(run.measured(begin + 9 * SECOND), 3 * SECOND);
    }

    #[test]
    fn without_a_time_it_goes_on_until_it_is_cut() {
        let begin = runtime::now();
        let run = Schedule::new(begin, SECOND, None);
        assert!(!run.is_over(begin + 1000 * SECOND) && run.is_measured(begin + 1000 * SECOND));
        assert_eq!(run.measured(begin + 4 * SECOND), 3 * SECOND);
        let cut = run.cut(begin + 2 * SECOND);
        assert!(cut.is_over(begin + 2 * SECOND) && !cut.is_measured(begin + 3 * SECOND));
        assert_eq!(cut.cut(begin + 9 * SECOND), cut, "an end is not moved back");
    }

    #[test]
    fn cut_in_the_warm_up_nothing_was_measured() {
        let begin = runtime::now();
        let cut = Schedule::new(begin, 2 * SECOND, Some(SECOND)).cut(begin + SECOND);
        assert_eq!(cut.measured(begin + SECOND), Duration::ZERO);
        assert!(!cut.is_measured(begin + 2 * SECOND));
    }

    #[test]
    fn shares_add_up() {
        for (count, lanes) in [(0, 3), (1, 3), (10, 3), (9, 3), (u64::MAX, 7)] {
            let parts: Vec<u64> = (0..lanes).map(|index| share(count, lanes, index)).collect();
            assert_eq!(parts.iter().sum::<u64>(), count);
            assert!(parts.iter().max().unwrap() - parts.iter().min().unwrap() <= 1);
        }
    }
}
