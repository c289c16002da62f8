//! How often a leader makes place for the member that should lead. Plain state, no I/O.

use std::time::Duration;

use runtime::Instant;

/// A leader is left in office for so long before it makes place.
const SETTLED: Duration = Duration::from_secs(5);
/// Pause after an attempt that the other member did not live up to. Twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause, if nothing else is said.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// A member that led for so long was well: what happens to it then is another story.
const WELL: Duration = Duration::from_secs(600);

/// The attempts of this member. Each of them is a moment in which nothing is taken, so that one that comes to lead again soon after it has made
/// place, because the other one is sick, waits longer each time.
#[derive(Debug)]
pub(super) struct BackOff {
    last: Option<Instant>,
    /// Attempts in a row that came to nothing, the last one among them.
    in_a_row: u32,
    /// The longest pause.
    longest: Duration,
}

impl Default for BackOff {
    fn default() -> Self {
        Self { last: None, in_a_row: 0, longest: LONGEST_PAUSE }
    }
}

impl BackOff {
    /// No pause is longer than that, from now on.
    pub(super) fn wait_at_most(&mut self, longest: Duration) {
        self.longest = longest;
    }

    /// Whether this member, in office since `began`, may make place now.
    pub(super) fn may_try(&self, began: Instant, now: Instant) -> bool {
        let pause = |last| now >= last + self.pause() || self.was_well(last, began);
        now >= began + SETTLED && self.last.is_none_or(pause)
    }

    /// An attempt is made. How many that are in a row now.
    pub(super) fn tries(&mut self, began: Instant, now: Instant) -> u32 {
        let was_well = self.last.is_none_or(|last| self.was_well(last, began));
        self.in_a_row = if was_well { 1 } else { self.in_a_row + 1 };
        self.last = Some(now);
        self.in_a_row
    }

    /// How long it is waited after the last attempt, if that comes to nothing.
    pub(super) fn pause(&self) -> Duration {
        let doubled = self.in_a_row.saturating_sub(1).min(16);
        (FIRST_PAUSE * (1 << doubled)).min(self.longest)
    }

    /// Whether others led long enough between the last attempt and the present office.
    fn was_well(&self, last: Instant, began: Instant) -> bool {
        began >= last + WELL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_that_leads_again_at_once_waits_twice_as_long_each_time() {
        let mut now = runtime::now();
        let (mut back_off, mut pauses) = (BackOff::default(), Vec::new());
        for count in 1..=9 {
            let began = now;
            while !back_off.may_try(began, now) {
                now += SECOND;
            }
            pauses.push((now - began).as_secs());
            assert_eq!(back_off.tries(began, now), count);
        }
        assert_eq!(pauses, [5, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
    }

    #[test]
    fn no_pause_is_longer_than_it_may_be_at_the_moment() {
        let (mut back_off, began) = (BackOff::default(), runtime::now());
        for count in 0..3 {
            back_off.tries(began, began + count * SECOND);
        }
        assert_eq!(back_off.pause(), 240 * SECOND);
        back_off.wait_at_most(30 * SECOND);
        assert!(!back_off.may_try(began, began + 31 * SECOND));
        assert!(back_off.may_try(began, began + 32 * SECOND));
        back_off.wait_at_most(LONGEST_PAUSE);
        assert_eq!(back_off.pause(), 240 * SECOND);
    }

    #[test]
    fn one_that_led_for_long_is_trusted_again() {
        let mut back_off = BackOff::default();
        let mut began = runtime::now();
        for _ in 0..4 {
            back_off.tries(began, began + SETTLED);
            began += 7 * SECOND;
        }
        assert_eq!(back_off.pause(), 480 * SECOND);
        let began = began + WELL;
        assert!(!back_off.may_try(began, began) && back_off.may_try(began, began + SETTLED));
        assert_eq!(back_off.tries(began, began + SETTLED), 1);
        assert_eq!(back_off.pause(), FIRST_PAUSE);
    }
}
