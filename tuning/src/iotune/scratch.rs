//! Files to measure on, which do not outlive the measurement.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::error::IotuneError;
use super::writer::Method;
use crate::sys;

/// What the names of the files begin with; the process id follows.
const PREFIX: &str = "mqtune-iotune-";
/// What they end with.
const SUFFIX: &str = ".tmp";
/// Bytes of one write of zeros.
pub const ZEROS: usize = 1 << 20;

/// A file that is removed when this is dropped. It has a name while it exists: some file systems do not make a file without a
/// name durable.
pub struct Scratch {
    path: PathBuf,
    file: File,
    len: u64,
}

impl Scratch {
    /// A file of `len` bytes whose blocks are reserved, where the file system does that, and unwritten. `purpose` tells the files of a process apart.
    ///
    /// # Errors
    /// `File`.
    pub fn new(dir: &Path, purpose: &str, len: u64) -> Result<Self, IotuneError> {
        let path = dir.join(format!("{PREFIX}{}-{purpose}{SUFFIX}", std::process::id()));
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).custom_flags(libc::O_DIRECT);
        let file = options.create_new(true).open(&path);
        let file = file.map_err(|source| failed(&path, "making it for direct I/O", source))?;
        let scratch = Self { path, file, len };
        let reserved = match sys::preallocate(&scratch.file, len) {
            // Such a file system finds the blocks when they are written.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                scratch.file.set_len(len)
            }
            other => other,
        };
        reserved.map_err(|source| scratch.failed("reserving its blocks", source))?;
        // The length and the blocks are durable before anything is measured.
        scratch.file.sync_all().map_err(|source| scratch.failed("flushing it", source))?;
        Ok(scratch)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that are measured on.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// From now on only the first `len` bytes are measured on.
    pub fn shorten(&mut self, len: u64) {
        assert!(len > 0 && len <= self.len, "a file is not shortened to nothing");
        self.len = len;
    }

    /// Writes zeros over all of it, or as far as it comes within `limit`, and flushes it. Returns the bytes written.
    ///
    /// # Errors
    /// `Stopped` if `stop` is set meanwhile; `File`.
    pub fn zero(&self, limit: Duration, stop: &AtomicBool) -> Result<u64, IotuneError> {
        let zeros = runtime::buffer(ZEROS);
        let started = Instant::now();
        let mut at = 0;
        while at < self.len && started.elapsed() < limit {
            if stop.load(Ordering::Relaxed) {
                return Err(IotuneError::Stopped);
            }
            let written = self.file.write_all_at(&zeros, at);
            written.map_err(|source| self.failed("writing zeros", source))?;
            at += ZEROS as u64;
        }
        self.file.sync_data().map_err(|source| self.failed("flushing it", source))?;
        Ok(at)
    }

    /// Another handle of the file, for direct writes that `method` makes durable.
    ///
    /// # Errors
    /// `File`.
    pub fn open(&self, method: Method) -> Result<File, IotuneError> {
        let flags = match method {
            Method::Fdatasync => libc::O_DIRECT,
            Method::Dsync => libc::O_DIRECT | libc::O_DSYNC,
        };
        let opened = OpenOptions::new().write(true).custom_flags(flags).open(&self.path);
        opened.map_err(|source| self.failed("opening it again", source))
    }

    /// Removes the file and waits until that is on the disk.
    ///
    /// # Errors
    /// `File`.
    pub fn delete(self) -> Result<(), IotuneError> {
        let path = self.path.clone();
        drop(self);
        let dir = path.parent().expect("it lies in a directory");
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(|source| failed(&path, "removing it", source))
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> IotuneError {
        failed(&self.path, doing, source)
    }
}

pub(super) fn failed(path: &Path, doing: &'static str, source: io::Error) -> IotuneError {
    IotuneError::File { path: path.to_owned(), doing, source }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            eprintln!("mqtune: {} could not be removed: {error}", self.path.display());
        }
    }
}

/// Files in `dir` that runs left behind which were killed before they could clean up. They are not touched.
#[must_use]
pub fn left_over(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let maker = name.to_str().and_then(maker);
            maker.is_some_and(|pid| !fs::exists(format!("/proc/{pid}")).unwrap_or(true))
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// The process that made the file of this name.
fn maker(name: &str) -> Option<u32> {
    let rest = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    rest.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("mqtune-{name}-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        dir
    }

    #[test]
    fn a_file_goes_with_its_owner() {
        let dir = place("scratch");
        let scratch = Scratch::new(&dir, "a", 4 << 20).unwrap();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        assert_eq!(left_over(&dir), Vec::<PathBuf>::new(), "its maker lives");
        let go_on = AtomicBool::new(false);
        assert_eq!(scratch.zero(Duration::from_secs(60), &go_on).unwrap(), scratch.len());
        let stopped = scratch.zero(Duration::from_secs(60), &AtomicBool::new(true));
        assert!(matches!(stopped, Err(IotuneError::Stopped)));
        drop(scratch);
        Scratch::new(&dir, "b", 1 << 20).unwrap().delete().unwrap();
        // Fails if anything is left.
        fs::remove_dir(&dir).unwrap();
    }

    #[test]
    fn what_a_killed_run_left_is_named() {
        let dir = place("left");
        // Larger than any process id.
        let left = dir.join("mqtune-iotune-4194305-main.tmp");
        fs::write(&left, "x").unwrap();
        fs::write(dir.join("other.tmp"), "x").unwrap();
        assert_eq!(left_over(&dir), [left]);
        fs::remove_dir_all(&dir).unwrap();
    }
}
