//! Direct-I/O files.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::buffer::{BLOCK, BUFFER_MAX, Buffer, Slice, offset_in_block};
use crate::context::{Backend, backend};
use crate::error::{IoError, IoOp};
use crate::sim::SimFile;
use crate::uring::{UringFile, WrittenAndSynced};

/// Pieces that one operation reads at most.
pub const PIECES_MAX: usize = 64;

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

/// When what was written is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    /// After a following sync.
    AfterSync,
    /// When the write completes.
    WhenWritten,
}

/// An open file, read and written past the page cache. Dropping it closes it.
///
/// Calls on one file may overlap; their order is then undefined, except that [`File::sync`] covers every write that had
/// completed when it was called.
pub struct File {
    path: PathBuf,
    inner: Inner,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("path", &self.path).finish_non_exhaustive()
    }
}

enum Inner {
    Uring(UringFile),
    Sim(SimFile),
}

impl File {
    /// Opens `path`. Errors: `NotFound`, `AlreadyExists`, permission; `InvalidInput` where the file system has no direct
    /// I/O. Do not rename or remove `path` meanwhile. The name of a new file is durable after
    /// [`crate::fs::sync_dir`] of its directory.
    pub async fn open(path: impl AsRef<Path>, mode: OpenMode) -> Result<File, IoError> {
        File::open_as(path.as_ref(), mode, Durable::AfterSync).await
    }

    /// Like [`File::open`], but every write is durable when it completes (O_DSYNC): its bytes, and the length if it
    /// extends the file. Writes that overlap in time may reach the disk in any order; one that has completed is not
    /// lost for one that has not. `allocate` and `truncate` still need a [`File::sync`]. `mode` must allow writing
    /// (asserted).
    pub async fn open_dsync(path: impl AsRef<Path>, mode: OpenMode) -> Result<File, IoError> {
        assert!(mode != OpenMode::ReadOnly, "nothing is written to a file that is only read");
        File::open_as(path.as_ref(), mode, Durable::WhenWritten).await
    }

    async fn open_as(path: &Path, mode: OpenMode, durable: Durable) -> Result<File, IoError> {
        let opened = match backend() {
            Backend::Uring => UringFile::open(path, mode, durable).await.map(Inner::Uring),
            Backend::Sim(seat) => SimFile::open(&seat, path, mode, durable).await.map(Inner::Sim),
        };
        match opened {
            Ok(inner) => Ok(File { path: path.to_path_buf(), inner }),
            Err(error) => Err(IoError::path(IoOp::Open, path, error)),
        }
    }

    /// A buffer of `len` zero bytes fit for [`File::write_at`]; [`crate::buffer()`].
    pub fn buffer(&self, len: usize) -> Buffer {
        crate::buffer::buffer(len)
    }

    /// Writes the whole buffer at `pos`; both must be multiples of [`BLOCK`] (asserted). Extends the file if needed.
    ///
    /// A short write is an error (`StorageFull`) and is never retried. After an error, and after dropping the future, any
    /// part of the range may hold old or new bytes; the buffer stays alive until the kernel is done with it. Not
    /// cancellable in that sense: let it complete. Durable only after a following [`File::sync`], unless the file was
    /// opened by [`File::open_dsync`].
    pub async fn write_at(&self, buf: &Rc<Buffer>, pos: u64) -> Result<(), IoError> {
        assert_whole_blocks(buf, pos);
        let written = match &self.inner {
            Inner::Uring(file) => file.write_at(buf, pos).await,
            Inner::Sim(file) => file.write_at(buf, pos).await,
        };
        self.check_written(buf, pos, written)
    }

    /// [`File::write_at`] and then [`File::sync`], in one step where the kernel can do that (Linux 6.1): nobody needs to
    /// wake up in between.
    ///
    /// Errors, and a dropped future: as with both. After a failed write nothing was flushed.
    pub async fn write_and_sync(&self, buf: &Rc<Buffer>, pos: u64) -> Result<(), IoError> {
        let Inner::Uring(file) = &self.inner else {
            self.write_at(buf, pos).await?;
            return self.sync().await;
        };
        if !file.links() {
            self.write_at(buf, pos).await?;
            return self.sync().await;
        }
        assert_whole_blocks(buf, pos);
        match file.write_and_sync(buf, pos).await {
            WrittenAndSynced::Written(written) => {
                self.check_written(buf, pos, written)?;
                unreachable!("a write that succeeded was flushed")
            }
            WrittenAndSynced::Synced(synced) => {
                synced.map_err(|error| self.error(IoOp::Sync, error))
            }
        }
    }

    fn check_written(
        &self,
        buf: &Buffer,
        pos: u64,
        written: io::Result<usize>,
    ) -> Result<(), IoError> {
        let written = written.map_err(|error| self.error(IoOp::Write, error))?;
        assert!(written <= buf.len(), "nothing is written beyond the buffer");
        if written < buf.len() {
            let error = io::Error::new(
                io::ErrorKind::StorageFull,
                format!("only {written} of {} bytes were written at {pos}", buf.len()),
            );
            return Err(self.error(IoOp::Write, error));
        }
        Ok(())
    }

    /// Reads `len` bytes (at most [`BUFFER_MAX`]) at `pos`, any alignment; fewer only at the end of the file, none beyond
    /// it. Reads whole blocks around the range. Cancel-safe.
    pub async fn read_at(&self, pos: u64, len: usize) -> Result<Slice, IoError> {
        assert!(len <= BUFFER_MAX - 2 * BLOCK, "a read of {len} bytes is larger than {BUFFER_MAX}");
        if len == 0 {
            return Ok(Slice::empty());
        }
        let read = match &self.inner {
            Inner::Uring(file) => file.read_at(pos, len).await,
            Inner::Sim(file) => file.read_at(pos, len).await,
        };
        let read = read.map_err(|error| self.error(IoOp::Read, error))?;
        assert!(read.len() <= len);
        Ok(read)
    }

    /// Reads `count` pieces (at most [`PIECES_MAX`], and [`BUFFER_MAX`] bytes in all) of `len` bytes each, one behind the other from
    /// `pos` on, with one operation; each into memory of its own. `pos` and `len` are multiples of [`BLOCK`] (asserted). There are
    /// fewer pieces, or the last one is shorter, at the end of the file; and wherever else the kernel ends a read early.
    /// Cancel-safe.
    pub async fn read_pieces(
        &self,
        pos: u64,
        len: usize,
        count: usize,
    ) -> Result<Vec<Slice>, IoError> {
        assert!(offset_in_block(pos) == 0 && offset_in_block(len as u64) == 0, "{len} at {pos}");
        assert!(0 < count && count <= PIECES_MAX, "{count} pieces");
        assert!(0 < len && len <= BUFFER_MAX / count, "{count} pieces of {len} bytes");
        let read = match &self.inner {
            Inner::Uring(file) => file.read_pieces(pos, len, count).await,
            Inner::Sim(file) => file.read_pieces(pos, len, count).await,
        };
        let read = read.map_err(|error| self.error(IoOp::Read, error))?;
        assert!(read.len() <= count && read.iter().all(|piece| piece.len() <= len));
        Ok(read)
    }

    /// Makes the writes that have completed durable, and the length (fdatasync). After an error nothing is known about
    /// them, and asking again may wrongly succeed: give up on the file.
    pub async fn sync(&self) -> Result<(), IoError> {
        let synced = match &self.inner {
            Inner::Uring(file) => file.sync().await,
            Inner::Sim(file) => file.sync().await,
        };
        synced.map_err(|error| self.error(IoOp::Sync, error))
    }

    /// Reserves space for the first `len` bytes (not zero) and extends the file to at least that; new bytes read as zero.
    pub async fn allocate(&self, len: u64) -> Result<(), IoError> {
        assert!(len > 0, "there is nothing to allocate");
        let allocated = match &self.inner {
            Inner::Uring(file) => file.allocate(len).await,
            Inner::Sim(file) => file.allocate(len).await,
        };
        allocated.map_err(|error| self.error(IoOp::Allocate, error))
    }

    /// Sets the length: cuts, or extends with zeros.
    pub async fn truncate(&self, len: u64) -> Result<(), IoError> {
        let truncated = match &self.inner {
            Inner::Uring(file) => file.truncate(len).await,
            Inner::Sim(file) => file.truncate(len).await,
        };
        truncated.map_err(|error| self.error(IoOp::Truncate, error))
    }

    /// The length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a file that is asked is not a collection")]
    pub async fn len(&self) -> Result<u64, IoError> {
        let len = match &self.inner {
            Inner::Uring(file) => file.len().await,
            Inner::Sim(file) => file.len().await,
        };
        len.map_err(|error| self.error(IoOp::Length, error))
    }

    /// Closes the file and reports the error of closing. Dropping a file closes it too, silently and a little later.
    pub async fn close(self) -> Result<(), IoError> {
        let File { path, inner } = self;
        let closed = match inner {
            Inner::Uring(file) => file.close().await,
            Inner::Sim(file) => file.close().await,
        };
        closed.map_err(|error| IoError::path(IoOp::Close, path, error))
    }

    /// The path it was opened with.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn error(&self, op: IoOp, source: io::Error) -> IoError {
        IoError::path(op, &self.path, source)
    }
}

fn assert_whole_blocks(buf: &Buffer, pos: u64) {
    assert!(buf.len().is_multiple_of(BLOCK), "{} bytes are not whole blocks", buf.len());
    assert!(pos.is_multiple_of(BLOCK as u64), "position {pos} is inside a block");
}
