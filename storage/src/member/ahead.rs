//! What is in the log and not applied: entries that the group has not committed yet, or whose turn has not come.
//!
//! Applying may fall behind by any amount: the disk is slow for the index, or too full. So no more than
//! [`MOST_AHEAD`] entries are remembered; what comes behind them is found in the log again when its turn comes.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::pin::pin;
use std::rc::Rc;

use futures::future::select;
use model::{LogIndex, PhysicalOffset};
use runtime::channel::{Flag, Notify};

use crate::batch::BatchRecord;
use crate::entry::Replicated;
use crate::entry_log::EntryReader;
use crate::error::StoreError;
use crate::position::Position;
use crate::store::Inner;
use crate::tail::Part;

/// Entries of other members that are remembered from when they are written until they are applied. Those that were placed here
/// come on top: how many of them may be uncommitted is for the group to limit.
pub(crate) const MOST_AHEAD: usize = 8192;
/// Entries that are looked up in the log at a time.
const LOOKED_UP: usize = 1024;
const _: () =
    assert!(LOOKED_UP <= MOST_AHEAD && MOST_AHEAD * size_of::<Written>() <= 2 * 1024 * 1024);

/// An entry that is in the log, but for its payload.
#[derive(Debug)]
pub(crate) struct Written {
    pub header: Replicated,
    /// The log's end behind it.
    pub end: Position,
    /// What is known of its messages, if it was placed here.
    pub records: Option<Vec<BatchRecord>>,
}

/// What the one who writes the log and the one who applies it share.
pub(crate) struct Ahead {
    pub inner: Rc<Inner>,
    entries: RefCell<VecDeque<Written>>,
    /// More entries are in the log behind those.
    more: Cell<bool>,
    /// Where they are found.
    log: OnceCell<EntryReader>,
    news: Notify,
    closed: Flag,
}

impl Ahead {
    pub(super) fn new(inner: Rc<Inner>) -> Self {
        Self {
            inner,
            entries: RefCell::default(),
            more: Cell::new(false),
            log: OnceCell::new(),
            news: Notify::new(),
            closed: Flag::new(),
        }
    }

    /// The log is open, and read by this one.
    pub(crate) fn opened(&self, log: EntryReader) {
        assert!(self.log.set(log).is_ok(), "a log is opened once");
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
        for entry in entries {
            let is_placed = entry.records.is_some();
            assert!(!is_placed || !self.more.get(), "nothing is placed before all is applied");
            let has_room = is_placed || self.entries.borrow().len() < MOST_AHEAD;
            match has_room && !self.more.get() {
                true => self.remember(entry),
                false => self.more.set(true),
            }
        }
        self.news.notify_all();
        self.inner.note_move();
    }

    fn remember(&self, entry: Written) {
        let mut all = self.entries.borrow_mut();
        let in_order = all.back().is_none_or(|last| last.header.index.next() == entry.header.index);
        assert!(in_order, "entries follow each other");
        all.push_back(entry);
    }

    /// Looks up what comes next, which is the entry `index` if it is there.
    async fn look_up(&self, index: LogIndex) -> Result<(), StoreError> {
        let log = self.log.get().expect("nothing is applied before the log is open");
        let found = log.written_repaired(index, LOOKED_UP).await?;
        assert!(self.entries.borrow().is_empty(), "only one applies");
        found.into_iter().for_each(|entry| self.remember(entry));
        let next = self.entries.borrow().back().map_or(index, |last| last.header.index.next());
        self.more.set(next < log.next());
        Ok(())
    }

    /// The log ends at `end`, before the entry `from`, and what was behind is about to go.
    pub(crate) fn cut(&self, from: LogIndex, end: PhysicalOffset) {
        assert!(end >= self.inner.committed.get(), "what is applied is never cut");
        let mut entries = self.entries.borrow_mut();
        if entries.back().is_some_and(|last| from <= last.header.index.next()) {
            self.more.set(false);
        }
        entries.retain(|entry| entry.header.index < from);
        drop(entries);
        self.inner.written.set(end);
        self.inner.tail.borrow_mut().cut(end);
        for segment in self.inner.log.all() {
            if segment.end() > end {
                let kept = end.0.saturating_sub(segment.header.base.0);
                self.inner.cache.forget(segment.cache_id(), kept);
            }
        }
    }

    /// Nothing is written any more.
    pub(crate) fn close(&self) {
        self.closed.raise();
    }

    /// The next entry to be applied, once it is written, if it is the one of `index`; `None` if it never will be, because the log
    /// is closed or has failed. Cancel safe.
    ///
    /// # Errors
    /// It has to be read from the log, and cannot be.
    pub(super) async fn next(&self, index: LogIndex) -> Result<Option<Written>, StoreError> {
        loop {
            if self.inner.failed.is_raised() {
                return Ok(None);
            }
            if self.entries.borrow().is_empty() && self.more.get() {
                self.look_up(index).await?;
            }
            if let Some(next) = self.entries.borrow_mut().pop_front() {
                assert_eq!(
                    next.header.index, index,
                    "entries are applied as they stand in the log"
                );
                return Ok(Some(next));
            }
            if self.closed.is_raised() {
                return Ok(None);
            }
            let (closed, failed) = (pin!(self.closed.raised()), pin!(self.inner.failed.raised()));
            select(pin!(self.news.notified()), select(closed, failed)).await;
        }
    }

    /// Whether all that is in the log is applied.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.borrow().is_empty() && !self.more.get()
    }

    /// Entries that are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.entries.borrow().len()
    }
}
