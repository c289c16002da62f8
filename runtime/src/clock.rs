//! The clocks: monotonic for measuring, wall for timestamps. Both virtual in a simulation.

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// A point of the monotonic clock, in nanoseconds. Only comparable within one process (or one simulation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    nanos: u64,
}

impl Instant {
    /// Nanoseconds since an arbitrary fixed point.
    pub fn as_nanos(self) -> u64 {
        self.nanos
    }

    /// Time since then; zero if it lies in the future.
    pub fn elapsed(self) -> Duration {
        now() - self
    }

    /// Time from `earlier` to `self`; zero if `earlier` is later.
    pub fn saturating_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.nanos.saturating_sub(earlier.nanos))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, by: Duration) -> Instant {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        Instant {
            nanos: self.nanos.saturating_add(by),
        }
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, by: Duration) {
        *self = *self + by;
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Instant) -> Duration {
        self.saturating_since(earlier)
    }
}

/// The monotonic clock. Works on any thread.
pub fn now() -> Instant {
    todo!()
}

/// The wall clock in milliseconds since 1970. Works on any thread; may jump.
pub fn unix_millis() -> u64 {
    todo!()
}
