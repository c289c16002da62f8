//! What can go wrong with a log of entries.

use thiserror::Error;

use crate::error::{OpenError, StoreError};

/// The log is another one than that from which an entry comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "entry {index} would have the chain {ours:#010x} in this log, and has {theirs:#010x} in the one that it comes from: it \
     is another one there, or one before it is, which must never be. It was not written, and what is there was left as it is. \
     Find out which of the members differs from the others, and start a new member in an empty directory in its place"
)]
pub struct OtherLog {
    /// Index of the entry.
    pub index: u64,
    /// The chain that it would have come to here.
    pub ours: u32,
    /// The chain that it has where it comes from.
    pub theirs: u32,
}

/// Why a call to a log did not do what was asked.
#[derive(Debug, Error)]
pub enum EntryLogError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The disk failed, or the log is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A write has failed before, and what the disk holds since is unknown.
    #[error(
        "the log has failed before and takes nothing any more. Look at the disk, then restart the broker: recovery tells \
         what is there"
    )]
    Failed,
    /// What was to be appended belongs to another log.
    #[error(transparent)]
    OtherLog(#[from] OtherLog),
    /// The log of a member has failed, and so has its store, which tells its owner the same.
    #[error("{0}")]
    Member(String),
    /// No entry may be that large.
    #[error(
        "an entry of {len} bytes is larger than the {max} that fit into a segment four times. Set \
         mappedFileSizeCommitLog or maxMessageSize accordingly"
    )]
    TooLarge {
        /// Bytes of the entry.
        len: usize,
        /// Bytes of the largest.
        max: usize,
    },
}
