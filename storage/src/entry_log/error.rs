//! What can go wrong with a log of entries.

use thiserror::Error;

use crate::error::{OpenError, StoreError};

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
