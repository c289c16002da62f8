//! Whether the entries of another member are those that a damaged part of the log had.

use std::rc::Rc;

use model::{LogIndex, PhysicalOffset};
use runtime::BLOCK;
use thiserror::Error;

use super::look::{Damage, replay_from};
use super::patch::{Patch, Piece};
use crate::entry::{ENTRY_HEADER_LEN, Replicated, entry_len};
use crate::entry_log::{EntryHead, EntryReader, Shared};
use crate::error::StoreError;
use crate::options::largest_entry_in;
use crate::place::entry_start;
use crate::position::Position;
use crate::replay::Replay;

/// Bytes of entries that are written at a time, but for the last one.
const PIECE: u64 = 1024 * 1024;

/// Why entries of another member cannot take the place of what is damaged here. Nothing was written of them.
#[derive(Debug, Error)]
pub enum Misfit {
    /// They do not follow each other.
    #[error("it sends entry {found} where {expected} is next")]
    Order {
        /// The index that is next.
        expected: LogIndex,
        /// The index that came.
        found: LogIndex,
    },
    /// Terms and times never fall along a log.
    #[error("the term or the time of its entry {0} is older than that of the entry before")]
    Falls(LogIndex),
    /// No entry is so large.
    #[error("its entry {0} is larger than one can be")]
    TooLarge(LogIndex),
    /// They do not continue what is intact here.
    #[error(
        "its entry {index} has the chain {theirs:#010x}, and would have {ours:#010x} in this log: they are not the same"
    )]
    Chain {
        /// Index of the entry.
        index: LogIndex,
        /// The chain that it comes to here.
        ours: u32,
        /// The chain that it has there.
        theirs: u32,
    },
    /// They do not come to what is intact here.
    #[error("its entries do not come to what is known of this log before entry {0}")]
    Elsewhere(LogIndex),
    /// They reach further than what this member knows to be committed.
    #[error(
        "entries before {committed} are known to be committed, and no intact one follows the damage there"
    )]
    Uncommitted {
        /// Index of the first one that is not.
        committed: LogIndex,
    },
    /// What was got once more is something else.
    #[error("what it sends once more is not what it has sent first, at entry {0}")]
    Changed(LogIndex),
    /// They go on where this log has never been.
    #[error(
        "nothing intact follows up to offset {0}, further than which this log cannot reach: its end is what is damaged"
    )]
    Endless(PhysicalOffset),
    /// The log is not there.
    #[error(
        "the log has no segment there: it was trimmed or cut meanwhile, or its end is what is damaged"
    )]
    Gone,
    /// What was written cannot be read back.
    #[error("it was written, and is not what is read back: {0}. The device is broken there")]
    NotKept(String),
    /// Bytes around the damage are needed, and the disk does not give them any more.
    #[error("what lies right behind the damage cannot be read any more: {0}")]
    Edge(String),
    /// The disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Entries of another member, one after the other, until they come to what is intact. Writes nothing. It is given up by being
/// dropped.
pub struct Proof {
    shared: Rc<Shared>,
    /// Only what is before this entry is repaired.
    committed: LogIndex,
    /// Behind what was taken.
    at: Position,
    pieces: Vec<Piece>,
    /// Where the piece begins that grows.
    begin: Position,
    replay: Replay,
    /// A block that the disk does not give: it is not asked for again.
    unreadable: Option<u64>,
    cuts: u64,
    /// Behind this nothing intact can follow.
    reach: PhysicalOffset,
}

impl EntryReader {
    /// Begins to prove entries for what is damaged here, of which those before `committed` are committed.
    #[must_use]
    pub fn prove(&self, damage: &Damage, committed: LogIndex) -> Proof {
        let (shared, at) = (Rc::clone(&self.shared), damage.at);
        let mut replay = replay_from(&shared, at);
        replay.read_narrowly();
        let cuts = shared.cuts.get();
        let (pieces, unreadable) = Default::default();
        // A log that has come further than it may has lost what tells how far that is.
        let reach = Some(shared.reach).filter(|reach| at.offset <= *reach);
        let reach = reach.unwrap_or(PhysicalOffset(u64::MAX));
        Proof { shared, committed, at, pieces, begin: at, replay, unreadable, cuts, reach }
    }
}

impl Proof {
    /// Index of the entry that is next.
    #[must_use]
    pub fn next(&self) -> LogIndex {
        self.at.index
    }

    /// Takes the next entry. When it came to what is intact, what is to be written.
    ///
    /// # Errors
    /// [`Misfit`]: this member's entries are not what is damaged here, or that is not known.
    pub async fn take(
        &mut self,
        head: &EntryHead,
        payload: &[u8],
    ) -> Result<Option<Patch>, Misfit> {
        if head.index >= self.committed {
            return Err(Misfit::Uncommitted { committed: self.committed });
        }
        let header = self.lay(head, payload)?;
        if self.shared.cuts.get() != self.cuts || self.shared.log.at(header.offset).is_none() {
            return Err(Misfit::Gone);
        }
        self.at = Position::behind(&header, 0);
        if self.at.offset > self.reach {
            return Err(Misfit::Endless(self.reach));
        }
        self.meets_mark()?;
        if self.at.offset.since(self.begin.offset) >= PIECE {
            self.end_piece();
        }
        let generation = self.joins().await?;
        Ok(generation.map(|generation| self.done(generation)))
    }

    /// The header that the entry has in this log.
    fn lay(&mut self, head: &EntryHead, payload: &[u8]) -> Result<Replicated, Misfit> {
        let size = self.shared.log.segment_size;
        let header = fit(self.at, head, payload, size)?;
        if header.offset != self.at.offset {
            self.enter_segment(header.offset)?;
        }
        Ok(header)
    }

    /// The next segment tells what it continues.
    fn enter_segment(&mut self, first: PhysicalOffset) -> Result<(), Misfit> {
        let segment = self.shared.log.at(first).ok_or(Misfit::Gone)?;
        if (segment.header.index, segment.header.chain) != (self.at.index, self.at.chain) {
            return Err(Misfit::Elsewhere(self.at.index));
        }
        self.end_piece();
        self.at.offset = first;
        self.begin = self.at;
        Ok(())
    }

    fn end_piece(&mut self) {
        if self.at.index > self.begin.index {
            self.pieces.push(Piece { begin: self.begin, end: self.at, is_last: false });
            self.begin = self.at;
        }
    }

    /// Where something is known of the log it must be that.
    fn meets_mark(&self) -> Result<(), Misfit> {
        let Some(mark) = self.shared.marks.borrow().at(self.at.index) else { return Ok(()) };
        // What begins a segment stands for its first entry, and for the end of the one before.
        let is_next_segment = self.shared.log.at(mark.offset).is_some_and(|segment| {
            segment.first_entry() == mark.offset && self.at.offset <= segment.header.base
        });
        let is_here = mark.offset == self.at.offset || is_next_segment;
        let meets = is_here && mark.chain == self.at.chain;
        if meets { Ok(()) } else { Err(Misfit::Elsewhere(self.at.index)) }
    }

    /// Whether what is intact here follows what was taken: the generation that all of it may have, then.
    async fn joins(&mut self) -> Result<Option<u64>, Misfit> {
        let end = self.shared.end.get();
        if self.at.index == end.index {
            let is_end = (self.at.offset, self.at.chain) == (end.offset, end.chain);
            return if is_end {
                Ok(Some(end.generation))
            } else {
                Err(Misfit::Elsewhere(end.index))
            };
        }
        let block = self.at.offset.0 / BLOCK as u64;
        if self.unreadable == Some(block) || self.shared.log.at(self.at.offset).is_none() {
            return Ok(None);
        }
        self.replay.stand_at(self.at);
        match self.replay.step().await? {
            Ok(entry) => Ok(Some(entry.local.generation)),
            Err(unsound) => {
                self.unreadable = unsound.is_unreadable.then_some(block);
                Ok(None)
            }
        }
    }

    fn done(&mut self, generation: u64) -> Patch {
        self.end_piece();
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.last_mut().expect("an entry was taken").is_last = true;
        Patch { pieces, generation }
    }
}

/// The header of an entry behind a log that ends at `at`.
pub(crate) fn fit(
    at: Position,
    head: &EntryHead,
    payload: &[u8],
    segment_size: u64,
) -> Result<Replicated, Misfit> {
    let EntryHead { index, term, kind, timestamp, records, chain } = *head;
    if index != at.index {
        return Err(Misfit::Order { expected: at.index, found: index });
    }
    if term < at.term || timestamp < at.timestamp {
        return Err(Misfit::Falls(index));
    }
    let len = entry_len(payload.len()) as u64;
    if len > largest_entry_in(segment_size) {
        return Err(Misfit::TooLarge(index));
    }
    let offset = entry_start(at.offset, len, segment_size);
    let payload_len = u32::try_from(payload.len()).expect("it fits into a segment");
    let mut header =
        Replicated { chain: 0, payload_len, kind, index, term, offset, timestamp, records };
    header.chain = header.encode(at.chain, &mut [0; ENTRY_HEADER_LEN], crc32c::crc32c(payload));
    match chain {
        Some(theirs) if theirs != header.chain => {
            Err(Misfit::Chain { index, ours: header.chain, theirs })
        }
        Some(_) | None => Ok(header),
    }
}
