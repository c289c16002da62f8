//! How long this member has led, and when it may make place. Plain state, no I/O.

use std::time::Duration;

use model::Term;
use runtime::Instant;

use super::back_off::BackOff;

/// This member's present office, as one sees it who looks now and then, and the attempts to give it away.
#[derive(Debug, Default)]
pub(super) struct Tenure {
    /// The term, and which of the times this is that the member leads; and since when that is known.
    office: Option<((Term, u64), Instant)>,
    back_off: BackOff,
}

impl Tenure {
    /// Notes whether the member is in office, and in which.
    pub(super) fn look(&mut self, office: Option<(Term, u64)>, now: Instant) {
        if office != self.office.map(|(which, _)| which) {
            self.office = office.map(|which| (which, now));
        }
    }

    /// Whether it leads, and may make place now.
    pub(super) fn may_try(&self, now: Instant) -> bool {
        self.office.is_some_and(|(_, began)| self.back_off.may_try(began, now))
    }

    /// An attempt is made. How many that are in a row now.
    ///
    /// # Panics
    /// When it does not lead.
    pub(super) fn tries(&mut self, now: Instant) -> u32 {
        let (_, began) = self.office.expect("one that makes place leads");
        self.back_off.tries(began, now)
    }

    /// How long it is waited after the last attempt, if that comes to nothing.
    pub(super) fn pause(&self) -> Duration {
        self.back_off.pause()
    }

    /// It waits for so long at most from now on.
    pub(super) fn wait_at_most(&mut self, longest: Duration) {
        self.back_off.wait_at_most(longest);
    }

    /// As if its office had begun now, and nothing had been tried.
    pub(super) fn forget(&mut self, now: Instant) {
        self.back_off = BackOff::default();
        self.office = self.office.map(|(which, _)| (which, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_office_counts_from_its_own_begin_also_in_the_same_term() {
        let (mut tenure, begin) = (Tenure::default(), runtime::now());
        let may_try = |tenure: &Tenure, after| tenure.may_try(begin + after * SECOND);
        tenure.look(None, begin);
        assert!(!may_try(&tenure, 100), "it does not lead");
        tenure.look(Some((Term(3), 1)), begin);
        tenure.look(Some((Term(3), 1)), begin + 4 * SECOND);
        assert!(!may_try(&tenure, 4) && may_try(&tenure, 5));
        tenure.look(Some((Term(3), 2)), begin + 5 * SECOND);
        assert!(!may_try(&tenure, 9) && may_try(&tenure, 10));
        tenure.forget(begin + 10 * SECOND);
        assert!(!may_try(&tenure, 14) && may_try(&tenure, 15));
    }

    #[test]
    fn what_was_tried_before_is_forgotten_when_an_operator_has_said_who_leads() {
        let (mut tenure, begin) = (Tenure::default(), runtime::now());
        tenure.look(Some((Term(3), 1)), begin);
        assert_eq!(tenure.tries(begin + 5 * SECOND), 1);
        assert!(!tenure.may_try(begin + 20 * SECOND));
        tenure.forget(begin + 10 * SECOND);
        assert!(tenure.may_try(begin + 15 * SECOND));
    }
}
