//! The disk of a node: its names, its locks, its faults.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::SmallRng;

use super::faults::{DiskOp, Faults, eio};
use super::names::{Names, SharedInode, absolute};
use super::power::Survival;
use super::trace::Mark;
use super::world::World;
use crate::buffer::BLOCK;
use crate::fs::{Entry, LockFailure, Space};

/// Size of a simulated disk, in bytes, unless a test sets another.
pub(super) const DISK_SIZE: u64 = 64 << 30;

pub(crate) struct SimDisk {
    pub(super) names: RefCell<Names>,
    pub(super) faults: RefCell<Faults>,
    locks: RefCell<BTreeMap<PathBuf, u32>>,
}

impl SimDisk {
    pub(super) fn new() -> SimDisk {
        SimDisk {
            names: RefCell::new(Names::new()),
            faults: RefCell::new(Faults::none(DISK_SIZE)),
            locks: RefCell::default(),
        }
    }

    pub(super) fn open(&self, path: &Path, create_new: bool) -> io::Result<Rc<SharedInode>> {
        let full = self.available() < BLOCK as u64;
        let mut names = self.names.borrow_mut();
        if !create_new {
            return names.find(path);
        }
        self.faults.borrow().may_create(path)?;
        names.create(path, full)
    }

    pub(crate) fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let full = self.available() < BLOCK as u64;
        self.names.borrow_mut().create_dir_all(path, full)
    }

    pub(crate) fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.names.borrow().list(dir)
    }

    pub(crate) fn exists(&self, path: &Path) -> bool {
        self.names.borrow().exists(path)
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.names.borrow_mut().rename(from, to)
    }

    pub(crate) fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.names.borrow_mut().remove_file(path)
    }

    pub(crate) fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.faults.borrow().lying {
            return self.names.borrow().list(dir).map(drop);
        }
        self.names.borrow_mut().sync_dir(dir)
    }

    /// A node has one file system.
    pub(crate) fn device(&self, path: &Path) -> io::Result<u64> {
        self.space(path).map(|_| 0)
    }

    pub(crate) fn space(&self, path: &Path) -> io::Result<Space> {
        if !self.exists(path) {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        let available = self.available();
        Ok(Space { total: self.faults.borrow().capacity, free: available, available })
    }

    /// Bytes that are free.
    pub(super) fn available(&self) -> u64 {
        self.faults.borrow().capacity.saturating_sub(self.names.borrow().used())
    }

    // --- faults

    /// Whether the operation, which happens now, fails. Fails then with EIO.
    pub(super) fn attempt(&self, op: DiskOp, world: &World) -> io::Result<()> {
        let struck = world.with_fault_rng(|rng| self.faults.borrow_mut().strikes(op, rng));
        if !struck {
            return Ok(());
        }
        world.mark(Mark::Fault, op as u64);
        Err(eio())
    }

    pub(super) fn latency(&self, world: &World, usual: Duration) -> Duration {
        self.faults.borrow().latency(world.now(), usual)
    }

    /// The process is dead: of the writes that it had begun some happen now, each as a whole, and the others never.
    pub(super) fn settle(&self, rng: &mut SmallRng) {
        let mut survival = Survival::draw(rng);
        let files = self.names.borrow().inodes();
        for file in files {
            let begun = file.inode.borrow_mut().take_in_flight();
            for (pos, bytes) in begun {
                let available = self.available();
                let mut inode = file.inode.borrow_mut();
                let fits = inode.room_for(pos, bytes.len(), available) == bytes.len();
                if survival.keeps() && fits {
                    inode.write(pos, &bytes);
                }
            }
        }
    }

    /// The power goes. The process must be dead.
    pub(super) fn power_cut(&self, rng: &mut SmallRng) {
        assert!(self.locks.borrow().is_empty(), "the dead hold no locks");
        self.names.borrow_mut().power_cut(&mut Survival::draw(rng));
    }
}

/// A lock file that is locked; free again when dropped, also by a crash of the process.
pub(crate) struct SimLock {
    disk: Rc<SimDisk>,
    path: PathBuf,
}

impl SimLock {
    pub(super) fn take(disk: &Rc<SimDisk>, path: &Path, pid: u32) -> Result<SimLock, LockFailure> {
        let path = absolute(path);
        match disk.open(&path, true) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(LockFailure::Io(error)),
        }
        let mut locks = disk.locks.borrow_mut();
        if let Some(holder) = locks.get(&path) {
            return Err(LockFailure::Held { pid: Some(*holder) });
        }
        locks.insert(path.clone(), pid);
        Ok(SimLock { disk: disk.clone(), path })
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let held = self.disk.locks.borrow_mut().remove(&self.path);
        assert!(held.is_some(), "a lock is released once");
    }
}

impl std::fmt::Debug for SimLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SimLock").field(&self.path).finish()
    }
}
