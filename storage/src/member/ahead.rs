//! What is in the log and not applied: entries that the group has not committed yet, or whose turn has not come.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use model::{LogIndex, PhysicalOffset};
use runtime::channel::Notify;

use crate::batch::RecordDraft;
use crate::entry::Replicated;
use crate::position::Position;
use crate::store::Inner;
use crate::tail::Part;

/// An entry that is in the log, but for its payload.
#[derive(Debug)]
pub(crate) struct Written {
    pub header: Replicated,
    /// The log's end behind it.
    pub end: Position,
    /// What is known of its messages, if it was placed here.
    pub records: Option<Vec<RecordDraft>>,
}

/// What the one who writes the log and the one who applies it share.
pub(crate) struct Ahead {
    pub inner: Rc<Inner>,
    entries: RefCell<VecDeque<Written>>,
    news: Notify,
}

impl Ahead {
    pub(super) fn new(inner: Rc<Inner>) -> Self {
        Self { inner, entries: RefCell::default(), news: Notify::new() }
    }

    /// Entries were written behind the log, in this buffer.
    pub(crate) fn written(&self, entries: impl IntoIterator<Item = Written>, part: Part) {
        self.inner.written.set(part.end);
        self.inner.tail.borrow_mut().push(part);
        self.found(entries);
        if self.inner.wants_room() {
            self.inner.spares.wake();
        }
    }

    /// Entries are in the log behind all others.
    pub(super) fn found(&self, entries: impl IntoIterator<Item = Written>) {
        let mut all = self.entries.borrow_mut();
        for entry in entries {
            let in_order =
                all.back().is_none_or(|last| last.header.index.next() == entry.header.index);
            assert!(in_order, "entries follow each other");
            all.push_back(entry);
        }
        self.news.notify_all();
    }

    /// The log ends at `end`, before the entry `from`, and what was behind is about to go.
    pub(crate) fn cut(&self, from: LogIndex, end: PhysicalOffset) {
        assert!(end >= self.inner.committed.get(), "what is applied is never cut");
        self.entries.borrow_mut().retain(|entry| entry.header.index < from);
        self.inner.written.set(end);
        self.inner.tail.borrow_mut().cut(end);
        for segment in self.inner.log.all() {
            if segment.end() > end {
                let kept = end.0.saturating_sub(segment.header.base.0);
                self.inner.cache.forget(segment.cache_id(), kept);
            }
        }
    }

    /// The next entry to be applied, once it is written, if it is the one of `index`. Cancel safe.
    pub(super) async fn next(&self, index: LogIndex) -> Written {
        loop {
            let news = self.news.notified();
            if let Some(next) = self.entries.borrow_mut().pop_front() {
                assert_eq!(
                    next.header.index, index,
                    "entries are applied as they stand in the log"
                );
                return next;
            }
            news.await;
        }
    }

    /// Whether all that is in the log is applied.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.borrow().is_empty()
    }
}
