//! What an operator should know of although the store does all its work.

use std::path::PathBuf;

use model::PhysicalOffset;
use runtime::IoError;
use thiserror::Error;

/// Something is not as it should be. Nothing is lost or refused for it, and it is told once until it has
/// been well again.
#[derive(Debug, Error)]
pub enum Warning {
    /// A start cannot use a checkpoint, or a file of the index.
    #[error(
        "{} cannot be used: {why}. The start goes on without it where the log has what it held, of which it then reads more; look \
         at the disk, and let `mqstore check` look at the whole store when the broker is stopped", .file.display()
    )]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A checkpoint that nobody needs stays behind.
    #[error(
        "a checkpoint that is not needed any more cannot be removed: {0}. It is tried again with the next one; look at the \
         rights of the directory, and at the disk"
    )]
    Leftover(IoError),
    /// The index of a segment stays in several files.
    #[error(
        "the index of the segment at offset {base} cannot be merged into one file: {why}. All messages are found, a little \
         slower; it is tried again every minute. {remedy}"
    )]
    Unmerged {
        /// The segment's first byte.
        base: PhysicalOffset,
        /// Why it failed.
        why: String,
        /// What to do.
        remedy: &'static str,
    },
}
