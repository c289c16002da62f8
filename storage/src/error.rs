//! What can go wrong with a store, each with its remedy.

use std::path::PathBuf;
use std::sync::Arc;

use model::{PhysicalOffset, RecordError};
use runtime::IoError;
use runtime::fs::LockError;
use thiserror::Error;

use crate::checkpoint::CheckpointError;
use crate::entry_log::OtherLog;
use crate::versions::VersionError;

/// Why a store is not opened. Nothing in the directory was changed.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// The directory holds something else.
    #[error(
        "{dir} is not a store of this broker: it holds `{found}`{hint}. It is left as it is; choose an empty or \
         new directory"
    )]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// The first thing in it that is not ours.
        found: String,
        /// What it looks like.
        hint: &'static str,
    },
    /// Its identity is damaged, or was made by another format; or a segment is not the store's.
    #[error("{file}: {why}. The store is left as it is; {remedy}")]
    Identity {
        /// The identity file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do.
        remedy: &'static str,
    },
    /// One of its files is of another version.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// An option differs from what was fixed at the first start.
    #[error(
        "{dir}: the store was made with {what} = {stored}, the configuration says {configured}; it is fixed at the \
         first start. Set it back to {stored}, or use another directory"
    )]
    Fixed {
        /// The store.
        dir: PathBuf,
        /// The option, by its configuration key where it has one.
        what: &'static str,
        /// As stored.
        stored: u64,
        /// As configured.
        configured: u64,
    },
    /// The segment size does not go with the largest request.
    #[error(
        "a segment of {size} bytes is not possible: with requests of up to {request} bytes it must be a multiple of \
         4096, at least {smallest} and below 4 GiB. Set mappedFileSizeCommitLog or maxMessageSize accordingly"
    )]
    SegmentSize {
        /// As configured, in bytes.
        size: u64,
        /// Bytes of the largest request.
        request: usize,
        /// Bytes it must have.
        smallest: u64,
    },
    /// The largest request is larger than an entry can be.
    #[error(
        "requests of up to {request} bytes are not possible, {max} are the most. Lower maxMessageSize"
    )]
    RequestSize {
        /// As configured, in bytes.
        request: usize,
        /// Bytes it may have.
        max: usize,
    },
    /// The vote is unreadable in both slots.
    #[error(
        "{file}: neither slot can be read, so what this node promised is unknown. The store is left as it is. One on its own: \
         restore the file from a copy, or start with an empty directory. One of a group must not have an older vote: start it with an \
         empty directory, and have the group take it in instead of this one (`mqadmin replaceMember`)"
    )]
    Vote {
        /// The vote file.
        file: PathBuf,
    },
    /// The disk.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// The log holds something that was durable once and is not intact now.
#[derive(Debug, Error)]
#[error(
    "{segment}: damaged at offset {offset} ({why}); {evidence}, so this is no torn tail. Nothing was cut. `mqstore \
     check` tells what is intact; {}", way_out(.of_group)
)]
pub struct DamageError {
    /// The segment file.
    pub segment: PathBuf,
    /// Where the damage begins.
    pub offset: PhysicalOffset,
    /// What is wrong there.
    pub why: String,
    /// How we know that it was durable.
    pub evidence: String,
    /// The store is one of a group, which counts on what it has acknowledged.
    pub of_group: bool,
}

/// What to do about a damaged log. One of a group that forgets what it has acknowledged, and votes, makes the group forget it.
fn way_out(of_group: &bool) -> &'static str {
    match of_group {
        false => {
            "restore the segment from a copy, give up the log from here on (`mqstore repair --cut`), or start with an empty \
             directory"
        }
        true => {
            "this is one of a group, so the log must not be cut: start it with an empty storePathRootDir, and have the group take it \
             in instead of this one (`mqadmin replaceMember`)"
        }
    }
}

/// Why the log was not trimmed. Nothing was changed.
#[derive(Debug, Error)]
pub enum TrimError {
    /// A trim ends where a segment begins, behind the log's beginning and at most where the newest segment
    /// but one ends.
    #[error("the log cannot be trimmed to offset {to}: {why}")]
    Where {
        /// As asked for.
        to: PhysicalOffset,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The command was not appended.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// Why the store stopped working. It accepts nothing any more; what it holds can still be read.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The log is damaged.
    #[error(transparent)]
    Damage(#[from] DamageError),
    /// A write or flush failed; whether the bytes are on the disk is unknown, so nothing is retried.
    #[error(
        "{0}; the shard stops accepting. Mend what the error names (the disk, the rights, a limit of the process), then restart the broker: recovery tells what is there"
    )]
    Io(#[from] IoError),
    /// The log was trimmed, and what its beginning came to cannot be read.
    #[error(
        "{dir}: no checkpoint from which the log can be read is intact ({why}), and the log begins at offset {oldest}. \
         `mqstore check` tells what is intact; restore the checkpoint of that offset from a copy, or start with an empty \
         directory (one of a group is then taken in anew, with `mqadmin replaceMember`)"
    )]
    NoCheckpoint {
        /// The checkpoints.
        dir: PathBuf,
        /// What is wrong with the newest.
        why: String,
        /// Where the log begins.
        oldest: PhysicalOffset,
    },
    /// A file of the index is another store's.
    #[error("{0}")]
    Index(String),
    /// A checkpoint is not this store's, or of another version.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The disk is full, and without some space there is no going on.
    #[error(
        "{dir}: the disk is too full, {why}. Nothing is lost; free some space, then start the broker"
    )]
    Full {
        /// The store.
        dir: PathBuf,
        /// What does not go.
        why: &'static str,
    },
    /// The vote of one of a group is not its newest.
    #[error(
        "{}: the vote is of generation {known}, and the log has entries of generation {found}: the vote's newest block was lost, or \
         an older file put in its place, and what this node has promised since is forgotten. It must not vote: start it with an empty \
         directory, and have the group take it in instead of this one (`mqadmin replaceMember`)", .file.display()
    )]
    OlderVote {
        /// The vote file.
        file: PathBuf,
        /// Its generation.
        known: u64,
        /// The newest generation of the log.
        found: u64,
    },
    /// Segments at the beginning of the log are gone, and were not trimmed.
    #[error(
        "{dir}: the segments from offset {from} to {to} are missing, and no trim has given them up. `mqstore check` tells \
         what is intact; restore them from a copy, or start with an empty directory (one of a group is then taken in anew, with \
         `mqadmin replaceMember`)"
    )]
    Missing {
        /// The log's directory.
        dir: PathBuf,
        /// Where the log should begin.
        from: PhysicalOffset,
        /// Where it begins.
        to: PhysicalOffset,
    },
    /// The store is one of a group, and was opened as one on its own.
    #[error(
        "{dir} belongs to one of a group, whose others may have newer messages and disagree about its last ones. \
         Nothing was changed; start it as the member that it is (enableDLegerCommitLog, dLegerGroup, dLegerPeers and \
         dLegerSelfId as they were), or with an empty directory"
    )]
    OfGroup {
        /// The log's directory.
        dir: PathBuf,
    },
    /// The group's log is another one than this member's.
    #[error("{}: {other}", .dir.display())]
    OtherLog {
        /// The store.
        dir: PathBuf,
        /// Where they differ, and how.
        other: OtherLog,
    },
    /// An entry of the log means nothing to this version.
    #[error(
        "{}: entry {index} at offset {offset} cannot be understood ({why}); it was written by another version. Nothing was \
         changed; start that version, or upgrade this one", .segment.display()
    )]
    Foreign {
        /// The segment file.
        segment: PathBuf,
        /// Index of the entry.
        index: u64,
        /// Its offset.
        offset: PhysicalOffset,
        /// What is wrong.
        why: String,
    },
}

impl StoreError {
    /// Where the log is damaged, or seems so, if that is what is wrong: it does not hold any more what was written. A bit is enough
    /// for an entry to look as one of another version; what others have of it tells which it is.
    #[must_use]
    pub fn damaged_at(&self) -> Option<PhysicalOffset> {
        match self {
            Self::Damage(damage) => Some(damage.offset),
            Self::Foreign { offset, .. } => Some(*offset),
            _ => None,
        }
    }
}

/// Why something was not appended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AppendError {
    /// No such topic.
    #[error("the log has no topic of that name")]
    NoTopic,
    /// No such queue in the topic.
    #[error("the topic has {queues} queues, there is no queue {queue}")]
    NoQueue {
        /// As asked for.
        queue: u32,
        /// As many as there are.
        queues: u32,
    },
    /// More queues than a topic may have.
    #[error("{queues} queues are more than the {max} that a topic may have")]
    TooManyQueues {
        /// As asked for.
        queues: u32,
        /// As many as may be.
        max: u32,
    },
    /// Larger than an entry may be.
    #[error("{len} bytes are more than the {max} that one request may have")]
    TooLarge {
        /// Bytes of the request.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The group takes appends in another member, or nowhere at the moment.
    #[error("this member of the group takes no messages now")]
    Elsewhere,
    /// The writer does not keep up.
    #[error("{queued} bytes wait for the disk, {max} may")]
    Busy {
        /// Bytes waiting.
        queued: usize,
        /// Bytes that may wait.
        max: usize,
    },
    /// The log needs a new segment and its file is not ready yet: a matter of milliseconds.
    #[error("the file of the log's next segment is not ready yet")]
    NoSegment,
    /// The disk is full: there is no room for a new segment, or for what a start needs to be short.
    #[error(
        "the disk is full, there is no room for the log's next segment. Free some space, or let messages expire earlier \
         (fileReservedTime, diskMaxUsedSpaceRatio)"
    )]
    Full,
    /// The log needs a new segment, and its file cannot be made for another reason than a full disk.
    #[error(
        "the file of the log's next segment cannot be made ({why}). It is tried again twice a second: mend what stands in \
         the way"
    )]
    NoFile {
        /// The file, and what the system says.
        why: String,
    },
    /// Recovery has not finished.
    #[error("the log is being recovered")]
    Recovering,
    /// The store has failed.
    #[error("the log has failed and accepts nothing")]
    Failed,
    /// The store is being stopped.
    #[error("the log is being stopped")]
    Stopped,
}

/// Why something was not read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// Below the oldest or beyond the newest committed byte.
    #[error("offset {offset} (+{len}) is outside of the log, which holds {min} to {max}")]
    OutOfRange {
        /// As asked for.
        offset: PhysicalOffset,
        /// Bytes asked for.
        len: u64,
        /// Oldest byte.
        min: PhysicalOffset,
        /// End of the committed log.
        max: PhysicalOffset,
    },
    /// No record begins there.
    #[error("no record begins at offset {offset}: {why}")]
    NoRecord {
        /// As asked for.
        offset: PhysicalOffset,
        /// What is there instead.
        why: RecordError,
    },
    /// The bytes on the disk are not those that were written.
    #[error(
        "the record at offset {offset} is damaged on the disk, in {segment}: {why}. Check the device; `mqstore check` tells \
         what else is damaged, and what to do"
    )]
    Damaged {
        /// The segment file.
        segment: PathBuf,
        /// Where the record begins.
        offset: PhysicalOffset,
        /// What is wrong.
        why: String,
    },
    /// A file of the index.
    #[error("{0}. `mqstore repair` removes it, and the next start makes it anew")]
    Index(String),
    /// The disk gives an error; `source` names the segment.
    #[error(
        "the bytes at offset {offset} cannot be read: {source}. Check the device; `mqstore check` tells what else is \
         damaged, and what to do"
    )]
    Io {
        /// Where they begin.
        offset: PhysicalOffset,
        /// What the system says.
        source: Arc<IoError>,
    },
}

impl ReadError {
    /// Where the record begins that cannot be read, if it is about one.
    #[must_use]
    pub fn record(&self) -> Option<PhysicalOffset> {
        match self {
            Self::NoRecord { offset, .. }
            | Self::Damaged { offset, .. }
            | Self::Io { offset, .. } => Some(*offset),
            Self::OutOfRange { .. } | Self::Index(_) => None,
        }
    }
}
