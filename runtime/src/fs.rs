//! Directories and names. Blocking system calls run off the executor; dropping a future does not stop the call.

use std::fs as std_fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::context::{Backend, backend};
use crate::error::{IoError, IoOp};
use crate::sim::{DiskOp, SimLock};
use crate::uring::{self, UringLock, fs_call};

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name, without the directory. A name that is not UTF-8 is shown lossily.
    pub name: String,
    /// True for a directory.
    pub is_dir: bool,
    /// Length in bytes; 0 for a directory.
    pub len: u64,
}

/// Size of the file system that holds a path, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What is free, with what only root may use.
    pub free: u64,
    /// What an unprivileged process may still use.
    pub available: u64,
}

impl Space {
    /// What is in use.
    #[must_use]
    pub fn used(self) -> u64 {
        self.total.saturating_sub(self.free)
    }

    /// What an unprivileged process may have, with what is in use; 0 where the file system does not tell.
    #[must_use]
    pub fn entire(self) -> u64 {
        self.used().saturating_add(self.available)
    }

    /// Percent in use of what an unprivileged process may have, rounded up, as `df` counts it. A file system without a
    /// size has nothing in use.
    #[must_use]
    pub fn used_percent(self) -> u8 {
        let used = u128::from(self.used());
        let entire = u128::from(self.entire());
        let percent = if entire == 0 { 0 } else { (used * 100).div_ceil(entire) };
        u8::try_from(percent).expect("a part is at most the whole")
    }
}

/// Creates `path` and its missing parents; it may exist.
pub async fn create_dir_all(path: impl AsRef<Path>) -> Result<(), IoError> {
    let path = path.as_ref();
    let created = match backend() {
        Backend::Uring => fs_call(path, |path| std_fs::create_dir_all(path)).await,
        Backend::Sim(seat) => {
            seat.disk_call(DiskOp::Metadata, |disk| disk.create_dir_all(path)).await
        }
    };
    created.map_err(|error| IoError::path(IoOp::CreateDir, path, error))
}

/// The entries of `dir`, sorted by name.
pub async fn list(dir: impl AsRef<Path>) -> Result<Vec<Entry>, IoError> {
    let dir = dir.as_ref();
    let listed = match backend() {
        Backend::Uring => fs_call(dir, uring::list).await,
        Backend::Sim(seat) => seat.disk_call(DiskOp::Metadata, |disk| disk.list(dir)).await,
    };
    listed.map_err(|error| IoError::path(IoOp::List, dir, error))
}

/// Whether something is at `path`.
pub async fn exists(path: impl AsRef<Path>) -> Result<bool, IoError> {
    let path = path.as_ref();
    let exists = match backend() {
        Backend::Uring => fs_call(path, Path::try_exists).await,
        Backend::Sim(seat) => seat.disk_call(DiskOp::Metadata, |disk| Ok(disk.exists(path))).await,
    };
    exists.map_err(|error| IoError::path(IoOp::Exists, path, error))
}

/// Renames within one file system, replacing a file at `to`. Durable after [`sync_dir`] of the directories.
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<(), IoError> {
    let (from, to) = (from.as_ref(), to.as_ref());
    let renamed = match backend() {
        Backend::Uring => {
            let target = to.to_path_buf();
            fs_call(from, move |from| std_fs::rename(from, target)).await
        }
        Backend::Sim(seat) => seat.disk_call(DiskOp::Metadata, |disk| disk.rename(from, to)).await,
    };
    renamed.map_err(|error| IoError::path(IoOp::Rename, from, error))
}

/// Removes a file; whoever has it open keeps it.
pub async fn remove_file(path: impl AsRef<Path>) -> Result<(), IoError> {
    let path = path.as_ref();
    let removed = match backend() {
        Backend::Uring => fs_call(path, |path| std_fs::remove_file(path)).await,
        Backend::Sim(seat) => seat.disk_call(DiskOp::Metadata, |disk| disk.remove_file(path)).await,
    };
    removed.map_err(|error| IoError::path(IoOp::Remove, path, error))
}

/// Makes creations, renames and removals in `dir` durable.
pub async fn sync_dir(dir: impl AsRef<Path>) -> Result<(), IoError> {
    let dir = dir.as_ref();
    let synced = match backend() {
        Backend::Uring => fs_call(dir, uring::sync_dir).await,
        Backend::Sim(seat) => seat.disk_call(DiskOp::Flush, |disk| disk.sync_dir(dir)).await,
    };
    synced.map_err(|error| IoError::path(IoOp::SyncDir, dir, error))
}

/// The size and free space of the file system at `path`.
pub async fn space(path: impl AsRef<Path>) -> Result<Space, IoError> {
    let path = path.as_ref();
    let space = match backend() {
        Backend::Uring => fs_call(path, uring::space).await,
        Backend::Sim(seat) => seat.disk_call(DiskOp::Metadata, |disk| disk.space(path)).await,
    };
    space.map_err(|error| IoError::path(IoOp::Space, path, error))
}

/// The number of the file system that holds `path`: equal for two paths on the same one.
pub async fn device(path: impl AsRef<Path>) -> Result<u64, IoError> {
    let path = path.as_ref();
    let device = match backend() {
        Backend::Uring => fs_call(path, uring::device).await,
        Backend::Sim(seat) => seat.disk_call(DiskOp::Metadata, |disk| disk.device(path)).await,
    };
    device.map_err(|error| IoError::path(IoOp::Space, path, error))
}

/// Why a lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} is in use by {}: stop that process or choose another directory", .path.display(), holder(.pid))]
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

/// What a backend says when it could not lock.
pub(crate) enum LockFailure {
    Held {
        pid: Option<u32>,
    },
    /// By a process that was killed and still writes.
    HeldByTheDead {
        pid: u32,
    },
    Io(io::Error),
}

/// An exclusive lock, held until dropped or until the process dies. The file stays behind, unlocked.
#[derive(Debug)]
pub struct DirLock {
    path: PathBuf,
    _inner: LockInner,
}

#[derive(Debug)]
#[expect(dead_code, reason = "held for its destructor")]
enum LockInner {
    Uring(UringLock),
    Sim(SimLock),
}

impl DirLock {
    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// How long a lock is waited for whose process is dead: as long as a disk may take for what that was writing.
const DEAD_MAX: Duration = Duration::from_secs(60);
/// How long it is waited for without a word.
const DEAD_TOLD: Duration = Duration::from_secs(1);
/// How often it is tried meanwhile.
const DEAD_TRY: Duration = Duration::from_millis(5);

/// Creates the lock file `path` if needed and locks it (flock), without waiting; also against this process itself. Only
/// for a process that was killed, and for which the kernel is still writing, it waits, for a minute at most. Cancel-safe.
pub async fn lock_exclusive(path: impl AsRef<Path>) -> Result<DirLock, LockError> {
    let path = path.as_ref().to_path_buf();
    let inner = match backend() {
        Backend::Uring => lock_when_still(&path).await.map(LockInner::Uring),
        Backend::Sim(seat) => seat.lock(&path).await.map(LockInner::Sim),
    };
    match inner {
        Ok(inner) => Ok(DirLock { path, _inner: inner }),
        Err(LockFailure::Held { pid }) => Err(LockError::Held { path, pid }),
        Err(LockFailure::HeldByTheDead { pid }) => Err(LockError::Held { path, pid: Some(pid) }),
        Err(LockFailure::Io(error)) => Err(IoError::path(IoOp::Lock, path, error).into()),
    }
}

async fn lock_when_still(path: &Path) -> Result<UringLock, LockFailure> {
    let began = crate::now();
    let mut told = false;
    loop {
        let target = path.to_path_buf();
        match uring::blocking(move || uring::lock(&target)).await {
            Ok(lock) => return UringLock::new(lock).map_err(LockFailure::Io),
            Err(LockFailure::HeldByTheDead { pid }) if began.elapsed() < DEAD_MAX => {
                if !told && began.elapsed() > DEAD_TOLD {
                    told = true;
                    let path = path.display();
                    tracing::warn!(
                        "{path} is still held for process {pid}, which is dead: waiting until the disk has taken what \
                         it was writing"
                    );
                }
                crate::sleep(DEAD_TRY).await;
            }
            Err(failure) => return Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_is_counted_without_what_only_root_may_have() {
        let used = |total, free, available| Space { total, free, available }.used_percent();
        assert_eq!(used(0, 0, 0), 0);
        assert_eq!(used(100, 100, 95), 0);
        assert_eq!(used(100, 10, 0), 100);
        assert_eq!(used(252, 198, 38), 59);
        assert_eq!(used(1_000, 999, 999), 1, "rounded up");
        assert_eq!(used(u64::MAX, 0, 0), 100);
    }
}
