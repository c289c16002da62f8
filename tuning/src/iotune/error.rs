//! Why nothing came of it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a measurement was not made or not finished. What it had put on the disk is removed.
#[derive(Debug, Error)]
pub enum IotuneError {
    /// Somebody pressed Ctrl-C.
    #[error("stopped before the end; the files it had made are removed, and no profile is written")]
    Stopped,
    /// The place is no directory.
    #[error("{dir}: {source}; give a directory on the disk that the broker will use")]
    NoDirectory {
        /// As asked for.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Too little room.
    #[error(
        "{dir} has {available} MiB free, and {needed} MiB are needed, some of them to stay free: make room, or take a smaller --size"
    )]
    Space {
        /// Where.
        dir: PathBuf,
        /// What there is, MiB.
        available: u64,
        /// What there must be, MiB.
        needed: u64,
    },
    /// The profile would overwrite something.
    #[error("{path} is there already: name another file with --out, or give --force")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file of the measurement.
    #[error("{path}: {doing}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The ring.
    #[error("io_uring does not work here ({0}); `mqtune check` says why")]
    Ring(#[source] io::Error),
    /// A thread could not be started or pinned.
    #[error("a thread for the measurement: {0}")]
    Thread(#[source] io::Error),
}
