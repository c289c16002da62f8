//! Direct-I/O files.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::buffer::{Buffer, Slice};
use crate::error::IoError;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// Must not exist; read and write.
    CreateNew,
    /// Must exist; read and write.
    ReadWrite,
    /// Must exist; read only.
    ReadOnly,
}

/// An open file, read and written past the page cache.
pub struct File {
    path: PathBuf,
}

impl File {
    /// Opens `path`. Errors: `NotFound`, `AlreadyExists`, permission, no direct I/O on this file system.
    pub async fn open(path: impl AsRef<Path>, mode: OpenMode) -> Result<File, IoError> {
        todo!("{:?} {mode:?}", path.as_ref())
    }

    /// A buffer of `len` zero bytes fit for [`File::write_at`].
    pub fn buffer(&self, len: usize) -> Buffer {
        crate::buffer::buffer(len)
    }

    /// Writes the whole buffer at `pos`; both must be multiples of [`crate::BLOCK`] (asserted). A short write is an
    /// error and never retried. Not cancellable: dropping the future leaves the write running and its result unknown.
    /// Durable only after a following [`File::sync`].
    pub async fn write_at(&self, buf: &Rc<Buffer>, pos: u64) -> Result<(), IoError> {
        todo!("{buf:?} {pos}")
    }

    /// Reads `len` bytes at `pos`, any alignment; fewer only at the end of the file.
    pub async fn read_at(&self, pos: u64, len: usize) -> Result<Slice, IoError> {
        todo!("{pos} {len}")
    }

    /// Makes all completed writes durable (fdatasync).
    pub async fn sync(&self) -> Result<(), IoError> {
        todo!()
    }

    /// Reserves space for and extends the file to at least `len` bytes; new bytes read as zero.
    pub async fn allocate(&self, len: u64) -> Result<(), IoError> {
        todo!("{len}")
    }

    /// Sets the length.
    pub async fn truncate(&self, len: u64) -> Result<(), IoError> {
        todo!("{len}")
    }

    /// The length in bytes.
    #[allow(clippy::len_without_is_empty)]
    pub async fn len(&self) -> Result<u64, IoError> {
        todo!()
    }

    /// Closes the file and reports the error of closing. Dropping a file closes it too, silently.
    pub async fn close(self) -> Result<(), IoError> {
        todo!()
    }

    /// The path it was opened with.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
