//! Writes and flushes of one file through a ring of io_uring.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use io_uring::{IoUring, opcode, squeue, types};
use runtime::Buffer;

/// The bit of the user data that tells a flush from a write; the slot lies below it.
const FLUSH: u64 = 1 << 32;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// [`Ring::write`].
    Write,
    /// [`Ring::flush`].
    Flush,
}

/// A file with a ring of its own. Every write takes its bytes from the same memory, whose contents do not matter.
pub struct Ring {
    ring: IoUring,
    file: File,
    memory: Buffer,
    /// For each slot the bytes that its write must report; zero for a flush. `None`: the slot is free.
    slots: Vec<Option<u32>>,
}

impl Ring {
    /// A ring for `file` with `slots` operations under way at a time, each of at most `memory.len()` bytes.
    ///
    /// # Errors
    /// As `io_uring_setup`.
    pub fn new(file: File, memory: Buffer, slots: u32) -> io::Result<Self> {
        assert!(slots > 0, "an operation takes a slot");
        let ring = IoUring::new(slots.next_power_of_two())?;
        let count = usize::try_from(slots).expect("a small number");
        Ok(Self { ring, file, memory, slots: vec![None; count] })
    }

    /// Queues a write of `len` bytes at `offset`; [`wait`](Self::wait) sends it off. The slot must be free.
    pub fn write(&mut self, slot: u32, len: usize, offset: u64) {
        assert!(len > 0 && len <= self.memory.len(), "the write lies within the memory");
        let bytes = u32::try_from(len).expect("a write is smaller than 4 GiB");
        let fd = types::Fd(self.file.as_raw_fd());
        let entry = opcode::Write::new(fd, self.memory.as_ptr(), bytes).offset(offset).build();
        self.push(slot, bytes, &entry.user_data(u64::from(slot)));
    }

    /// Queues an `fdatasync`; [`wait`](Self::wait) sends it off. The slot must be free.
    pub fn flush(&mut self, slot: u32) {
        let fd = types::Fd(self.file.as_raw_fd());
        let entry = opcode::Fsync::new(fd).flags(types::FsyncFlags::DATASYNC).build();
        self.push(slot, 0, &entry.user_data(u64::from(slot) | FLUSH));
    }

    fn push(&mut self, slot: u32, expected: u32, entry: &squeue::Entry) {
        let place = &mut self.slots[slot as usize];
        assert!(place.is_none(), "slot {slot} is free");
        *place = Some(expected);
        // SAFETY: the entry refers to the file and to the memory of `self`, both of which live until the operation has
        // ended: `drop` waits for it. Nothing in here writes to the memory while it is lent to the kernel.
        let pushed = unsafe { self.ring.submission().push(entry) };
        pushed.expect("the ring has room for an operation in every slot");
    }

    /// Sends off what is queued and waits until an operation ends; its slot is free then. At least one must be under way.
    ///
    /// # Errors
    /// The operation failed, or wrote less than asked; or the ring does not work.
    pub fn wait(&mut self) -> io::Result<(u32, Operation)> {
        assert!(self.slots.iter().any(Option::is_some), "an operation is under way");
        loop {
            let ended = !self.ring.completion().is_empty();
            let queued = !self.ring.submission().is_empty();
            match (ended, queued) {
                (false, _) => retried(|| self.ring.submit_and_wait(1))?,
                (true, true) => retried(|| self.ring.submit())?,
                (true, false) => {}
            }
            let entry = self.ring.completion().next();
            if let Some(entry) = entry {
                return self.ended(entry.user_data(), entry.result());
            }
        }
    }

    fn ended(&mut self, user_data: u64, result: i32) -> io::Result<(u32, Operation)> {
        let slot = u32::try_from(user_data & !FLUSH).expect("it was put together from a slot");
        let expected = self.slots[slot as usize].take().expect("an operation was under way in it");
        let operation = if user_data & FLUSH == 0 { Operation::Write } else { Operation::Flush };
        match u32::try_from(result) {
            Err(_) => Err(io::Error::from_raw_os_error(-result)),
            Ok(done) if done != expected => Err(io::Error::from(io::ErrorKind::WriteZero)),
            Ok(_) => Ok((slot, operation)),
        }
    }
}

/// A signal is no reason to stop.
fn retried(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<()> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map(drop),
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        while self.slots.iter().any(Option::is_some) {
            let before = self.slots.iter().flatten().count();
            // What the operation came to does not matter any more.
            let (Ok(_) | Err(_)) = self.wait();
            // The memory must not go while the kernel may read it.
            let after = self.slots.iter().flatten().count();
            assert!(after < before, "the ring still tells what has ended");
        }
    }
}
