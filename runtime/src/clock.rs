//! The clocks: monotonic for measuring, wall for timestamps. Both virtual in a simulation.

use std::mem::MaybeUninit;
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

/// The hour of the day, 0 to 23, at this time in milliseconds since 1970, in the zone that the environment names
/// (`TZ`, `/etc/localtime`); in a simulation in UTC. Works on any thread.
pub fn local_hour(unix_millis: u64) -> u8 {
    let in_utc = u8::try_from(unix_millis / 3_600_000 % 24).expect("below 24");
    if context::sim().is_some() {
        return in_utc;
    }
    let Ok(seconds) = libc::time_t::try_from(unix_millis / 1000) else { return in_utc };
    let mut parts = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: the call reads one number and fills in one `tm`, or gives back null; it reads the environment, which
    // nothing in this process changes.
    if unsafe { libc::localtime_r(&seconds, parts.as_mut_ptr()) }.is_null() {
        return in_utc;
    }
    // SAFETY: the call has filled it in.
    u8::try_from(unsafe { parts.assume_init() }.tm_hour).unwrap_or(in_utc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_the_day_comes_back_after_a_day() {
        const DAY: u64 = 86_400_000;
        let winter = 1_736_899_200_000; // no zone changes its clock within these days
        let hours: Vec<u8> = (0..24).map(|hour| local_hour(winter + hour * DAY / 24)).collect();
        assert_eq!(
            hours,
            (0..24).map(|hour| local_hour(winter + DAY + hour * DAY / 24)).collect::<Vec<_>>()
        );
        let mut each = hours;
        each.sort_unstable();
        assert_eq!(each, (0..24).collect::<Vec<_>>());
        assert!(local_hour(u64::MAX) < 24);
    }
}
