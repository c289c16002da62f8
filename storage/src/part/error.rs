//! What can be wrong with a part's file.

use std::path::PathBuf;

use runtime::IoError;
use thiserror::Error;

use super::QueueKey;
use crate::identity::StoreId;
use crate::versions::INDEX;

/// Why a part's file cannot be used. The log is untouched by it, and holds all that the file held.
#[derive(Debug, Error)]
pub(crate) enum PartError {
    /// The disk.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The file is not what was written.
    #[error(
        "the index file {} is damaged: {why}. Nothing is served from it; the log still holds the messages: with the broker stopped, `mqstore repair` removes the file, and the next start makes it anew",
        .file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: BadPart,
    },
    /// The file is intact and another store's.
    #[error(
        "the index file {} is of store {found}, this is store {expected}; move it back to where it came from, or remove it",
        .file.display()
    )]
    Foreign {
        /// The file.
        file: PathBuf,
        /// As the file says.
        found: StoreId,
        /// As it should be.
        expected: StoreId,
    },
    /// The file was written by another version of this program.
    #[error(
        "the index file {} has format version {found}, this broker reads {INDEX}; the index is made anew from the log",
        .file.display()
    )]
    Version {
        /// The file.
        file: PathBuf,
        /// As the file says.
        found: u8,
    },
}

/// What is wrong with a part's file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum BadPart {
    #[error("its name is none of an index file")]
    Name,
    #[error("it does not begin as an index file")]
    Magic,
    #[error("it has {found} bytes, {expected} are due")]
    Length { found: u64, expected: u64 },
    #[error("the CRC-32C of block {block} does not match")]
    Crc { block: u32 },
    #[error("block {block} says that it is another one, or of another kind or size")]
    Block { block: u32 },
    #[error("its header contradicts itself")]
    Header,
    #[error("its header says another range of the log than its name")]
    Range,
    #[error("it is of another segment than the part before it")]
    Segment,
    #[error("the fences of its {0} are not what they fence off")]
    Fences(&'static str),
    #[error("its {0} are not in order")]
    Order(&'static str),
    #[error("the run of {0} leads out of the file")]
    Run(QueueKey),
    #[error("a message at {at} of {size} bytes is outside of its range")]
    Unit { at: u32, size: u32 },
    #[error("a key at {at} is outside of its range")]
    Key { at: u32 },
    #[error("{key} goes on at {found}, {expected} was due")]
    Gap { key: QueueKey, found: u64, expected: u64 },
    #[error("it is not what was read from it before")]
    Changed,
}
