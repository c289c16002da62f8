//! The disk of a node, as a test sees it.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::disk::DISK_SIZE;
use super::faults::{DiskOp, When};
use super::names::SharedInode;
use super::trace::Mark;
use super::world::{NodeState, World};

/// A handle on the disk of a node, to plan faults with. From [`super::Node::disk`].
///
/// What is planned holds over crashes and power cuts, until [`Disk::heal`].
#[derive(Clone)]
pub struct Disk {
    pub(super) world: Rc<World>,
    pub(super) node: Rc<NodeState>,
}

impl Disk {
    /// Lets operations fail with EIO.
    ///
    /// A failed write has written any of its sectors, within the file's old length. After a failed sync of a file, what
    /// it was to make durable can still be read, later syncs succeed, and a power cut takes it all the same. A failed
    /// sync of a directory has made nothing durable.
    pub fn fail(&self, op: DiskOp, when: When) {
        self.node.disk.faults.borrow_mut().plan(op, when);
    }

    /// Lets no new file be made in the directory `dir`, an absolute path: that fails with `errno`, until
    /// [`Disk::heal`] or another call. What is there can be opened, renamed and removed.
    pub fn refuse_new_files(&self, dir: impl Into<PathBuf>, errno: i32) {
        self.node.disk.faults.borrow_mut().refuse_new(dir.into(), errno);
    }

    /// Lets syncs and durable writes report success although nothing is durable, or no longer.
    pub fn lie(&self, lies: bool) {
        self.node.disk.faults.borrow_mut().lying = lies;
    }

    /// Lets everything take `factor` times as long as usual; 1 is the usual.
    pub fn slow(&self, factor: u32) {
        assert!(factor > 0);
        self.node.disk.faults.borrow_mut().slowness = factor;
    }

    /// Lets nothing that begins within `duration` from now happen before its end.
    pub fn stall(&self, duration: Duration) {
        self.node.disk.faults.borrow_mut().stalled_until = self.world.now() + duration;
    }

    /// Lets no read that begins within `duration` from now happen before its end. All else goes on.
    pub fn stall_reads(&self, duration: Duration) {
        self.node.disk.faults.borrow_mut().reads_stalled_until = self.world.now() + duration;
    }

    /// Sets the size in bytes. Writes to blocks without a place, reservations and new names then fail with ENOSPC when
    /// it is used up; it may be less than what is used already.
    pub fn resize(&self, bytes: u64) {
        self.node.disk.faults.borrow_mut().capacity = bytes;
    }

    /// Bytes in use: of files that have a name or are open.
    pub fn used(&self) -> u64 {
        self.node.disk.names.borrow().used()
    }

    /// No planned failures, lies, slowness and stalls any more, and the usual size. What is rotten stays rotten.
    pub fn heal(&self) {
        let mut faults = self.node.disk.faults.borrow_mut();
        faults.forget_rules();
        (faults.lying, faults.slowness, faults.capacity) = (false, 1, DISK_SIZE);
        (faults.stalled_until, faults.reads_stalled_until) = (self.world.now(), self.world.now());
    }

    /// How many operations have failed with EIO so far, because it was planned or their blocks cannot be read.
    pub fn failures(&self) -> u64 {
        self.node.disk.faults.borrow().failures
    }

    /// The files, by path, with their lengths in bytes.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let names = self.node.disk.names.borrow();
        names.files().map(|(path, file)| (path.clone(), file.inode.borrow().len())).collect()
    }

    /// The bytes of a file, whatever is planned.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn content(&self, path: impl AsRef<Path>) -> Vec<u8> {
        let file = self.file(path.as_ref());
        let inode = file.inode.borrow();
        inode.content()
    }

    /// Flips one bit of a file, in what is durable as in what is not: bit `n % 8` of byte `n / 8`.
    ///
    /// # Panics
    /// When there is no such file, or it is shorter.
    pub fn flip_bit(&self, path: impl AsRef<Path>, bit: u64) {
        self.world.mark(Mark::Fault, bit);
        self.file(path.as_ref()).inode.borrow_mut().flip_bit(bit);
    }

    /// Lets reads that touch these bytes of a file fail with EIO until their blocks are written again.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn spoil(&self, path: impl AsRef<Path>, bytes: Range<u64>) {
        self.world.mark(Mark::Fault, bytes.start);
        self.file(path.as_ref()).inode.borrow_mut().spoil(bytes);
    }

    /// Lets these bytes be read again as they were.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn mend(&self, path: impl AsRef<Path>, bytes: Range<u64>) {
        self.file(path.as_ref()).inode.borrow_mut().mend(bytes);
    }

    fn file(&self, path: &Path) -> Rc<SharedInode> {
        let found = self.node.disk.names.borrow().find(path);
        found.unwrap_or_else(|error| panic!("{} on {}: {error}", path.display(), self.node.name))
    }
}
