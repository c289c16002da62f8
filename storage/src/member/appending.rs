//! Appends in the member in which the group takes them: the store lays entries down, the group's log places them.

use model::PhysicalOffset;

use crate::builder::{Builder, Limits};
use crate::placer::Unplaced;
use crate::store::{Inner, Phase, Store};

impl Inner {
    /// More of the log is written, or applied.
    pub(crate) fn note_move(&self) {
        self.moves.set(self.moves.get() + 1);
        self.moved.notify_all();
    }

    /// From here on appends are taken, behind a log that ends at `end`, all of which is applied.
    pub(crate) fn take_appends(&self, end: PhysicalOffset) {
        assert_eq!(end, self.committed.get(), "appends continue what is applied");
        assert_eq!(self.phase.get(), Phase::Elsewhere, "it is begun once");
        let topics = self.index.borrow().topics().clone();
        let limits = Limits::from(&self.options);
        *self.builder.borrow_mut() = Builder::new(limits, end, topics, self.spares.ready());
        self.phase.set(Phase::Open);
    }
}

impl Store {
    /// The entries that were appended first and not taken yet, once there are some. Cancel safe.
    pub async fn next_unplaced(&self) -> Unplaced {
        loop {
            let news = self.inner.drafted.notified();
            let (written, ready) = (self.inner.written.get(), self.inner.spares.ready());
            if let Some(batch) = self.inner.builder.borrow_mut().take_behind(written, ready) {
                return Unplaced(batch);
            }
            news.await;
        }
    }

    /// Takes no appends any more, and forgets what was appended and not taken.
    pub fn refuse_appends(&self) {
        if self.inner.phase.get() == Phase::Open {
            self.inner.phase.set(Phase::Elsewhere);
            self.inner.builder.borrow_mut().clear();
        }
    }

    /// Waits until the store has failed: nothing is taken and written any more. Cancel safe.
    pub async fn failed(&self) {
        self.inner.failed.raised().await;
    }

    /// What waits for space on a full disk is given up: the member is about to be stopped.
    pub fn lose_patience(&self) {
        self.inner.patient.set(false);
        self.inner.progress.notify_all();
    }

    /// A number that is another one whenever more of the log was written or applied.
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.inner.moves.get()
    }

    /// Waits until that number is not `last` any more. Cancel safe.
    pub async fn moved(&self, last: u64) {
        while self.inner.moves.get() == last {
            self.inner.moved.notified().await;
        }
    }

    /// End of the log, committed or not.
    #[must_use]
    pub fn written(&self) -> PhysicalOffset {
        self.inner.written.get()
    }
}
