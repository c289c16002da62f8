//! Reading entries back while the log goes on.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;

use model::{LogIndex, PhysicalOffset};

use super::error::EntryLogError;
use super::marks::Marks;
use super::{EntryHead, LogEntry, first_of};
use crate::entry::entry_len;
use crate::error::StoreError;
use crate::log::Log;
use crate::member::ahead::Written;
use crate::position::Position;
use crate::repair::Spots;
use crate::replay::{Entry, Replay};
use crate::segment::SegmentHeader;
use crate::vote::Vote;

/// What the writer of a log and its readers share.
pub(crate) struct Shared {
    pub log: Rc<Log>,
    pub vote: Cell<Vote>,
    /// Behind the newest entry.
    pub end: Cell<Position>,
    /// Entries before this index are committed.
    pub committed: Rc<Cell<LogIndex>>,
    pub marks: RefCell<Marks>,
    /// How often the log was cut.
    pub cuts: Cell<u64>,
    /// Where it was found damaged.
    pub spots: Rc<Spots>,
    /// No entry begins behind this; known of a log that is only repaired.
    pub reach: PhysicalOffset,
}

impl Shared {
    /// A replay that comes to the entry `index` next, or to the log's end.
    pub(super) async fn walk_to(&self, index: LogIndex) -> Result<Replay, StoreError> {
        // A mark may lie in a segment that is gone since.
        let oldest = self.log.all().into_iter().next().expect("a log has a segment");
        let SegmentHeader { index: first, chain, .. } = oldest.header;
        let begin = Position::beginning(oldest.first_entry(), first, chain);
        let mark = self.marks.borrow().before(index);
        let from = if mark.offset < begin.offset { begin } else { mark };
        let no_limit = PhysicalOffset(u64::MAX);
        let mut replay = Replay::new(Rc::clone(&self.log), self.vote.get(), Some(from), no_limit);
        let cuts = self.cuts.get();
        while replay.position.index < index {
            self.next_of(&mut replay).await?;
            if self.cuts.get() == cuts {
                self.marks.borrow_mut().note(replay.position);
            }
        }
        Ok(replay)
    }

    /// The next entry, which must be there: damage is noted.
    pub(super) async fn next_of(&self, replay: &mut Replay) -> Result<Entry, StoreError> {
        let cuts = self.cuts.get();
        let read = next(replay).await;
        if let Err(error) = &read
            && let Some(at) = error.damaged_at()
            && self.cuts.get() == cuts
        {
            self.spots.note(at);
        }
        read
    }

    /// The log ends at `end` from now on.
    pub(super) fn cut(&self, end: Position) {
        self.cuts.set(self.cuts.get() + 1);
        self.end.set(end);
        self.marks.borrow_mut().cut(end.index);
    }

    /// The log begins at `begin`, and is empty.
    pub(super) fn begin(&self, begin: Position) {
        self.cuts.set(self.cuts.get() + 1);
        self.end.set(begin);
        self.committed.set(begin.index);
        self.marks.replace(Marks::new(begin));
    }
}

/// The next entry, which must be there.
async fn next(replay: &mut Replay) -> Result<Entry, StoreError> {
    let evidence = |replay: &Replay| {
        let index = replay.position.index;
        format!("entry {index} was written or read before")
    };
    match replay.next().await {
        Ok(Some(entry)) => Ok(entry),
        Ok(None) => Err(replay.too_short(evidence(replay)).into()),
        Err(StoreError::Io(error)) if error.is_unreadable() => {
            Err(replay.not_readable(&error, evidence(replay)).into())
        }
        Err(error) => Err(error),
    }
}

/// Reads entries of a log that is open. A cheap handle.
#[derive(Clone)]
pub struct EntryReader {
    pub(crate) shared: Rc<Shared>,
}

impl EntryReader {
    /// The entries of `range` that the log has, in order; fewer than that once they come to `max_bytes` bytes,
    /// but one if there is one. Each was checked with the one before it. Cancel safe.
    ///
    /// # Errors
    /// The disk failed, or an entry is not what was written: then none is served.
    pub async fn read(
        &self,
        range: Range<LogIndex>,
        max_bytes: usize,
    ) -> Result<Vec<LogEntry>, EntryLogError> {
        loop {
            let cuts = self.shared.cuts.get();
            let read = self.read_once(&range, max_bytes).await;
            // What was read while the log was cut may be gone, and what seems damaged is.
            if self.shared.cuts.get() == cuts {
                return Ok(read?);
            }
        }
    }

    /// As [`EntryReader::read`]; what is damaged is waited for until it is repaired, as long as there is somebody who repairs it.
    ///
    /// # Errors
    /// As there: nobody repairs it, or nobody can.
    pub async fn read_repaired(
        &self,
        range: Range<LogIndex>,
        max_bytes: usize,
    ) -> Result<Vec<LogEntry>, EntryLogError> {
        loop {
            match self.read(range.clone(), max_bytes).await {
                Ok(entries) => return Ok(entries),
                Err(EntryLogError::Store(error)) => self.repaired(error).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// As [`EntryReader::written`], and as [`EntryReader::read_repaired`].
    pub(crate) async fn written_repaired(
        &self,
        from: LogIndex,
        most: usize,
    ) -> Result<Vec<Written>, StoreError> {
        loop {
            match self.written(from, most).await {
                Ok(written) => return Ok(written),
                Err(error) => self.repaired(error).await?,
            }
        }
    }

    /// Waits until it is repaired that the log says this.
    async fn repaired(&self, error: StoreError) -> Result<(), StoreError> {
        let Some(at) = error.damaged_at() else { return Err(error) };
        if self.shared.spots.is_repaired(at).await { Ok(()) } else { Err(error) }
    }

    /// What is written of the entries from `from` on, but for their payloads; `most` of them at most. As
    /// [`EntryReader::read`].
    pub(crate) async fn written(
        &self,
        from: LogIndex,
        most: usize,
    ) -> Result<Vec<Written>, StoreError> {
        loop {
            let cuts = self.shared.cuts.get();
            let found = self.written_once(from, most).await;
            if self.shared.cuts.get() == cuts {
                return found;
            }
        }
    }

    async fn written_once(&self, from: LogIndex, most: usize) -> Result<Vec<Written>, StoreError> {
        let to = self.next().0.min(from.0.saturating_add(most as u64));
        let mut written = Vec::new();
        if from.0 >= to {
            return Ok(written);
        }
        let mut replay = self.shared.walk_to(from).await?;
        while replay.position.index.0 < to {
            let Entry { header, .. } = self.shared.next_of(&mut replay).await?;
            written.push(Written { header, end: replay.position, records: None });
        }
        Ok(written)
    }

    /// Whether the entry `index` is found at once: no more than a few MiB have to be read for it.
    #[must_use]
    pub fn is_near(&self, index: LogIndex) -> bool {
        let (first, end) = (first_of(&self.shared.log), self.shared.end.get());
        self.shared.marks.borrow().is_near(index.max(first), end.offset)
    }

    /// Index that the next entry gets.
    pub(crate) fn next(&self) -> LogIndex {
        self.shared.end.get().index
    }

    async fn read_once(
        &self,
        range: &Range<LogIndex>,
        max_bytes: usize,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let from = range.start.max(first_of(&self.shared.log));
        let to = range.end.min(self.next());
        let (mut entries, mut bytes) = (Vec::new(), 0);
        if from >= to {
            return Ok(entries);
        }
        let mut replay = self.shared.walk_to(from).await?;
        while replay.position.index < to {
            let Entry { header, payload, .. } = self.shared.next_of(&mut replay).await?;
            bytes += entry_len(payload.len());
            if bytes > max_bytes && !entries.is_empty() {
                break;
            }
            entries.push(LogEntry { head: EntryHead::of(&header), offset: header.offset, payload });
        }
        Ok(entries)
    }
}
