//! Directories and names. Blocking system calls run off the executor.

use std::path::{Path, PathBuf};

use crate::error::IoError;

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name, without the directory. Names that are not UTF-8 are shown lossily.
    pub name: String,
    /// True for a directory.
    pub is_dir: bool,
    /// Length in bytes (files only).
    pub len: u64,
}

/// Size of the file system that holds a path, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What an unprivileged process may still use.
    pub available: u64,
}

/// Creates `path` and its missing parents; it may exist.
pub async fn create_dir_all(path: impl AsRef<Path>) -> Result<(), IoError> {
    todo!("{:?}", path.as_ref())
}

/// The entries of `dir`, sorted by name.
pub async fn list(dir: impl AsRef<Path>) -> Result<Vec<Entry>, IoError> {
    todo!("{:?}", dir.as_ref())
}

/// Whether something is at `path`.
pub async fn exists(path: impl AsRef<Path>) -> Result<bool, IoError> {
    todo!("{:?}", path.as_ref())
}

/// Renames within one file system, replacing a file at `to`. Durable after [`sync_dir`] of the directories.
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<(), IoError> {
    todo!("{:?} {:?}", from.as_ref(), to.as_ref())
}

/// Removes a file.
pub async fn remove_file(path: impl AsRef<Path>) -> Result<(), IoError> {
    todo!("{:?}", path.as_ref())
}

/// Makes creations, renames and removals in `dir` durable.
pub async fn sync_dir(dir: impl AsRef<Path>) -> Result<(), IoError> {
    todo!("{:?}", dir.as_ref())
}

/// The size and free space of the file system at `path`.
pub async fn space(path: impl AsRef<Path>) -> Result<Space, IoError> {
    todo!("{:?}", path.as_ref())
}

/// Why a lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} is in use by {}; stop that process or choose another directory", .path.display(), holder(.pid))]
    Held {
        /// The lock file.
        path: PathBuf,
        /// The process that wrote itself into it, if readable.
        pid: Option<u32>,
    },
    /// The lock file could not be made or locked.
    #[error(transparent)]
    Io(#[from] IoError),
}

fn holder(pid: &Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}

/// An exclusive lock, held until dropped or until the process dies.
#[derive(Debug)]
pub struct DirLock {
    path: PathBuf,
}

impl DirLock {
    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Creates the lock file `path` if needed and locks it for this process, without waiting.
pub async fn lock_exclusive(path: impl AsRef<Path>) -> Result<DirLock, LockError> {
    todo!("{:?}", path.as_ref())
}
