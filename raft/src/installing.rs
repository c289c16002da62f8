//! How far a snapshot has come that is to take the place of the log.

use std::cell::Cell;
use std::rc::Rc;

use runtime::channel::Notify;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    None,
    /// Space is taken on the disk. openraft knows nothing of it.
    Reserving,
    /// openraft has it, and goes by it: what it accepts may lie behind what the log has.
    HandedOver,
    /// It lies on the disk, and the member is to be started again: this is the last stage.
    LaidDown,
}

/// Of one member; one at a time. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Installing(Rc<(Cell<Stage>, Notify)>);

/// One that is under way, until it is dropped.
pub(crate) struct UnderWay(Installing);

impl Installing {
    /// Begins one; `None` while another one is under way, and once one has been laid down.
    pub(crate) fn begin(&self) -> Option<UnderWay> {
        if self.stage() != Stage::None {
            return None;
        }
        self.set(Stage::Reserving);
        Some(UnderWay(self.clone()))
    }

    /// Whether openraft goes by a snapshot that the log does not have yet.
    pub(crate) fn is_handed_over(&self) -> bool {
        matches!(self.stage(), Stage::HandedOver | Stage::LaidDown)
    }

    /// Waits until none is under way. Cancel safe.
    pub(crate) async fn over(&self) {
        while matches!(self.stage(), Stage::Reserving | Stage::HandedOver) {
            self.0.1.notified().await;
        }
    }

    fn stage(&self) -> Stage {
        self.0.0.get()
    }

    fn set(&self, stage: Stage) {
        self.0.0.set(stage);
        self.0.1.notify_all();
    }
}

impl UnderWay {
    /// openraft gets it now.
    pub(crate) fn hand_over(&self) {
        assert_eq!(self.0.stage(), Stage::Reserving, "it is handed over once");
        self.0.set(Stage::HandedOver);
    }

    /// It is laid down: nothing is taken any more in this life of the member.
    pub(crate) fn laid_down(self) {
        assert_eq!(self.0.stage(), Stage::HandedOver, "openraft has it laid down");
        self.0.set(Stage::LaidDown);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.0.stage() != Stage::LaidDown {
            self.0.set(Stage::None);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn there_is_one_at_a_time_and_none_behind_one_that_laid_down() {
        let installing = Installing::default();
        let first = installing.begin().expect("none is under way");
        assert!(installing.begin().is_none() && !installing.is_handed_over());
        assert!(installing.over().now_or_never().is_none());
        first.hand_over();
        assert!(installing.is_handed_over());
        drop(first);
        assert!(!installing.is_handed_over() && installing.over().now_or_never().is_some());
        let second = installing.begin().expect("the first is over");
        second.hand_over();
        second.laid_down();
        assert!(installing.is_handed_over() && installing.begin().is_none());
        assert!(installing.over().now_or_never().is_some(), "who waits is told");
    }
}
