//! Files on a simulated disk.

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::disk::SharedInode;
use super::inode::Inode;
use super::seat::Seat;
use super::trace::Mark;
use super::world::{Process, World};
use crate::buffer::{BLOCK, Buffer, Slice};
use crate::channel::oneshot;
use crate::file::{Durable, OpenMode};

pub(crate) struct SimFile {
    world: Rc<World>,
    inode: SharedInode,
    process: Rc<Process>,
    writable: bool,
    durable: Durable,
}

impl SimFile {
    pub(crate) async fn open(
        seat: &Seat,
        path: &Path,
        mode: OpenMode,
        durable: Durable,
    ) -> io::Result<SimFile> {
        let create_new = mode == OpenMode::CreateNew;
        let inode = seat.disk_call(|disk| disk.open(path, create_new)).await?;
        let writable = mode != OpenMode::ReadOnly;
        let (world, process) = (seat.world.clone(), seat.process.clone());
        Ok(SimFile { world, inode, process, writable, durable })
    }

    /// Changes the file within `delay`, whether or not anybody still waits for it, and then tells that it is done. Only
    /// the death of the process comes before: the kernel lets a process end, and its locks go, when nothing of it is in
    /// flight any more. So a change that was begun has happened by then or never does, and never lands in a next life.
    async fn change<R: 'static>(
        &self,
        delay: Duration,
        change: impl FnOnce(&mut Inode, &World) -> R + 'static,
    ) -> R {
        let (done, result) = oneshot();
        let (inode, world, process) =
            (self.inode.clone(), self.world.clone(), self.process.clone());
        let until_told = self.world.share_of(delay);
        self.world.after(delay - until_told, move || {
            if process.crashed.get() {
                return;
            }
            let output = change(&mut inode.borrow_mut(), &world);
            world.after(until_told, move || drop(done.send(output))); // nobody may be waiting
        });
        result.await.expect("the event happens unless the world ends, and then nobody waits")
    }

    fn require_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EBADF)) }
    }

    pub(crate) async fn write_at(&self, buffer: &Rc<Buffer>, pos: u64) -> io::Result<usize> {
        self.require_writable()?;
        // About 1 GiB/s on top of the latency.
        let mut delay = self.world.delay(15, 80) + Duration::from_nanos(buffer.len() as u64);
        let dsync = self.durable == Durable::WhenWritten;
        if dsync {
            delay += self.world.delay(15, 120); // cheaper than a write and a flush
        }
        let buffer = buffer.clone();
        let write = move |inode: &mut Inode, world: &World| {
            world.mark(Mark::DiskWrite, pos);
            world.mark_bytes(Mark::DiskWrite, &buffer);
            let first = inode.next_change();
            inode.write(pos, &buffer);
            if dsync {
                world.mark(Mark::DiskSync, first);
                inode.sync_from(first);
            }
            buffer.len()
        };
        Ok(self.change(delay, write).await)
    }

    pub(crate) async fn read_at(&self, pos: u64, len: usize) -> io::Result<Slice> {
        let delay = self.world.delay(10, 90) + Duration::from_nanos(len as u64);
        let read = move |inode: &mut Inode, _: &World| {
            let mut memory = crate::buffer::buffer(len.next_multiple_of(BLOCK));
            let read = inode.read(pos, &mut memory[..len]);
            Slice::new(Rc::new(memory), 0..read)
        };
        Ok(self.change(delay, read).await)
    }

    pub(crate) async fn sync(&self) -> io::Result<()> {
        let covered = self.inode.borrow().next_change();
        let sync = move |inode: &mut Inode, world: &World| {
            world.mark(Mark::DiskSync, covered);
            inode.sync(covered);
        };
        self.change(self.world.delay(30, 200), sync).await;
        Ok(())
    }

    pub(crate) async fn allocate(&self, len: u64) -> io::Result<()> {
        self.require_writable()?;
        let allocate = move |inode: &mut Inode, world: &World| {
            world.mark(Mark::DiskWrite, len);
            if len > inode.len() {
                inode.set_len(len);
            }
        };
        self.change(self.world.delay(50, 500), allocate).await;
        Ok(())
    }

    pub(crate) async fn truncate(&self, len: u64) -> io::Result<()> {
        if !self.writable {
            return Err(io::Error::from_raw_os_error(libc::EINVAL)); // what ftruncate(2) says
        }
        let truncate = move |inode: &mut Inode, world: &World| {
            world.mark(Mark::DiskWrite, len);
            inode.set_len(len);
        };
        self.change(self.world.delay(20, 200), truncate).await;
        Ok(())
    }

    pub(crate) async fn len(&self) -> io::Result<u64> {
        Ok(self.change(self.world.delay(2, 10), |inode, _| inode.len()).await)
    }

    pub(crate) async fn close(self) -> io::Result<()> {
        self.change(self.world.delay(2, 10), |_, _| ()).await;
        Ok(())
    }
}
