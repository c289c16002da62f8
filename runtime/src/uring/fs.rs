//! Directories and names, by plain system calls on the executor's helper thread.

use std::ffi::CString;
use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::blocking;
use crate::fs::{Entry, LockFailure, Space};

/// Runs one of the functions below (or any file call) off the executor.
pub(crate) async fn fs_call<R: Send + 'static>(
    path: &Path,
    call: impl FnOnce(&Path) -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    let path = path.to_path_buf();
    blocking(move || call(&path)).await
}

pub(crate) fn list(dir: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            // Removed since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let is_dir = metadata.is_dir();
        let name = entry.file_name().to_string_lossy().into_owned();
        entries.push(Entry { name, is_dir, len: if is_dir { 0 } else { metadata.len() } });
    }
    entries.sort();
    Ok(entries)
}

pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    let opened = fs::File::open(dir)?;
    if !opened.metadata()?.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::ENOTDIR));
    }
    opened.sync_all()
}

pub(crate) fn space(path: &Path) -> io::Result<Space> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut stat = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the path is NUL-terminated and the kernel writes one `statvfs` to memory of that size.
    if unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has filled it in.
    let stat = unsafe { stat.assume_init() };
    let unit = stat.f_frsize;
    let [total, free, available] =
        [stat.f_blocks, stat.f_bfree, stat.f_bavail].map(|blocks| blocks * unit);
    Ok(Space { total, free, available })
}

pub(crate) fn device(path: &Path) -> io::Result<u64> {
    Ok(std::os::unix::fs::MetadataExt::dev(&fs::metadata(path)?))
}

/// A lock on an open file description: the kernel releases it when the process dies.
#[derive(Debug)]
pub(crate) struct UringLock {
    _file: fs::File,
}

pub(crate) fn lock(path: &Path) -> Result<UringLock, LockFailure> {
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = opened.map_err(LockFailure::Io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(LockFailure::Held { pid: holder(&mut file) });
        }
        Err(TryLockError::Error(error)) => return Err(LockFailure::Io(error)),
    }
    let pid = std::process::id();
    file.set_len(0).map_err(LockFailure::Io)?;
    file.write_all(format!("{pid}\n").as_bytes()).map_err(LockFailure::Io)?;
    Ok(UringLock { _file: file })
}

/// The process that wrote itself into the lock file; for the message only.
fn holder(file: &mut fs::File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
