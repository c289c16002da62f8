//! Files on glommio's direct I/O.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use glommio::GlommioError;
use glommio::io::{DmaFile, OpenOptions, ReadResult};

use super::io_error;
use crate::buffer::{BLOCK, Buffer, Slice, offset_in_block};
use crate::file::{Durable, OpenMode};

/// Directories whose devices need not be looked at again; cleared when there are this many.
const SETTLED_MAX: usize = 256;

thread_local! {
    static SETTLED: RefCell<BTreeSet<PathBuf>> = const { RefCell::new(BTreeSet::new()) };
}

/// Keeps glommio from polling the device of `path`.
///
/// Glommio finds out whether a device can be polled by a read of the first file it opens there. If that file is empty the
/// read succeeds without reaching the device, glommio takes that for a yes, and every later read fails with EOPNOTSUPP
/// where the device has no polling queue. So the first file it sees is one that is open for writing only: the read is
/// refused, which it takes for a no, on this thread and device, for ever.
async fn forbid_polling(path: &Path) {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    if SETTLED.with_borrow(|settled| settled.contains(dir)) {
        return;
    }
    let unnamed = OpenOptions::new().write(true).tmpfile(true).dma_open(dir).await;
    let settled = match unnamed {
        Ok(file) => file.close().await.is_ok(),
        Err(_) => forbid_polling_by_name(dir).await.is_ok(),
    };
    // Where nothing can be created, nothing empty will be opened.
    if settled {
        SETTLED.with_borrow_mut(|settled| {
            if settled.len() >= SETTLED_MAX {
                settled.clear();
            }
            settled.insert(dir.to_path_buf());
        });
    }
}

/// The same where the file system has no unnamed files.
async fn forbid_polling_by_name(dir: &Path) -> Result<(), GlommioError<()>> {
    let name = format!(".polling-{}-{:016x}", std::process::id(), crate::rng::random_u64());
    let file = OpenOptions::new().write(true).create_new(true).dma_open(dir.join(name)).await?;
    file.remove().await?;
    file.close().await
}

pub(crate) struct UringFile {
    file: DmaFile,
}

impl UringFile {
    pub(crate) async fn open(
        path: &Path,
        mode: OpenMode,
        durable: Durable,
    ) -> io::Result<UringFile> {
        forbid_polling(path).await;
        let mut options = OpenOptions::new();
        options.read(true);
        if durable == Durable::WhenWritten {
            options.custom_flags(libc::O_DSYNC);
        }
        match mode {
            OpenMode::CreateNew => options.write(true).create_new(true),
            OpenMode::ReadWrite => options.write(true),
            OpenMode::ReadOnly => &mut options,
        };
        let file = options.dma_open(path).await.map_err(io_error)?;
        assert!((BLOCK as u64).is_multiple_of(file.alignment()), "the device's blocks divide ours");
        Ok(UringFile { file })
    }

    pub(crate) async fn write_at(&self, buffer: &Rc<Buffer>, pos: u64) -> io::Result<usize> {
        let memory = Buffer::into_dma(buffer.clone());
        self.file.write_rc_at(memory, pos).await.map_err(io_error)
    }

    pub(crate) async fn read_at(&self, pos: u64, len: usize) -> io::Result<Slice> {
        let skip = offset_in_block(pos);
        let start = pos - skip as u64;
        let want = (skip + len).next_multiple_of(BLOCK);
        let read = self.read_blocks(start, want).await?;
        let end = read.len().min(skip + len);
        if read.len() == want || !read.len().is_multiple_of(BLOCK) || read.is_empty() {
            return Ok(Slice::of_read(read, skip.min(end)..end));
        }
        // Short at a block boundary: the end of the file, or a read that the kernel cut.
        self.read_rest(start, skip, skip + len, &read).await
    }

    async fn read_blocks(&self, start: u64, want: usize) -> io::Result<ReadResult> {
        let read = self.file.read_at_aligned(start, want).await.map_err(io_error)?;
        assert!(read.len() <= want);
        Ok(read)
    }

    async fn read_rest(
        &self,
        start: u64,
        skip: usize,
        end: usize,
        first: &[u8],
    ) -> io::Result<Slice> {
        let want = end.next_multiple_of(BLOCK);
        let mut whole = crate::buffer::buffer(want);
        whole[..first.len()].copy_from_slice(first);
        let mut filled = first.len();
        while filled < want {
            let more = self.read_blocks(start + filled as u64, want - filled).await?;
            whole[filled..filled + more.len()].copy_from_slice(&more);
            filled += more.len();
            if !more.len().is_multiple_of(BLOCK) || more.is_empty() {
                break;
            }
        }
        let end = end.min(filled);
        Ok(Slice::new(Rc::new(whole), skip.min(end)..end))
    }

    pub(crate) async fn sync(&self) -> io::Result<()> {
        self.file.fdatasync().await.map_err(io_error)
    }

    pub(crate) async fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.pre_allocate(len, false).await.map_err(io_error)
    }

    pub(crate) async fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len).await.map_err(io_error)
    }

    pub(crate) async fn len(&self) -> io::Result<u64> {
        self.file.file_size().await.map_err(io_error)
    }

    pub(crate) async fn close(self) -> io::Result<()> {
        self.file.close().await.map_err(io_error)
    }
}
