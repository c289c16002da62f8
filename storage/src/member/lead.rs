//! Leading: messages are drafted here, and placed by the group's log.

use model::{LogIndex, PhysicalOffset};

use crate::builder::{Builder, Limits};
use crate::placer::Draft;
use crate::store::{Inner, Phase, Store};

impl Inner {
    /// From here on appends are taken, behind a log that ends at `end`, all of which is applied.
    pub(crate) fn lead(&self, end: PhysicalOffset) {
        assert_eq!(end, self.committed.get(), "who leads has applied the whole log");
        assert_eq!(self.phase.get(), Phase::Following, "who leads has followed before");
        let topics = self.index.borrow().topics().clone();
        let limits = Limits::from(&self.options);
        *self.builder.borrow_mut() = Builder::new(limits, end, topics, self.spares.ready());
        self.phase.set(Phase::Open);
    }
}

impl Store {
    /// The entries that were drafted first and not taken yet, once there are some. Cancel safe.
    pub async fn next_draft(&self) -> Draft {
        loop {
            let news = self.inner.drafted.notified();
            if let Some(batch) = self.inner.builder.borrow_mut().take() {
                return Draft(batch);
            }
            news.await;
        }
    }

    /// This member leads no more: it takes no appends, and forgets what was drafted and not taken.
    pub fn follow(&self) {
        if self.inner.phase.get() == Phase::Open {
            self.inner.phase.set(Phase::Following);
            self.inner.builder.borrow_mut().clear();
        }
    }

    /// End of the log, committed or not.
    #[must_use]
    pub fn written(&self) -> PhysicalOffset {
        self.inner.written.get()
    }

    /// The log before this entry is not needed by the group any more.
    #[must_use]
    pub fn first_index(&self) -> LogIndex {
        self.inner.log.all().first().expect("a log has a segment").header.index
    }
}
