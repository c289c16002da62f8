//! What can be wrong with bytes.

use thiserror::Error;

/// Why bytes of a peer are not what they should be. A peer of the same version never sends them: they come from damage
/// on the way, from a bug, or from somebody who is no member.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// Too few bytes.
    #[error("it ends too early")]
    Short,
    /// Too many bytes.
    #[error("{0} bytes follow where it should end")]
    Long(usize),
    /// Bytes that have no meaning yet are used.
    #[error("bytes that should be zero are not")]
    NotZero,
    /// Not our protocol.
    #[error("it does not begin like a message between the members of a group")]
    Magic,
    /// The checksum is another one.
    #[error("its CRC does not match")]
    Crc,
    /// A frame that is longer than one may be.
    #[error("a frame of {len} bytes, where {max} are the limit")]
    TooLong {
        /// Bytes of its body.
        len: usize,
        /// The most that there may be.
        max: usize,
    },
    /// A byte that names one of several cases names none.
    #[error("{what} {found} is not known")]
    Case {
        /// What the byte says.
        what: &'static str,
        /// What it is.
        found: u8,
    },
    /// A text that is none.
    #[error("{0} is no line of UTF-8 text")]
    Text(&'static str),
    /// A number with two forms, in the wrong one.
    #[error("a log id is neither one nor none")]
    LogId,
    /// A leader's request without a leader's vote.
    #[error("the vote in it was never granted by a majority, and only a leader sends this")]
    NoLeader,
    /// Entries that do not follow each other.
    #[error("entry {found} stands where {expected} is next")]
    Gap {
        /// The index that is next.
        expected: u64,
        /// The index that is there.
        found: u64,
    },
    /// Terms never fall along a log.
    #[error("entry {index} is of term {found}, behind one of term {before}")]
    TermFalls {
        /// The entry.
        index: u64,
        /// Its term.
        found: u64,
        /// The term before it, or that of the leader, which no entry exceeds.
        before: u64,
    },
    /// Somebody waits for an answer, and for no time.
    #[error("a request for whose answer no time is left")]
    NoTime,
    /// An entry that says who belongs to the group is damaged.
    #[error("who belongs to the group cannot be read: {0}")]
    Membership(&'static str),
    /// A term that no group ever comes to: the next one would have to be larger.
    #[error("{0} is no term")]
    Term(u64),
    /// A piece that reaches beyond its snapshot.
    #[error("a piece of {len} bytes at {offset} of a snapshot of {total}")]
    Piece {
        /// Where it begins.
        offset: u64,
        /// Its bytes.
        len: usize,
        /// Bytes of the whole.
        total: u64,
    },
}
