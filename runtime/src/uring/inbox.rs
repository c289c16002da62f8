//! How other threads wake the tasks of an executor.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::signal::Signal;

/// Tasks that other threads have woken. A task stands in it once at most, so the tasks bound it.
#[derive(Debug)]
pub(super) struct Inbox {
    woken: Mutex<Vec<Arc<Signal>>>,
    /// There is something in it. May be seen late, never too long: whoever falls asleep looks under the lock.
    some: AtomicBool,
    /// The executor sleeps, or is about to: it must be told.
    asleep: AtomicBool,
    /// An eventfd.
    event: OwnedFd,
}

impl Inbox {
    pub(super) fn new() -> io::Result<Inbox> {
        // SAFETY: takes and returns plain integers.
        let event = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if event < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        let event = unsafe { OwnedFd::from_raw_fd(event) };
        Ok(Inbox {
            woken: Mutex::default(),
            some: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            event,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Signal>>> {
        // No code of others runs under the lock, so a poisoned list is still whole.
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From any other thread: this task wants to run.
    pub(super) fn put(&self, signal: Arc<Signal>) {
        self.lock().push(signal);
        self.some.store(true, Ordering::Release);
        // Whoever falls asleep says so before it looks into the list: either it sees the task there, or it is seen here.
        if self.asleep.swap(false, Ordering::SeqCst) {
            self.ring_bell();
        }
    }

    fn ring_bell(&self) {
        let one = 1_u64;
        // SAFETY: the kernel reads 8 bytes of `one`. It can refuse only when the counter is full: then it rings already.
        let _ = unsafe { libc::write(self.event.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// What its executor polls for.
    pub(super) fn event(&self) -> &OwnedFd {
        &self.event
    }

    /// Silences the event once it was seen.
    pub(super) fn rest(&self) {
        let mut count = 0_u64;
        // SAFETY: the kernel writes 8 bytes to `count`. With nothing to read it refuses, which is as good.
        let _ = unsafe { libc::read(self.event.as_raw_fd(), (&raw mut count).cast(), 8) };
    }

    /// Whether there is something to take.
    pub(super) fn has_some(&self) -> bool {
        self.some.load(Ordering::Acquire)
    }

    /// Takes all.
    pub(super) fn take(&self) -> Vec<Arc<Signal>> {
        self.some.store(false, Ordering::Relaxed);
        std::mem::take(&mut *self.lock())
    }

    /// From now until the guard is dropped whoever puts something in rings. `None` when there is something already.
    pub(super) fn fall_asleep(&self) -> Option<Asleep<'_>> {
        self.asleep.store(true, Ordering::SeqCst);
        let asleep = Asleep { inbox: self };
        self.lock().is_empty().then_some(asleep)
    }
}

/// The executor sleeps.
pub(super) struct Asleep<'a> {
    inbox: &'a Inbox,
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        self.inbox.asleep.store(false, Ordering::Relaxed);
    }
}
