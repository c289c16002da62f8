//! Where leadership is to stay for a while, because operators have said so. Plain state, no I/O.

use std::cell::Cell;
use std::time::Duration;

use raft::MemberId;
use runtime::Instant;

/// What operators have said last. It is in memory alone: a member that is started again has forgotten it.
#[derive(Debug, Default)]
pub(super) struct Hold {
    until: Cell<Option<Instant>>,
    /// The one that is not to lead meanwhile, if somebody else could.
    away: Cell<Option<MemberId>>,
}

/// How long a hold is to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// So long from now on, whatever was said before.
    Exactly(Duration),
    /// So long at least: one that lasts longer already stays as it is.
    AtLeast(Duration),
}

impl Hold {
    pub(super) fn set(&self, now: Instant, lasts: Lasts, away: Option<MemberId>) {
        let (Lasts::Exactly(time) | Lasts::AtLeast(time)) = lasts;
        let is_longer = self.left(now).is_some_and(|left| left >= time);
        if is_longer && matches!(lasts, Lasts::AtLeast(_)) {
            return;
        }
        self.until.set(Some(now + time));
        self.away.set(away);
    }

    /// How long it still lasts; `None` if it is over.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        self.until.get().filter(|until| now < *until).map(|until| until - now)
    }

    /// The one that is not to lead meanwhile.
    pub(super) fn away(&self, now: Instant) -> Option<MemberId> {
        self.left(now).and_then(|_| self.away.get())
    }
}

#[cfg(test)]
mod tests {
    use super::super::candidates::tests::id;
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_an_operator_said_is_not_shortened_by_what_another_command_needs() {
        let (hold, now) = (Hold::default(), runtime::now());
        assert_eq!(hold.left(now), None);
        hold.set(now, Lasts::AtLeast(MINUTE), None);
        assert_eq!(hold.left(now), Some(MINUTE));
        hold.set(now, Lasts::Exactly(10 * MINUTE), Some(id(1)));
        hold.set(now, Lasts::AtLeast(MINUTE), Some(id(2)));
        assert_eq!((hold.left(now), hold.away(now)), (Some(10 * MINUTE), Some(id(1))));
        let later = now + 9 * MINUTE + MINUTE / 2;
        hold.set(later, Lasts::AtLeast(MINUTE), Some(id(2)));
        assert_eq!((hold.left(later), hold.away(later)), (Some(MINUTE), Some(id(2))));
        hold.set(later, Lasts::Exactly(Duration::ZERO), None);
        assert_eq!((hold.left(later), hold.away(later)), (None, None));
    }

    #[test]
    fn it_ends_by_itself() {
        let (hold, now) = (Hold::default(), runtime::now());
        hold.set(now, Lasts::Exactly(MINUTE), Some(id(1)));
        let end = now + MINUTE;
        assert_eq!((hold.left(end), hold.away(end)), (None, None));
    }
}
