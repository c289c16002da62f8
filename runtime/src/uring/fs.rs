//! Directories and names, by plain system calls on the executor's helper thread.

use std::ffi::CString;
use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::blocking;
use super::held::Holding;
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

/// A lock on an open file description.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: fs::File,
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Before the last descriptor is closed, which a ring may do a little later.
        drop(self.file.unlock());
    }
}

/// A lock that the kernel releases when the process is dead and all that its executor was writing has landed.
#[derive(Debug)]
pub(crate) struct UringLock {
    _lock: FileLock,
    _holding: Holding,
}

impl UringLock {
    /// Has the calling executor's ring hold the lock.
    pub(crate) fn new(lock: FileLock) -> io::Result<UringLock> {
        let holding = Holding::of(lock.file.as_raw_fd())?;
        Ok(UringLock { _lock: lock, _holding: holding })
    }
}

pub(crate) fn lock(path: &Path) -> Result<FileLock, LockFailure> {
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = opened.map_err(LockFailure::Io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(holder(&mut file).failure()),
        Err(TryLockError::Error(error)) => return Err(LockFailure::Io(error)),
    }
    let me = Process::this();
    file.set_len(0).map_err(LockFailure::Io)?;
    file.write_all(me.text().as_bytes()).map_err(LockFailure::Io)?;
    Ok(FileLock { file })
}

/// A process as it writes itself into a lock file: its number, and when it was started, in ticks since the machine's
/// start. The two together are never given again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Process {
    pid: Option<u32>,
    started: Option<u64>,
}

impl Process {
    fn this() -> Process {
        let pid = std::process::id();
        Process { pid: Some(pid), started: running(pid) }
    }

    fn text(self) -> String {
        let numbers = [self.pid.map(u64::from), self.started];
        let words: Vec<String> = numbers.iter().flatten().map(u64::to_string).collect();
        format!("{}\n", words.join(" "))
    }

    fn parse(text: &str) -> Process {
        let mut words = text.split_whitespace();
        let pid = words.next().and_then(|word| word.parse().ok());
        let started = words.next().and_then(|word| word.parse().ok());
        Process { pid, started }
    }

    fn failure(self) -> LockFailure {
        match (self.pid, self.started) {
            (Some(pid), Some(started)) if running(pid) != Some(started) => {
                LockFailure::HeldByTheDead { pid }
            }
            (pid, _) => LockFailure::Held { pid },
        }
    }
}

/// The process that wrote itself into the lock file.
fn holder(file: &mut fs::File) -> Process {
    let mut text = String::new();
    match file.take(64).read_to_string(&mut text) {
        Ok(_) => Process::parse(&text),
        Err(_) => Process::default(),
    }
}

/// When process `pid` was started, in ticks since the machine's start; `None` if it does not run, or not any more.
fn running(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    started_of(&stat)
}

fn started_of(stat: &str) -> Option<u64> {
    // The name, in parentheses, may hold anything.
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None; // dead, and not taken notice of by its parent
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_number_and_its_start() {
        let me = Process::this();
        assert!(me.started.is_some());
        assert_eq!(Process::parse(&me.text()), me);
        assert!(matches!(me.failure(), LockFailure::Held { pid: Some(_) }));
        let before = Process { started: me.started.map(|at| at - 1), ..me };
        assert!(matches!(before.failure(), LockFailure::HeldByTheDead { .. }));
        for text in ["", "x", "17\n"] {
            assert!(matches!(Process::parse(text).failure(), LockFailure::Held { .. }), "{text}");
        }
    }

    #[test]
    fn the_dead_do_not_run() {
        let stat =
            |state| format!("7 (a) b) {state} 1 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4711 9 9");
        assert_eq!(started_of(&stat("S")), Some(4711));
        assert_eq!(started_of(&stat("Z")), None);
        assert_eq!(started_of("7 (cut"), None);
    }
}
