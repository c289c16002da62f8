//! A point of the log between two entries.

use model::{LogIndex, PhysicalOffset, Term, UnixMillis};

use crate::entry::{Replicated, entry_len};

/// All that reading the log on from a point depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Where the next entry is expected. The beginning of a segment stands for its first entry.
    pub offset: PhysicalOffset,
    /// Index that the next entry has.
    pub index: LogIndex,
    /// Term of the entry before.
    pub term: Term,
    /// The chain that the next entry continues.
    pub chain: u32,
    /// Time of the newest entry before.
    pub timestamp: UnixMillis,
    /// Generation of the entry before; generations never fall along a log.
    pub generation: u64,
    /// Where the entry before begins: what stands there tells whether a log is the one that this point
    /// belongs to.
    pub last: PhysicalOffset,
}

impl Position {
    /// Before the first entry of a log, which goes to `offset`.
    pub(crate) fn beginning(offset: PhysicalOffset, index: LogIndex, chain: u32) -> Self {
        let last = PhysicalOffset(0);
        Self { offset, index, term: Term(0), chain, timestamp: UnixMillis(0), generation: 0, last }
    }

    /// Behind the entry with this header.
    pub(crate) fn behind(header: &Replicated, generation: u64) -> Self {
        let &Replicated { chain, payload_len, index, term, offset, timestamp, .. } = header;
        let end = offset.plus(entry_len(payload_len as usize) as u64);
        let (index, last) = (index.next(), offset);
        Self { offset: end, index, term, chain, timestamp, generation, last }
    }
}
