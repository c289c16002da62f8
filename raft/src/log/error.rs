//! What can go wrong with the log of a group.

use std::io;
use std::sync::Arc;

use model::PhysicalOffset;
use storage::{EntryLogError, OtherLog};
use thiserror::Error;

/// Why the log did not do what openraft asked for. openraft takes any of them for the end of this member, so each says
/// what an operator does about it.
#[derive(Clone, Debug, Error)]
pub enum LogError {
    /// The disk failed, the log is damaged, or it failed before. Many calls may wait for the one write that failed.
    #[error(transparent)]
    Log(#[from] Arc<EntryLogError>),
    /// The leader's log is another one than this member's, which must never be. This member takes part no more.
    #[error("{}{other}", of_group(group.as_ref()))]
    OtherLog {
        /// The group, once it is known.
        group: Option<Arc<str>>,
        /// Where the two differ, and how.
        other: OtherLog,
    },
    /// An entry that says who belongs to the group cannot be read.
    #[error(
        "entry {index} should say who belongs to the group, and does not: {why}. Was the directory a broker's without a \
         group, or written by a newer version? Start that one, or a new member in an empty directory"
    )]
    Membership {
        /// Its place in the log.
        index: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// What is to be appended does not continue the log.
    #[error(
        "entry {found} was to be appended where {expected} is next. This is a bug; the log on the disk is intact, and a \
         restart goes on with it"
    )]
    Gap {
        /// The index that is next.
        expected: u64,
        /// The index that came.
        found: u64,
    },
    /// A leader has proposed an entry that did not come from its store.
    #[error(
        "entry {index} was proposed, and did not come from the store. This is a bug; the log on the disk is intact, and a restart goes on with \
         it"
    )]
    Unplaced {
        /// Its place in the log.
        index: u64,
    },
    /// Entries were purged that were still to be read.
    #[error(
        "entries from {expected} on were to be read, and all before {found} were purged meanwhile. This is a bug; the log \
         on the disk is intact, and a restart goes on with it"
    )]
    Hole {
        /// The first that was still to be read.
        expected: u64,
        /// Index of the first that is there.
        found: u64,
    },
    /// Entries were to be read that the log does not have.
    #[error(
        "entries from {expected} on were to be read, and the log ends before {end}. This is a bug; the log on the disk is \
         intact, and a restart goes on with it"
    )]
    Beyond {
        /// The first that was to be read.
        expected: u64,
        /// The index that the next entry gets.
        end: u64,
    },
    /// A member of a group is to be called something that is too long to be written.
    #[error(
        "the label {label:?} is longer than the {max} bytes that fit into the log. Choose a shorter one"
    )]
    Label {
        /// What it is to be called.
        label: String,
        /// Bytes of the longest label.
        max: usize,
    },
    /// A snapshot contradicts the log.
    #[error(
        "entry {index} is of term {found} in the log, and of term {snapshot} in a snapshot that stands for it. One of them \
         is not this group's: start a new member in an empty directory"
    )]
    OtherTerm {
        /// Place of the entry.
        index: u64,
        /// Its term in the log.
        found: u64,
        /// Its term in the snapshot.
        snapshot: u64,
    },
    /// The task that writes is gone.
    #[error("the log has been closed. Restart the broker")]
    Closed,
}

impl LogError {
    /// Where the log is damaged, if that is what is wrong.
    #[must_use]
    pub fn damaged_at(&self) -> Option<PhysicalOffset> {
        let Self::Log(error) = self else { return None };
        let EntryLogError::Store(error) = &**error else { return None };
        error.damaged_at()
    }
}

fn of_group(group: Option<&Arc<str>>) -> String {
    group.map_or_else(String::new, |group| format!("group {group}: "))
}

impl From<EntryLogError> for LogError {
    fn from(error: EntryLogError) -> Self {
        Self::Log(Arc::new(error))
    }
}

impl From<LogError> for io::Error {
    fn from(error: LogError) -> Self {
        Self::other(error)
    }
}
