//! Placing what a leader appends when it is accepted, before it is written.
//!
//! A leader's entries go to its own disk and to its followers at the same time. So where they lie, how queues count and
//! what the headers say is settled when they are accepted, one after the other, and nothing of it changes later:
//! what is written, what is sent and what readers are given is the same memory.

use std::cell::Cell;
use std::rc::Rc;

use model::{LogIndex, PhysicalOffset, Term, UnixMillis};
use runtime::{BLOCK, Buffer, Slice};

use crate::batch::Batch;
use crate::entry::{ENTRY_HEADER_LEN, Kind, Local, Replicated, entry_len};
use crate::entry_log::EntryHead;
use crate::place::{LogEnd, PlacedEntry, entry_start};
use crate::position::Position;
use crate::tip::{continue_block, keep_block};

/// Entries that were taken from the store together and have no place in the log. They get one by [`Placer::place`].
#[derive(Debug)]
pub struct Unplaced(pub(crate) Batch);

impl Unplaced {
    /// Bytes of its entries.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many entries it has; one at least.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.0.entries.len()
    }
}

/// Entries that are placed and not written yet: those of one write.
#[derive(Debug)]
pub struct Placed {
    /// Whole blocks, with the block that the log ended in.
    pub(crate) buf: Rc<Buffer>,
    /// Bytes of memory behind `buf`.
    pub(crate) memory: usize,
    pub(crate) base: PhysicalOffset,
    pub(crate) start: PhysicalOffset,
    pub(crate) end: PhysicalOffset,
    pub(crate) entries: Vec<PlacedEntry>,
    generation: u64,
}

impl Placed {
    /// Its entries, with their payloads.
    pub fn entries(&self) -> impl Iterator<Item = (EntryHead, Slice)> {
        self.entries.iter().map(|entry| {
            let from = entry.at + ENTRY_HEADER_LEN;
            let payload = from..from + entry.header.payload_len as usize;
            (EntryHead::of(&entry.header), Slice::new(Rc::clone(&self.buf), payload))
        })
    }

    /// The log's end behind the entry with this header.
    pub(crate) fn behind(&self, header: &Replicated) -> Position {
        Position::behind(header, self.generation)
    }
}

/// Places entries behind a log. It knows the log's end; so it must be given all that is appended, from when it was made
/// on, and is of no use once anything was cut.
#[derive(Debug)]
pub struct Placer {
    pub(crate) end: LogEnd,
    pub(crate) term: Term,
    pub(crate) generation: u64,
    /// The block that the log ends in, up to that end.
    pub(crate) last_block: Vec<u8>,
    pub(crate) segment_size: u64,
    pub(crate) durable: Rc<Cell<PhysicalOffset>>,
    /// Entries before this index are committed.
    pub(crate) committed: Rc<Cell<LogIndex>>,
}

impl Placer {
    /// The term in which it places entries.
    #[must_use]
    pub fn term(&self) -> Term {
        self.term
    }

    /// Index of the next entry.
    #[must_use]
    pub fn next(&self) -> LogIndex {
        self.end.index
    }

    /// Places these entries; `now` is the wall clock. It comes in several pieces only where something was placed
    /// that the one who laid them down did not expect.
    pub fn place(&mut self, unplaced: Unplaced, now: UnixMillis) -> Vec<Placed> {
        let Unplaced(mut batch) = unplaced;
        let first = batch.entries.first().expect("there is an entry");
        let expected =
            entry_start(self.end.offset, entry_len(first.payload_len) as u64, self.segment_size);
        if batch.start == expected {
            return vec![self.place_batch(batch, now)];
        }
        let entries = std::mem::take(&mut batch.entries);
        let alone = |entry| {
            let alone = batch.alone(entry, self.end.offset, self.segment_size);
            self.place_batch(alone, now)
        };
        entries.into_iter().map(alone).collect()
    }

    /// Places an entry of the group's own, which has the time of the one before it.
    pub fn place_own(&mut self, kind: Kind, payload: &[u8]) -> Placed {
        assert!(matches!(kind, Kind::Blank | Kind::Membership), "all else comes from the store");
        let len = entry_len(payload.len());
        let mut batch = Batch::open(self.end.offset, len, self.segment_size, 0);
        let at = batch.begin(kind, payload.len()).at + ENTRY_HEADER_LEN;
        batch.buf[at..at + payload.len()].copy_from_slice(payload);
        self.place_batch(batch.close(), self.end.timestamp)
    }

    fn place_batch(&mut self, mut batch: Batch, now: UnixMillis) -> Placed {
        let local = Local {
            generation: self.generation,
            durable_through: self.durable.get(),
            committed: self.committed.get(),
        };
        if batch.start.0 / self.segment_size != self.end.offset.0 / self.segment_size {
            self.last_block.clear(); // what follows is another file's
        }
        let entries = self.end.place(&mut batch, self.term, local, now);
        let Batch { mut buf, memory, base, start, end, .. } = batch;
        let residue = usize::try_from(start.since(base)).expect("less than a block");
        continue_block(&mut buf, residue, &self.last_block);
        keep_block(&mut self.last_block, &buf, end);
        assert!(buf.len().is_multiple_of(BLOCK), "whole blocks are written");
        let end = base.plus(end as u64);
        assert_eq!(end, self.end.offset, "the log ends behind what was placed");
        let generation = self.generation;
        Placed { buf: Rc::new(buf), memory, base, start, end, entries, generation }
    }
}

#[cfg(test)]
mod tests;
