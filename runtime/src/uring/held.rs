//! Files that the ring holds open.
//!
//! A process that is killed leaves direct writes in the kernel, which land afterwards; the kernel closes the process's own
//! descriptors before that. What is registered with the ring is closed after the last of them. So a lock on such a
//! file tells the next process truly when the disk is still.

use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;

use super::reactor::Reactor;

/// Files that a ring holds at most.
pub(super) const HELD_MAX: usize = 64;
/// The number that the kernel takes for no file.
pub(super) const NO_FILE: RawFd = -1;

/// A file is held until this is dropped, or until the process is dead and the kernel is done with the ring.
pub(crate) struct Holding {
    reactor: Rc<Reactor>,
    place: usize,
}

impl Holding {
    /// Has the calling executor's ring hold the file of this descriptor.
    ///
    /// # Errors
    /// The kernel's; or too many are held.
    pub(crate) fn of(fd: RawFd) -> io::Result<Holding> {
        let reactor = super::local::local().reactor.clone();
        let place = reactor.hold(fd)?;
        Ok(Holding { reactor, place })
    }
}

impl fmt::Debug for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holding").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.reactor.let_go(self.place);
    }
}

/// Which places are taken.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<bool>);

impl Places {
    /// Whether the kernel knows of them yet.
    pub(super) fn are_made(&self) -> bool {
        !self.0.is_empty()
    }

    /// The kernel knows of them.
    pub(super) fn make(&mut self) {
        self.0 = vec![false; HELD_MAX];
    }

    pub(super) fn take(&mut self) -> Option<usize> {
        let free = self.0.iter().position(|taken| !taken)?;
        self.0[free] = true;
        Some(free)
    }

    pub(super) fn free(&mut self, place: usize) {
        assert!(std::mem::take(&mut self.0[place]), "a file is let go once");
    }
}
