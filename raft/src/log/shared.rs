//! What the log's owner, its readers and its writer share, all on one executor.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Range;

use model::{LogIndex, UnixMillis};
use openraft::EntryPayload;
use openraft::type_config::alias::{EntryOf, LogIdOf, VoteOf};
use runtime::channel::Notify;
use storage::{EntryReader, LogState};

use super::entry::{behind, id_before, stamp, weight};
use super::error::LogError;
use super::membership::too_long;
use crate::types::{Member, Types};

/// Bytes of entries that wait to be written. Whoever appends more waits.
pub(super) const WAITING_MAX: usize = 64 * 1024 * 1024;

/// The log as it was accepted; what of it is written is the writer's matter.
pub(super) struct Shared {
    /// What is written.
    pub reader: EntryReader,
    /// What is accepted, and not written: it goes on where what is written ends.
    waiting: RefCell<VecDeque<EntryOf<Types>>>,
    waiting_bytes: Cell<usize>,
    room: Notify,
    /// The last entry; the last one that is purged if there is none.
    last: Cell<Option<LogIdOf<Types>>>,
    last_timestamp: Cell<UnixMillis>,
    /// The last one that is purged.
    purged: Cell<Option<LogIdOf<Types>>>,
    pub committed: Cell<Option<LogIdOf<Types>>>,
    pub vote: Cell<Option<VoteOf<Types>>>,
    /// Changes before entries go, and again when they are gone.
    cuts: Cell<u64>,
    failure: RefCell<Option<LogError>>,
}

impl Shared {
    /// For a log that was opened.
    pub(super) fn new(reader: EntryReader, vote: Option<VoteOf<Types>>) -> Self {
        Self {
            reader,
            waiting: RefCell::default(),
            waiting_bytes: Cell::new(0),
            room: Notify::new(),
            last: Cell::new(None),
            last_timestamp: Cell::new(UnixMillis(0)),
            purged: Cell::new(None),
            committed: Cell::new(None),
            vote: Cell::new(vote),
            cuts: Cell::new(0),
            failure: RefCell::default(),
        }
    }

    pub(super) fn last(&self) -> Option<LogIdOf<Types>> {
        self.last.get()
    }

    pub(super) fn purged(&self) -> Option<LogIdOf<Types>> {
        self.purged.get()
    }

    /// Index of the first entry that is not purged.
    pub(super) fn begin(&self) -> u64 {
        behind(self.purged.get().as_ref()).0
    }

    /// Index behind the last entry, written or not.
    pub(super) fn end(&self) -> u64 {
        behind(self.last.get().as_ref()).0
    }

    pub(super) fn cuts(&self) -> u64 {
        self.cuts.get()
    }

    /// Entries up to this one are purged.
    pub(super) fn purge(&self, upto: Option<LogIdOf<Types>>) {
        assert!(self.purged.get() <= upto, "what is purged stays purged");
        self.purged.set(upto);
    }

    /// Entries are about to go: what is being read may be neither the old log nor the new one.
    pub(super) fn cut(&self) {
        self.cuts.set(self.cuts.get() + 1);
    }

    /// The log is what is written, of which entries are gone.
    pub(super) fn follow(&self, log: &LogState) {
        assert!(self.waiting.borrow().is_empty(), "what is under way comes first");
        self.cut();
        let last = (log.next > log.first).then(|| id_before(log.next, log.last_term)).flatten();
        self.last.set(last.or(self.purged.get()));
        self.last_timestamp.set(log.last_timestamp);
    }

    /// Whether anything has failed for good.
    pub(super) fn check(&self) -> Result<(), LogError> {
        self.failure.borrow().clone().map_or(Ok(()), Err)
    }

    /// Nothing is written any more.
    pub(super) fn fail(&self, error: &LogError) {
        self.failure.borrow_mut().get_or_insert_with(|| error.clone());
        self.room.notify_all();
    }

    /// Waits until some entries may wait.
    pub(super) async fn room(&self) -> Result<(), LogError> {
        loop {
            let notified = self.room.notified();
            self.check()?;
            if self.waiting_bytes.get() < WAITING_MAX {
                return Ok(());
            }
            notified.await;
        }
    }

    /// Accepts entries behind the last one, and stamps them; how many.
    pub(super) fn accept(
        &self,
        entries: impl IntoIterator<Item = EntryOf<Types>>,
    ) -> Result<usize, LogError> {
        let mut accepted = Vec::new();
        let (mut last, mut timestamp) = (self.last.get(), self.last_timestamp.get());
        for mut entry in entries {
            let (expected, found) = (behind(last.as_ref()).0, entry.log_id.index);
            // A log that nothing was ever in begins with whatever comes first.
            if found != expected && last.is_some() {
                return Err(LogError::Gap { expected, found });
            }
            if let EntryPayload::Membership(group) = &entry.payload
                && let Some(label) = too_long(group)
            {
                return Err(LogError::Label { label: label.to_owned(), max: Member::LABEL_MAX });
            }
            assert!(last <= Some(entry.log_id), "terms never fall along a log");
            timestamp = stamp(&mut entry, timestamp);
            last = Some(entry.log_id);
            accepted.push(entry);
        }
        let (count, bytes) = (accepted.len(), accepted.iter().map(weight).sum::<usize>());
        self.waiting.borrow_mut().extend(accepted);
        self.waiting_bytes.set(self.waiting_bytes.get() + bytes);
        self.last.set(last);
        self.last_timestamp.set(timestamp);
        Ok(count)
    }

    /// Bytes of those that wait, but for the oldest ones.
    pub(super) fn weight_behind(&self, skipped: usize, count: usize) -> usize {
        self.waiting.borrow().iter().skip(skipped).take(count).map(weight).sum()
    }

    /// The oldest of those that wait.
    pub(super) fn oldest(&self, count: usize) -> Vec<EntryOf<Types>> {
        self.waiting.borrow().iter().take(count).cloned().collect()
    }

    /// The oldest of those that waited are written.
    pub(super) fn written(&self, count: usize) {
        let bytes: usize =
            self.waiting.borrow_mut().drain(..count).map(|entry| weight(&entry)).sum();
        self.waiting_bytes.set(self.waiting_bytes.get() - bytes);
        self.room.notify_all();
    }

    /// The part of `range` that is there, as of now: the indexes that are written, and entries behind them that are
    /// not, `max_bytes` of them or one.
    pub(super) fn split(
        &self,
        range: &Range<u64>,
        max_bytes: usize,
    ) -> (Range<LogIndex>, Vec<EntryOf<Types>>) {
        let waiting = self.waiting.borrow();
        let written = waiting.front().map_or(self.end(), |entry| entry.log_id.index);
        let from = range.start.max(self.begin());
        let mut bytes = 0;
        let skipped = usize::try_from(from.saturating_sub(written)).unwrap_or(usize::MAX);
        let fits = |entry: &&EntryOf<Types>| {
            let is_first = bytes == 0;
            bytes += weight(entry);
            entry.log_id.index < range.end && (is_first || bytes <= max_bytes)
        };
        let behind = waiting.iter().skip(skipped).take_while(fits).cloned().collect();
        (LogIndex(from)..LogIndex(range.end.min(written)), behind)
    }
}
