//! The log of a member of a group: its store applies what is committed, and takes appends while the group says so.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use model::{LogIndex, PhysicalOffset, Term};
use runtime::IoError;
use runtime::channel::Flag;

use super::error::EntryLogError;
use super::marks::Marks;
use super::reader::Shared;
use super::{EntryLog, EntryReader};
use crate::identity::StoreId;
use crate::member::ahead::{Ahead, Written};
use crate::open::{self, Locks};
use crate::place::LogEnd;
use crate::placer::{Placed, Placer};
use crate::position::Position;
use crate::segment::SegmentHeader;
use crate::store::{Inner, Phase};
use crate::tail::Part;
use crate::tip::{Before, Tip, note_segment};
use crate::vote::VoteFile;

/// Whom the log belongs to beside its writer.
pub(super) enum Owner {
    /// Nobody: what entries mean is not looked at.
    Nobody { _locks: Locks },
    /// The store of a member, which applies what the group commits. The flag is raised when the log is closed.
    Member { ahead: Rc<Ahead>, closed: Flag },
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Self::Member { ahead, closed } = self {
            closed.raise();
            ahead.close();
            ahead.inner.alarm.notify_one();
        }
    }
}

impl Owner {
    /// Whether something else of the store has failed, such as a flush of another file: what was written since may be lost,
    /// and a flush of the log would not tell.
    pub(super) fn has_failed(&self) -> bool {
        match self {
            Self::Nobody { .. } => false,
            Self::Member { ahead, .. } => ahead.inner.failed.is_raised(),
        }
    }

    pub(super) fn inner(&self) -> Option<Rc<Inner>> {
        match self {
            Self::Nobody { .. } => None,
            Self::Member { ahead, .. } => Some(Rc::clone(&ahead.inner)),
        }
    }
}

/// What the log of a member is made of.
pub(crate) struct OfMember {
    pub ahead: Rc<Ahead>,
    pub tip: Tip,
    pub vote: VoteFile,
    pub end: Position,
    pub generation: u64,
    pub marks: Marks,
    /// Entries before this index are committed.
    pub committed: LogIndex,
    /// To be raised when the log is closed.
    pub closed: Flag,
}

impl EntryLog {
    /// The log of a member, which was read to its `end`; entries before `committed` are committed.
    pub(crate) fn of_member(read: OfMember) -> Self {
        let OfMember { ahead, tip, vote, end, generation, marks, committed, closed } = read;
        let shared = Shared {
            log: Rc::clone(&tip.log),
            vote: Cell::new(vote.vote()),
            end: Cell::new(end),
            committed: Rc::new(Cell::new(committed)),
            marks: RefCell::new(marks),
            cuts: Cell::new(0),
            spots: Rc::clone(&ahead.inner.spots),
            reach: PhysicalOffset(u64::MAX),
        };
        let (max_batch, unmarked) =
            (ahead.inner.options.max_batch, ahead.inner.options.scale.furthest);
        let (shared, failed) = (Rc::new(shared), false);
        ahead.opened(EntryReader { shared: Rc::clone(&shared) });
        let owner = Owner::Member { ahead, closed };
        Self { tip, vote, end, generation, max_batch, unmarked, shared, failed, owner }
    }

    /// Lets the store of this member take appends in `term`: they are placed by what this returns, behind the log as
    /// it is. `None` while there is an entry that is not applied, or none of that term.
    ///
    /// # Panics
    /// When the log is no member's, or its store takes appends already.
    #[must_use]
    pub fn take_placer(&self, term: Term) -> Option<Placer> {
        let Owner::Member { ahead, .. } = &self.owner else {
            panic!("only the log of a member places what its store takes")
        };
        if ahead.inner.phase.get() != Phase::Elsewhere {
            return None;
        }
        let applied = ahead.is_empty() && ahead.inner.committed.get() == self.end.offset;
        if !applied || self.end.term != term {
            return None;
        }
        ahead.inner.take_appends(self.end.offset);
        let Position { offset, index, chain, timestamp, .. } = self.end;
        let topics = ahead.inner.index.borrow().topics().clone();
        Some(Placer {
            end: LogEnd { index, offset, chain, timestamp, topics },
            term,
            generation: self.generation,
            last_block: self.tip.last_block.clone(),
            segment_size: self.tip.log.segment_size,
            durable: Rc::clone(&self.tip.durable),
            committed: Rc::clone(&self.shared.committed),
        })
    }

    /// Lets the log, in which nothing ever was, begin as that of the store `founder` does: entries continue each other
    /// from there, and are the same bytes in every member of a group.
    ///
    /// # Errors
    /// [`EntryLogError`].
    ///
    /// # Panics
    /// When there was an entry.
    pub async fn begin_as(&mut self, founder: StoreId) -> Result<(), EntryLogError> {
        self.check()?;
        assert_eq!(self.end.index, LogIndex(0), "a log begins once");
        let chain = open::first_chain(founder);
        if chain == self.end.chain {
            return Ok(());
        }
        let oldest = Rc::clone(self.tip.log.all().first().expect("a log has a segment"));
        let header = SegmentHeader { chain, ..oldest.header };
        let rewritten = oldest.rewrite(header, self.tip.method).await;
        let rewritten = self.note(rewritten)?;
        self.tip.log.replace(rewritten);
        self.end.chain = chain;
        self.shared.begin(self.end);
        Ok(())
    }

    /// Appends entries that were placed behind the log; as [`EntryLog::append`].
    ///
    /// # Errors
    /// [`EntryLogError`].
    ///
    /// # Panics
    /// When they were not placed behind the log.
    pub async fn append_placed(&mut self, placed: Placed) -> Result<(), EntryLogError> {
        self.check()?;
        let written = self.write_placed(placed).await;
        self.note(written)
    }

    async fn write_placed(&mut self, placed: Placed) -> Result<(), IoError> {
        let first = placed.entries.first().expect("something was placed").header;
        assert_eq!((first.index, placed.start), (self.end.index, first.offset), "it is next");
        let place = self.place(first.payload_len as usize);
        assert_eq!(place, placed.start, "it was placed behind the log");
        let began = runtime::now();
        self.mark_before(placed.end).await?;
        let Position { offset, index, chain, .. } = self.end;
        let segment = self.tip.segment_for(placed.start, Before { offset, index, chain }).await?;
        let residue = usize::try_from(placed.start.since(placed.base)).expect("less than a block");
        let used = usize::try_from(placed.end.since(placed.base)).expect("it lies in memory");
        let inner = self.owner.inner();
        let writing = inner.as_ref().map(|inner| inner.cache.log_writes());
        self.tip.write_whole(&segment, &placed.buf, placed.base, residue..used).await?;
        drop(writing);
        note_segment(&mut self.vote, placed.start, self.tip.log.segment_size).await?;
        let Placed { ref buf, memory, base, start, end, .. } = placed;
        let part = Part { buf: Rc::clone(buf), memory, base, start, end };
        let ends: Vec<_> =
            placed.entries.iter().map(|entry| placed.behind(&entry.header)).collect();
        let written = placed.entries.into_iter().zip(ends).map(|(entry, end)| Written {
            header: entry.header,
            end,
            records: Some(entry.records),
        });
        self.entered(written.collect(), part, began.elapsed());
        Ok(())
    }

    /// Entries are written behind the log, which took so long.
    pub(super) fn entered(&mut self, written: Vec<Written>, part: Part, took: Duration) {
        let end = written.last().expect("something was written").end;
        assert_eq!(end.offset, part.end, "the log ends where the buffer does");
        let mut marks = self.shared.marks.borrow_mut();
        written.iter().for_each(|entry| marks.note(entry.end));
        self.end = end;
        self.shared.end.set(end);
        if let Owner::Member { ahead, .. } = &self.owner {
            let records = written.iter().map(|entry| u64::from(entry.header.records)).sum();
            ahead.inner.counters.count(part.end.since(part.start), records, took);
            ahead.written(written, part);
        }
    }
}
