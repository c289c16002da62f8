//! What the log's owner, its readers and its writer share, all on one executor.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use model::{LogIndex, UnixMillis};
use openraft::EntryPayload;
use openraft::type_config::alias::{EntryOf, LogIdOf, VoteOf};
use runtime::channel::Notify;
use runtime::{Instant, now};
use storage::{EntryReader, LogState, Placed};

use super::entry::{behind, id_before, stamp, weight};
use super::error::LogError;
use super::membership::too_long;
use super::newest::Newest;
use super::placing::{Accepted, Placing};
use crate::types::{Member, Types};

/// Bytes of memory that entries have which wait to be written. Whoever appends more waits.
pub(super) const WAITING_MAX: usize = 64 * 1024 * 1024;
/// Bytes of memory that entries have which are written and kept all the same.
const KEPT_MAX: usize = 8 * 1024 * 1024;

/// What is written next.
pub(super) enum Unit {
    /// Entries that are placed.
    Placed(Placed),
    /// An entry that is laid down when it is written.
    Copied,
}

/// The log as it was accepted; what of it is written is the writer's matter.
pub(super) struct Shared {
    /// What is written.
    pub reader: EntryReader,
    /// The newest entries: what is accepted and not written, and before it some of what is, for those who replicate it
    /// and apply it.
    newest: RefCell<Newest>,
    /// Since when some wait and none was written.
    waiting_since: Cell<Option<Instant>>,
    /// How those that wait are written.
    units: RefCell<VecDeque<Unit>>,
    pub placing: RefCell<Placing>,
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
    /// What was read last and was damaged: openraft tells no more of an error than its text.
    damaged: RefCell<Option<LogError>>,
    /// What the group is called, once somebody has said it.
    pub group: OnceCell<Arc<str>>,
    /// An empty log takes whatever comes first, which openraft's suite wants.
    pub(super) begins_anywhere: Cell<bool>,
    /// A follower wants entries that cannot be read here: since when, and when that was seen last.
    unreadable: Cell<Option<(Instant, Instant)>>,
}

impl Shared {
    /// For a log that was opened.
    pub(super) fn new(reader: EntryReader, vote: Option<VoteOf<Types>>) -> Self {
        Self {
            reader,
            newest: RefCell::default(),
            waiting_since: Cell::new(None),
            units: RefCell::default(),
            placing: RefCell::default(),
            room: Notify::new(),
            last: Cell::new(None),
            last_timestamp: Cell::new(UnixMillis(0)),
            purged: Cell::new(None),
            committed: Cell::new(None),
            vote: Cell::new(vote),
            cuts: Cell::new(0),
            failure: RefCell::default(),
            damaged: RefCell::default(),
            group: OnceCell::new(),
            begins_anywhere: Cell::new(false),
            unreadable: Cell::new(None),
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
        assert!(self.is_drained(), "what is under way comes first");
        self.newest.borrow_mut().clear();
        self.cuts.set(self.cuts.get() + 1);
    }

    /// The log is what is written, of which entries are gone.
    pub(super) fn follow(&self, log: &LogState) {
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

    /// Something could not be read.
    pub(super) fn note_damage(&self, error: LogError) -> LogError {
        if error.damaged_at().is_some() {
            self.damaged.replace(Some(error.clone()));
        }
        error
    }

    /// What was read last and was damaged.
    pub(super) fn damaged(&self) -> Option<LogError> {
        self.damaged.borrow().clone()
    }

    /// A follower wants entries that cannot be read. Whether that is news: none did within `last`.
    pub(super) fn not_readable(&self, last: Duration) -> bool {
        let before = self.unreadable_since(last);
        self.unreadable.set(Some((before.unwrap_or_else(now), now())));
        before.is_none()
    }

    /// Since when a follower has wanted entries that cannot be read, if one did within `last`.
    pub(super) fn unreadable_since(&self, last: Duration) -> Option<Instant> {
        let (since, seen) = self.unreadable.get()?;
        (seen.elapsed() <= last).then_some(since)
    }

    /// Waits until some entries may wait.
    pub(super) async fn room(&self) -> Result<(), LogError> {
        loop {
            let notified = self.room.notified();
            self.check()?;
            if self.newest.borrow().waiting_memory() < WAITING_MAX {
                return Ok(());
            }
            notified.await;
        }
    }

    /// Accepts entries behind the last one, and places or stamps them; how many.
    pub(super) fn accept(
        &self,
        entries: impl IntoIterator<Item = EntryOf<Types>>,
    ) -> Result<usize, LogError> {
        let (mut accepted, mut units) = (Vec::new(), Vec::new());
        let (mut last, mut timestamp) = (self.last.get(), self.last_timestamp.get());
        let mut placing = self.placing.borrow_mut();
        for entry in entries {
            let (expected, found) = (behind(last.as_ref()).0, entry.log_id.index);
            // A log that nothing was ever in has no history for an entry that is not the first: what is before it may be on its
            // way here in a snapshot, which then gives the log up.
            if found != expected && !(last.is_none() && self.begins_anywhere.get()) {
                return Err(LogError::Gap { expected, found });
            }
            if let EntryPayload::Membership(group) = &entry.payload
                && let Some(label) = too_long(group)
            {
                return Err(LogError::Label { label: label.to_owned(), max: Member::LABEL_MAX });
            }
            assert!(last <= Some(entry.log_id), "terms never fall along a log");
            last = Some(entry.log_id);
            match placing.place(entry)? {
                Accepted::Placed(placed, entry) => {
                    units.extend(placed.into_iter().map(Unit::Placed));
                    accepted.push(entry);
                }
                Accepted::Copied(mut entry) => {
                    timestamp = stamp(&mut entry, timestamp);
                    units.push(Unit::Copied);
                    accepted.push(entry);
                }
            }
        }
        placing.settled();
        let count = accepted.len();
        self.units.borrow_mut().extend(units);
        let mut newest = self.newest.borrow_mut();
        accepted.into_iter().for_each(|entry| newest.push(entry));
        if count > 0 && self.waiting_since.get().is_none() {
            self.waiting_since.set(Some(now()));
        }
        self.last.set(last);
        self.last_timestamp.set(timestamp);
        Ok(count)
    }

    /// Bytes of those that wait, but for the oldest ones.
    pub(super) fn weight_behind(&self, skipped: usize, count: usize) -> usize {
        self.newest.borrow().weight_behind(skipped, count)
    }

    /// The oldest of those that wait, `count` at most, which are written in the same way: entries to be laid down, or
    /// those of one unit that is placed, which is taken.
    pub(super) fn next(&self, count: usize) -> (Vec<EntryOf<Types>>, Option<Placed>) {
        let mut units = self.units.borrow_mut();
        let copied = units.iter().take(count).take_while(|unit| matches!(unit, Unit::Copied));
        let copied = copied.count();
        if copied > 0 {
            units.drain(..copied);
            let newest = self.newest.borrow();
            return (newest.waiting().take(copied).cloned().collect(), None);
        }
        match units.pop_front() {
            Some(Unit::Placed(placed)) => (Vec::new(), Some(placed)),
            _ => (Vec::new(), None),
        }
    }

    /// Bytes of those that wait, as they are written.
    pub(super) fn waiting_bytes(&self) -> usize {
        let newest = self.newest.borrow();
        newest.weight_behind(0, newest.count_waiting())
    }

    /// Whether nothing waits.
    pub(super) fn is_drained(&self) -> bool {
        self.newest.borrow().count_waiting() == 0
    }

    /// Index behind the last entry that is written.
    pub(super) fn written_end(&self) -> u64 {
        self.end() - self.newest.borrow().count_waiting() as u64
    }

    /// Since when entries wait, and none was written.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        self.waiting_since.get()
    }

    /// Waits until all that was accepted is written, or nothing is written any more. Cancel safe.
    pub(super) async fn drained(&self) -> Result<(), LogError> {
        loop {
            let notified = self.room.notified();
            self.check()?;
            if self.is_drained() {
                return Ok(());
            }
            notified.await;
        }
    }

    /// The oldest of those that waited are written.
    pub(super) fn written(&self, count: usize) {
        self.newest.borrow_mut().written(count, KEPT_MAX);
        self.waiting_since.set((!self.is_drained()).then(now));
        self.room.notify_all();
    }

    /// The part of `range` that is there, as of now: the indexes that are only on the disk, and entries behind them,
    /// `max_bytes` of them or one.
    pub(super) fn split(
        &self,
        range: &Range<u64>,
        max_bytes: usize,
    ) -> (Range<LogIndex>, Vec<EntryOf<Types>>) {
        let newest = self.newest.borrow();
        let written = newest.first().unwrap_or(self.end());
        let from = range.start.max(self.begin());
        let mut bytes = 0;
        let skipped = usize::try_from(from.saturating_sub(written)).unwrap_or(usize::MAX);
        let fits = |entry: &&EntryOf<Types>| {
            let is_first = bytes == 0;
            bytes += weight(entry);
            entry.log_id.index < range.end && (is_first || bytes <= max_bytes)
        };
        let behind = newest.behind(skipped).take_while(fits).cloned().collect();
        (LogIndex(from)..LogIndex(range.end.min(written)), behind)
    }
}
