//! The clocks: monotonic for measuring, wall for timestamps. Both virtual in a simulation.

use std::ops::{Add, AddAssign, Sub};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::context;

/// A point of the monotonic clock, in nanoseconds. Comparable only within one process, or one simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    nanos: u64,
}

impl Instant {
    pub(crate) fn from_nanos(nanos: u64) -> Instant {
        Instant { nanos }
    }

    /// Nanoseconds since an arbitrary point, fixed for the process.
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
        Instant { nanos: self.nanos.saturating_add(by) }
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, by: Duration) {
        *self = *self + by;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    /// That long before; at the earliest the beginning of the clock.
    fn sub(self, by: Duration) -> Instant {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        Instant { nanos: self.nanos.saturating_sub(by) }
    }
}

impl Sub for Instant {
    type Output = Duration;
    /// [`Instant::saturating_since`].
    fn sub(self, earlier: Instant) -> Duration {
        self.saturating_since(earlier)
    }
}

/// The monotonic clock. Works on any thread; virtual within a simulation.
pub fn now() -> Instant {
    match context::sim() {
        Some(seat) => seat.now(),
        None => real_now(),
    }
}

/// The machine's clock, also within a simulation; for what watches over executors.
pub(crate) fn real_now() -> Instant {
    static START: OnceLock<std::time::Instant> = OnceLock::new();
    let start = START.get_or_init(std::time::Instant::now);
    let nanos = u64::try_from(start.elapsed().as_nanos()).expect("fits for 584 years");
    Instant { nanos }
}

/// The wall clock in milliseconds since 1970. Works on any thread; may jump; virtual within a simulation.
pub fn unix_millis() -> u64 {
    if let Some(seat) = context::sim() {
        return seat.unix_millis();
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
