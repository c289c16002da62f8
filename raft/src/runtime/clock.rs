//! Points in time.

use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

/// A point of the monotonic clock of `runtime`; virtual in a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(::runtime::Instant);

impl Instant {
    /// Time from now on; zero if it has passed.
    pub(super) fn left(self) -> Duration {
        self.0.saturating_since(::runtime::now())
    }
}

impl openraft::Instant for Instant {
    fn now() -> Self {
        Instant(::runtime::now())
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, by: Duration) -> Instant {
        Instant(self.0 + by)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, by: Duration) {
        *self = *self + by;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, by: Duration) -> Instant {
        Instant(self.0 - by)
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, by: Duration) {
        *self = *self - by;
    }
}

impl Sub for Instant {
    type Output = Duration;
    /// Zero if `earlier` is later.
    fn sub(self, earlier: Instant) -> Duration {
        self.0 - earlier.0
    }
}
