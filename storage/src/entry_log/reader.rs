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
use crate::replay::{Entry, Replay};
use crate::segment::SegmentHeader;
use crate::vote::Vote;

/// What the writer of a log and its readers share.
pub(super) struct Shared {
    pub log: Rc<Log>,
    pub vote: Cell<Vote>,
    /// Index behind the newest entry.
    pub next: Cell<LogIndex>,
    /// Entries before this index are committed.
    pub committed: Rc<Cell<LogIndex>>,
    pub marks: RefCell<Marks>,
    /// How often the log was cut.
    pub cuts: Cell<u64>,
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
            next(&mut replay).await?;
            if self.cuts.get() == cuts {
                self.marks.borrow_mut().note(replay.position);
            }
        }
        Ok(replay)
    }

    /// The log ends before the entry `index` from now on.
    pub(super) fn cut(&self, index: LogIndex) {
        self.cuts.set(self.cuts.get() + 1);
        self.next.set(index);
        self.marks.borrow_mut().cut(index);
    }

    /// The log begins at `begin`, and is empty.
    pub(super) fn begin(&self, begin: Position) {
        self.cuts.set(self.cuts.get() + 1);
        for index in [&self.next, &*self.committed] {
            index.set(begin.index);
        }
        self.marks.replace(Marks::new(begin));
    }
}

/// The next entry, which must be there.
async fn next(replay: &mut Replay) -> Result<Entry, StoreError> {
    if let Some(entry) = replay.next().await? {
        return Ok(entry);
    }
    let index = replay.position.index;
    Err(replay.too_short(format!("entry {index} was written or read before")).into())
}

/// Reads entries of a log that is open. A cheap handle.
#[derive(Clone)]
pub struct EntryReader {
    pub(super) shared: Rc<Shared>,
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
            let Entry { header, .. } = next(&mut replay).await?;
            written.push(Written { header, end: replay.position, records: None });
        }
        Ok(written)
    }

    /// Index that the next entry gets.
    pub(crate) fn next(&self) -> LogIndex {
        self.shared.next.get()
    }

    async fn read_once(
        &self,
        range: &Range<LogIndex>,
        max_bytes: usize,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let from = range.start.max(first_of(&self.shared.log));
        let to = range.end.min(self.shared.next.get());
        let (mut entries, mut bytes) = (Vec::new(), 0);
        if from >= to {
            return Ok(entries);
        }
        let mut replay = self.shared.walk_to(from).await?;
        while replay.position.index < to {
            let Entry { header, payload, .. } = next(&mut replay).await?;
            bytes += entry_len(payload.len());
            if bytes > max_bytes && !entries.is_empty() {
                break;
            }
            entries.push(LogEntry { head: EntryHead::of(&header), offset: header.offset, payload });
        }
        Ok(entries)
    }
}
