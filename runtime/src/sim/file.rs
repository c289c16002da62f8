//! Files on a simulated disk.

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::disk::SimDisk;
use super::faults::{DiskOp, eio};
use super::inode::Inode;
use super::names::{SharedInode, os_error};
use super::power::Survival;
use super::seat::Seat;
use super::trace::Mark;
use super::world::{Process, World};
use crate::buffer::{BLOCK, Buffer, Slice};
use crate::channel::oneshot;
use crate::file::{Durable, OpenMode};

pub(crate) struct SimFile {
    world: Rc<World>,
    disk: Rc<SimDisk>,
    file: Rc<SharedInode>,
    process: Rc<Process>,
    writable: bool,
    durable: Durable,
}

/// Where a change happens.
struct At<'a> {
    world: &'a World,
    disk: &'a SimDisk,
    file: &'a SharedInode,
}

impl At<'_> {
    fn inode(&self) -> std::cell::RefMut<'_, Inode> {
        self.file.inode.borrow_mut()
    }

    fn attempt(&self, op: DiskOp) -> io::Result<()> {
        self.disk.attempt(op, self.world)
    }

    fn lying(&self) -> bool {
        self.disk.faults.borrow().lying
    }
}

impl SimFile {
    pub(crate) async fn open(
        seat: &Seat,
        path: &Path,
        mode: OpenMode,
        durable: Durable,
    ) -> io::Result<SimFile> {
        let create_new = mode == OpenMode::CreateNew;
        let file = seat.disk_call(DiskOp::Metadata, |disk| disk.open(path, create_new)).await?;
        file.opens.set(file.opens.get() + 1);
        let writable = mode != OpenMode::ReadOnly;
        let (world, process) = (seat.world.clone(), seat.process.clone());
        let disk = seat.node.disk.clone();
        Ok(SimFile { world, disk, file, process, writable, durable })
    }

    /// Changes the file within `usual` time (more if the disk is slow), whether or not anybody still waits for it, and
    /// then tells that it is done. Only the death of the process comes before: [`SimDisk::settle`] decides then which of
    /// the writes that were begun happen. None lands in a next life: that begins with the store's lock, and the ring of
    /// the other backend holds the lock until the last of its writes has landed (ADR 0009).
    async fn change<R: 'static>(
        &self,
        usual: Duration,
        change: impl FnOnce(At<'_>) -> R + 'static,
    ) -> R {
        let (done, result) = oneshot();
        let (disk, file, world, process) =
            (self.disk.clone(), self.file.clone(), self.world.clone(), self.process.clone());
        let delay = disk.latency(&world, usual);
        let until_told = self.world.share_of(usual.min(delay));
        self.world.after(delay - until_told, move || {
            if process.crashed.get() {
                return;
            }
            let output = change(At { world: &world, disk: &disk, file: &file });
            world.after(until_told, move || drop(done.send(output))); // nobody may be waiting
        });
        result.await.expect("the event happens unless the world ends, and then nobody waits")
    }

    fn require_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(os_error(libc::EBADF)) }
    }

    pub(crate) async fn write_at(&self, buffer: &Rc<Buffer>, pos: u64) -> io::Result<usize> {
        self.require_writable()?;
        // About 1 GiB/s on top of the latency.
        let mut delay = self.world.delay(15, 80) + Duration::from_nanos(buffer.len() as u64);
        let dsync = self.durable == Durable::WhenWritten;
        if dsync {
            delay += self.world.delay(15, 120); // cheaper than a write and a flush
        }
        let number = self.file.inode.borrow_mut().take_off(pos, buffer);
        let buffer = buffer.clone();
        let write = move |at: At<'_>| {
            at.inode().land(number);
            write_now(&at, pos, &buffer, dsync)
        };
        self.change(delay, write).await
    }

    pub(crate) async fn read_at(&self, pos: u64, len: usize) -> io::Result<Slice> {
        let stall = self.disk.faults.borrow().reads_stall(self.world.now());
        if !stall.is_zero() {
            self.change(stall, |_| ()).await;
        }
        let delay = self.world.delay(10, 90) + Duration::from_nanos(len as u64);
        let read = move |at: At<'_>| {
            at.attempt(DiskOp::Read)?;
            let mut memory = crate::buffer::buffer(len.next_multiple_of(BLOCK));
            let Some(read) = at.inode().read(pos, &mut memory[..len]) else {
                at.world.mark(Mark::Fault, pos);
                at.disk.faults.borrow_mut().failures += 1;
                return Err(eio());
            };
            Ok(Slice::new(Rc::new(memory), 0..read))
        };
        self.change(delay, read).await
    }

    pub(crate) async fn read_pieces(
        &self,
        pos: u64,
        len: usize,
        count: usize,
    ) -> io::Result<Vec<Slice>> {
        let all = self.read_at(pos, len * count).await?;
        let pieces = all.chunks(len).map(|piece| {
            let mut memory = crate::buffer::buffer(len);
            memory[..piece.len()].copy_from_slice(piece);
            Slice::new(Rc::new(memory), 0..piece.len())
        });
        Ok(pieces.collect())
    }

    pub(crate) async fn sync(&self) -> io::Result<()> {
        let covered = self.file.inode.borrow().next_change();
        let sync = move |at: At<'_>| {
            at.world.mark(Mark::DiskSync, covered);
            if let Err(error) = at.attempt(DiskOp::Flush) {
                at.inode().lose(covered);
                return Err(error);
            }
            if !at.lying() {
                at.inode().sync(covered);
            }
            Ok(())
        };
        self.change(self.world.delay(30, 200), sync).await
    }

    pub(crate) async fn allocate(&self, len: u64) -> io::Result<()> {
        self.require_writable()?;
        let allocate = move |at: At<'_>| {
            at.world.mark(Mark::DiskWrite, len);
            at.attempt(DiskOp::Metadata)?;
            let cost = at.inode().cost_of_reserving(len);
            if cost > at.disk.available() {
                return Err(os_error(libc::ENOSPC));
            }
            at.inode().reserve(len);
            Ok(())
        };
        self.change(self.world.delay(50, 500), allocate).await
    }

    pub(crate) async fn truncate(&self, len: u64) -> io::Result<()> {
        if !self.writable {
            return Err(os_error(libc::EINVAL)); // what ftruncate(2) says
        }
        let truncate = move |at: At<'_>| {
            at.world.mark(Mark::DiskWrite, len);
            at.attempt(DiskOp::Metadata)?;
            at.inode().set_len(len);
            Ok(())
        };
        self.change(self.world.delay(20, 200), truncate).await
    }

    pub(crate) async fn len(&self) -> io::Result<u64> {
        Ok(self.change(self.world.delay(2, 10), |at| at.inode().len()).await)
    }

    pub(crate) async fn close(self) -> io::Result<()> {
        self.change(self.world.delay(2, 10), |_| ()).await;
        Ok(())
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let opens = self.file.opens.get();
        assert!(opens > 0, "a file is closed once");
        self.file.opens.set(opens - 1);
    }
}

/// The bytes that were written; fewer when the disk is full.
fn write_now(at: &At<'_>, pos: u64, bytes: &[u8], dsync: bool) -> io::Result<usize> {
    at.world.mark(Mark::DiskWrite, pos);
    at.world.mark_bytes(Mark::DiskWrite, bytes);
    let first = at.inode().next_change();
    if let Err(error) = at.attempt(DiskOp::Write) {
        let mut inode = at.inode();
        at.world.with_fault_rng(|rng| inode.write_some(pos, bytes, &mut Survival::draw(rng)));
        return Err(error);
    }
    let available = at.disk.available();
    let room = at.inode().room_for(pos, bytes.len(), available);
    if room == 0 {
        return Err(os_error(libc::ENOSPC));
    }
    at.inode().write(pos, &bytes[..room]);
    if dsync && !at.lying() {
        at.world.mark(Mark::DiskSync, first);
        at.inode().sync_from(first);
    }
    Ok(room)
}
