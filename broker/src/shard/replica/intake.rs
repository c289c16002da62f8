//! What a leader still takes while it makes place for another one: consumer offsets alone, and then nothing.

use std::cell::Cell;

use runtime::channel::Notify;

/// How many are about to hand leadership over, and how far they have come.
#[derive(Default)]
pub(super) struct Intake {
    narrow: Cell<u32>,
    closed: Cell<u32>,
    opened: Notify,
}

/// What is under way is being finished, until this is dropped: nothing new is taken but consumer offsets.
pub(super) struct Narrow<'a>(&'a Intake);

/// Somebody is about to be asked to lead, or was, until this is dropped: he has all of the log, so nothing is appended to it.
pub(super) struct Closed<'a>(&'a Intake);

impl Intake {
    pub(super) fn narrows(&self) -> Narrow<'_> {
        self.narrow.set(self.narrow.get() + 1);
        Narrow(self)
    }

    pub(super) fn is_narrow(&self) -> bool {
        self.narrow.get() > 0
    }

    pub(super) fn closes(&self) -> Closed<'_> {
        assert!(self.is_narrow(), "what is under way is finished first");
        self.closed.set(self.closed.get() + 1);
        Closed(self)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.get() > 0
    }

    /// Waits until it is not closed. Cancel safe.
    pub(super) async fn opened(&self) {
        loop {
            let opened = self.opened.notified();
            if !self.is_closed() {
                return;
            }
            opened.await;
        }
    }
}

impl Drop for Narrow<'_> {
    fn drop(&mut self) {
        count_down(&self.0.narrow);
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        count_down(&self.0.closed);
        self.0.opened.notify_all();
    }
}

fn count_down(count: &Cell<u32>) {
    assert!(count.get() > 0, "it was counted");
    count.set(count.get() - 1);
}
