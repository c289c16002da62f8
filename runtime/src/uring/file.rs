//! Files, past the page cache.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;

use io_uring::types::{Fd, FsyncFlags};
use io_uring::{opcode, squeue};

use super::at_once::AtOnce;
use super::blocking;
use super::keep::{Keep, Pieces};
use super::local::local;
use super::reactor::{Ended, Kind, Reactor};
use crate::buffer::{BLOCK, Buffer, Slice, offset_in_block};
use crate::clock::real_now;
use crate::file::{Durable, OpenMode};

/// The mode of a new file, less what the process's mask takes.
const NEW_FILE_MODE: libc::mode_t = 0o644;

/// A descriptor that the ring closes, so that a close which takes its time holds nobody up.
struct Descriptor {
    /// `None` once it is closed or about to be.
    file: Option<fs::File>,
    reactor: Rc<Reactor>,
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            self.reactor.close(file.into());
        }
    }
}

impl Descriptor {
    fn file(&self) -> &fs::File {
        self.file.as_ref().expect("only the last owner closes it")
    }

    fn raw(&self) -> Fd {
        Fd(self.file().as_raw_fd())
    }
}

/// How far a write with its flush came.
pub(crate) enum WrittenAndSynced {
    /// The write failed, or fell short: so many bytes were written, and nothing was flushed.
    Written(io::Result<usize>),
    /// All was written; how the flush ended.
    Synced(io::Result<()>),
}

fn address(len: u32) -> usize {
    usize::try_from(len).expect("fits an address")
}

pub(crate) struct UringFile {
    descriptor: Rc<Descriptor>,
    durable: Durable,
    at_once: AtOnce,
}

impl UringFile {
    pub(crate) async fn open(
        path: &Path,
        mode: OpenMode,
        durable: Durable,
    ) -> io::Result<UringFile> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        let mut flags = libc::O_CLOEXEC | libc::O_DIRECT;
        flags |= match mode {
            OpenMode::CreateNew => libc::O_RDWR | libc::O_CREAT | libc::O_EXCL,
            OpenMode::ReadWrite => libc::O_RDWR,
            OpenMode::ReadOnly => libc::O_RDONLY,
        };
        if durable == Durable::WhenWritten {
            flags |= libc::O_DSYNC;
        }
        // The name lies on the heap, where it stays when it goes into `keep`.
        let entry = opcode::OpenAt::new(Fd(libc::AT_FDCWD), path.as_ptr());
        let entry = entry.flags(flags).mode(NEW_FILE_MODE).build();
        let reactor = local().reactor.clone();
        let keep = Keep { _path: Some(path), ..Keep::default() };
        let opened = reactor.start(entry, Kind::Opens, keep).await;
        let fd = i32::try_from(opened.result?).expect("the kernel gives a descriptor");
        // SAFETY: the descriptor is new and nobody else's.
        let file = Some(unsafe { fs::File::from_raw_fd(fd) });
        let descriptor = Rc::new(Descriptor { file, reactor });
        Ok(UringFile { descriptor, durable, at_once: AtOnce::default() })
    }

    /// Carries out `entry`, which names this file and, if any, the memory of `buffer`.
    async fn run(
        &self,
        entry: squeue::Entry,
        kind: Kind,
        buffer: Option<Rc<Buffer>>,
    ) -> (io::Result<usize>, Option<Rc<Buffer>>) {
        let descriptor = self.descriptor.clone();
        let keep = Keep { buffer, ..Keep::descriptor(descriptor) };
        let Ended { result, keep, .. } = self.descriptor.reactor.start(entry, kind, keep).await;
        (result.map(address), keep.buffer)
    }

    fn write_entry(&self, buffer: &Buffer, pos: u64) -> squeue::Entry {
        let len = u32::try_from(buffer.len()).expect("a buffer is at most 1 GiB");
        opcode::Write::new(self.descriptor.raw(), buffer.as_ptr(), len).offset(pos).build()
    }

    fn sync_entry(&self) -> squeue::Entry {
        opcode::Fsync::new(self.descriptor.raw()).flags(FsyncFlags::DATASYNC).build()
    }

    pub(crate) async fn write_at(&self, buffer: &Rc<Buffer>, pos: u64) -> io::Result<usize> {
        let in_ring = |kind| self.run(self.write_entry(buffer, pos), kind, Some(buffer.clone()));
        if self.durable == Durable::AfterSync {
            return in_ring(Kind::Device).await.0;
        }
        let began = real_now();
        let written = if self.is_made_at_once(buffer) {
            self.write_now(buffer, pos)
        } else {
            // The flush behind the write runs in a thread of the kernel.
            in_ring(Kind::Worker).await.0
        };
        self.at_once.note(buffer.len(), real_now() - began);
        written
    }

    /// Whether this thread makes a durable write by itself, and waits for it.
    fn is_made_at_once(&self, buffer: &Buffer) -> bool {
        self.at_once.pays(buffer.len()) && self.descriptor.reactor.is_idle()
    }

    fn write_now(&self, buffer: &Buffer, pos: u64) -> io::Result<usize> {
        loop {
            match self.descriptor.file().write_at(buffer, pos) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => return written,
            }
        }
    }

    fn write_and_sync_now(&self, buffer: &Buffer, pos: u64) -> WrittenAndSynced {
        match self.write_now(buffer, pos) {
            Ok(written) if written == buffer.len() => {
                WrittenAndSynced::Synced(self.descriptor.file().sync_data())
            }
            written => WrittenAndSynced::Written(written),
        }
    }

    /// Whether [`UringFile::write_and_sync`] works here.
    pub(crate) fn links(&self) -> bool {
        self.descriptor.reactor.links()
    }

    /// Writes, and flushes when all is written: the kernel goes on from one to the other by itself, or this thread does.
    pub(crate) async fn write_and_sync(&self, buffer: &Rc<Buffer>, pos: u64) -> WrittenAndSynced {
        let began = real_now();
        let written = if self.is_made_at_once(buffer) {
            self.write_and_sync_now(buffer, pos)
        } else {
            self.write_and_sync_linked(buffer, pos).await
        };
        self.at_once.note(buffer.len(), real_now() - began);
        written
    }

    async fn write_and_sync_linked(&self, buffer: &Rc<Buffer>, pos: u64) -> WrittenAndSynced {
        let (write, sync) = (self.write_entry(buffer, pos), self.sync_entry());
        let keep =
            Keep { buffer: Some(buffer.clone()), ..Keep::descriptor(self.descriptor.clone()) };
        let ended = self.descriptor.reactor.start_linked(write, sync, keep).await;
        match ended.early {
            true => WrittenAndSynced::Written(ended.result.map(address)),
            false => WrittenAndSynced::Synced(ended.result.map(drop)),
        }
    }

    pub(crate) async fn read_at(&self, pos: u64, len: usize) -> io::Result<Slice> {
        let skip = offset_in_block(pos);
        let start = pos - skip as u64;
        let want = (skip + len).next_multiple_of(BLOCK);
        let read = self.read_blocks(start, want).await?;
        let end = read.len().min(skip + len);
        if read.len() == want || !read.len().is_multiple_of(BLOCK) || read.is_empty() {
            return Ok(read.slice(skip.min(end)..end));
        }
        // Short at a block boundary: the end of the file, or a read that the kernel cut.
        self.read_rest(start, skip, skip + len, &read).await
    }

    async fn read_blocks(&self, start: u64, want: usize) -> io::Result<Slice> {
        let mut buffer = Buffer::with_capacity(want);
        let len = u32::try_from(want).expect("a buffer is at most 1 GiB");
        let entry = opcode::Read::new(self.descriptor.raw(), buffer.memory(), len).offset(start);
        let (read, buffer) = self.run(entry.build(), Kind::Device, Some(Rc::new(buffer))).await;
        let read = read?;
        assert!(read <= want, "nothing is read beyond the buffer");
        if read == 0 {
            return Ok(Slice::empty());
        }
        let buffer = buffer.and_then(Rc::into_inner).expect("the operation alone had it");
        // SAFETY: the kernel has written the first `read` bytes.
        let buffer = unsafe { buffer.written(read) };
        Ok(Slice::new(Rc::new(buffer), 0..read))
    }

    /// Reads `count` pieces of `len` bytes with one operation; no more than were read, the last of them may be shorter.
    pub(crate) async fn read_pieces(
        &self,
        pos: u64,
        len: usize,
        count: usize,
    ) -> io::Result<Vec<Slice>> {
        let pieces = Pieces::new(len, count);
        let (vectors, vectors_len) = pieces.vectors();
        let entry = opcode::Readv::new(self.descriptor.raw(), vectors, vectors_len).offset(pos);
        let keep = Keep { pieces: Some(pieces), ..Keep::descriptor(self.descriptor.clone()) };
        let ended = self.descriptor.reactor.start(entry.build(), Kind::Device, keep).await;
        let mut left = ended.result.map(address)?;
        assert!(left <= len * count, "nothing is read beyond the buffers");
        let mut read = Vec::with_capacity(count);
        for buffer in ended.keep.pieces.expect("the operation kept them").buffers {
            let here = left.min(len);
            if here == 0 {
                break;
            }
            // SAFETY: the kernel fills the buffers in turn, and has written that many bytes of this one.
            let buffer = unsafe { buffer.written(here) };
            read.push(Slice::new(Rc::new(buffer), 0..here));
            left -= here;
        }
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
        self.run(self.sync_entry(), Kind::Worker, None).await.0.map(drop)
    }

    pub(crate) async fn allocate(&self, len: u64) -> io::Result<()> {
        let entry = opcode::Fallocate::new(self.descriptor.raw(), len).build();
        self.run(entry, Kind::Worker, None).await.0.map(drop)
    }

    pub(crate) async fn truncate(&self, len: u64) -> io::Result<()> {
        let file = self.descriptor.file().try_clone()?;
        blocking(move || file.set_len(len)).await
    }

    pub(crate) async fn len(&self) -> io::Result<u64> {
        let file = self.descriptor.file().try_clone()?;
        blocking(move || file.metadata().map(|metadata| metadata.len())).await
    }

    pub(crate) async fn close(self) -> io::Result<()> {
        // An operation that was given up may still have it; then it is closed after that, and nobody learns how.
        let Some(mut descriptor) = Rc::into_inner(self.descriptor) else { return Ok(()) };
        let file = descriptor.file.take().expect("closed once");
        let entry = opcode::Close::new(Fd(file.into_raw_fd())).build();
        let closed = descriptor.reactor.start(entry, Kind::Worker, Keep::default()).await;
        closed.result.map(drop)
    }
}
