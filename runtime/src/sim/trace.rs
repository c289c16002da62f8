//! The fingerprint of a run.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What happened.
#[derive(Clone, Copy, Hash)]
pub(super) enum Mark {
    Poll,
    Spawn,
    Event,
    ExecutorEnd,
    Crash,
    Random,
    DiskWrite,
    DiskSync,
    DiskName,
    Fault,
    PowerCut,
    Connect,
    Send,
    Deliver,
    Close,
}

/// A running hash over all marks. `DefaultHasher::new` has fixed keys, so equal runs give equal hashes.
pub(super) struct Trace {
    hasher: RefCell<DefaultHasher>,
}

impl Trace {
    pub(super) fn new() -> Trace {
        Trace { hasher: RefCell::new(DefaultHasher::new()) }
    }

    pub(super) fn mark(&self, mark: Mark, at: u64, what: u64) {
        (mark, at, what).hash(&mut *self.hasher.borrow_mut());
    }

    pub(super) fn bytes(&self, mark: Mark, at: u64, bytes: &[u8]) {
        (mark, at, bytes).hash(&mut *self.hasher.borrow_mut());
    }

    pub(super) fn hash(&self) -> u64 {
        self.hasher.borrow().finish()
    }
}
