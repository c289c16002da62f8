//! Durable writes to a file, one at a time.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::{Extent, Measured, repeat};
use crate::args::{Device, Method};
use crate::error::BenchError;
use crate::limits::{BLOCK, WRITE_MAX};

/// A file whose blocks have been written before, as a broker's recycled segments are. Removed when dropped.
pub struct Track {
    file: File,
    path: PathBuf,
    method: Method,
    /// Holds `len` bytes from `from` on, which is where an aligned address is.
    buffer: Vec<u8>,
    from: usize,
    len: usize,
    at: u64,
    span: u64,
}

impl Track {
    /// Makes the file and writes all of it once. Takes as long as the device takes for that.
    ///
    /// # Errors
    /// [`BenchError::Floor`] when there is no room, or no direct I/O.
    pub fn lay(device: &Device, write_size: usize) -> Result<Track, BenchError> {
        let name = format!("mqbench-limit-{}-{:08x}", std::process::id(), runtime::random_u64());
        let path = device.dir.join(name);
        let failed = |source| BenchError::Floor { what: path.display().to_string(), source };
        let wide = u64::try_from(write_size).expect("a small number");
        let span = device.span / wide * wide;
        assert!(span >= wide, "the file holds a write");
        let flags = match device.method {
            Method::Fdatasync => libc::O_DIRECT,
            Method::Dsync => libc::O_DIRECT | libc::O_DSYNC,
        };
        let open = |flags| {
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .custom_flags(flags)
                .open(&path)
        };
        let first = open(libc::O_DIRECT).map_err(failed)?;
        let (buffer, from) = aligned(WRITE_MAX);
        let mut track = Track {
            file: first,
            path: path.clone(),
            method: device.method,
            buffer,
            from,
            len: write_size,
            at: 0,
            span,
        };
        // From here on dropping it removes the file.
        track.fill().map_err(failed)?;
        track.file = open(flags).map_err(failed)?;
        Ok(track)
    }

    fn fill(&self) -> io::Result<()> {
        let step = u64::try_from(WRITE_MAX).expect("a small number");
        let mut at = 0;
        while at < self.span {
            let len = usize::try_from(step.min(self.span - at)).expect("at most a write");
            self.file.write_all_at(&self.buffer[self.from..][..len], at)?;
            at += step;
        }
        self.file.sync_all()
    }

    /// One window of writes, each durable before the next.
    ///
    /// # Errors
    /// [`BenchError::Floor`].
    pub fn window(&mut self, extent: Extent, stop: &AtomicBool) -> Result<Measured, BenchError> {
        let what = self.path.display().to_string();
        let step = u64::try_from(self.len).expect("a small number");
        let measured = repeat(extent, stop, || {
            self.file.write_all_at(&self.buffer[self.from..][..self.len], self.at)?;
            self.at = (self.at + step) % self.span;
            match self.method {
                Method::Fdatasync => self.file.sync_data(),
                Method::Dsync => Ok(()),
            }
        });
        measured.map_err(|source| BenchError::Floor { what, source })
    }
}

impl Drop for Track {
    fn drop(&mut self) {
        // It is a scratch file; whoever finds it may remove it.
        drop(std::fs::remove_file(&self.path));
    }
}

/// Random bytes, and the index from which `len` of them are at an address that direct I/O takes.
fn aligned(len: usize) -> (Vec<u8>, usize) {
    let mut buffer = vec![0; len + BLOCK];
    runtime::fill(&mut buffer);
    let from = buffer.as_ptr().align_offset(BLOCK);
    assert!(from <= BLOCK, "an aligned address is at most a block away");
    (buffer, from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(method: Method) -> Device {
        // Not the directory for temporary files, which may be one without direct I/O.
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        Device { dir, method, write_size: None, span: 8 << 20 }
    }

    #[test]
    fn every_write_is_counted_and_the_file_goes_away() {
        for method in [Method::Fdatasync, Method::Dsync] {
            let mut track = Track::lay(&device(method), 4096).expect("a file");
            let path = track.path.clone();
            assert_eq!(std::fs::metadata(&path).unwrap().len(), 8 << 20);
            let extent = Extent { duration: None, count: Some(20) };
            let measured = track.window(extent, &AtomicBool::new(false)).unwrap();
            assert_eq!((measured.latencies.len(), track.at), (20, 20 * 4096));
            drop(track);
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let mut missing = device(Method::Dsync);
        missing.dir = "/nowhere/at/all".into();
        let error = Track::lay(&missing, 4096).err().expect("no such directory").to_string();
        assert!(error.contains("/nowhere/at/all") && error.contains("--dir"), "{error}");
    }
}
