//! The versions of all that this crate writes to a disk.
//!
//! Every file says its version behind its magic number, every entry in the last byte of its own, and every
//! archive in its first byte. Each is looked at before anything else, checksums included: another version may
//! compute them in another way. `docs/format/README.md` says what to do before one is raised.

use std::path::PathBuf;

use thiserror::Error;

/// The file `store`.
pub(crate) const STORE: u8 = 1;
/// A slot of the file `vote`.
pub(crate) const VOTE: u8 = 1;
/// The same of a store that its group has given up. All others stay readable for those who know only the first.
pub(crate) const VOTE_GIVEN_UP: u8 = 2;
/// The header of a segment.
pub(crate) const SEGMENT: u8 = 1;
/// The header of an entry.
pub const ENTRY: u8 = 1;
/// A checkpoint.
pub(crate) const CHECKPOINT: u8 = 1;
/// What is archived in entries and checkpoints.
pub(crate) const ARCHIVE: u8 = 1;
/// A file of the index.
pub(crate) const INDEX: u8 = 2;

/// A file is of a version that this program does not read. It is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}: {what} of format version {found}, this broker reads {known}. It is left as it is; {}", .file.display(), remedy(*.found))]
pub struct VersionError {
    /// The file.
    pub file: PathBuf,
    /// What is in it.
    pub what: &'static str,
    /// As it says.
    pub found: u8,
    /// The version that this program reads.
    pub known: u8,
}

/// What to do about something of version `found`.
pub(crate) fn remedy(found: u8) -> &'static str {
    match found {
        0 => {
            "no release ever wrote version 0: use the build that did, or start with an empty directory"
        }
        _ => {
            "start the version that wrote it, or upgrade this one. If none did, the byte that says so is damaged: restore \
             the file from a copy"
        }
    }
}

#[cfg(test)]
mod tests;
