//! How many reads the disk has at a time.

use std::cell::Cell;

use runtime::channel::Notify;

/// Reads that a store has on the device at a time. Together with the size of a window it bounds what a
/// flush of the log finds in front of it: 1 MiB.
pub(crate) const MAX_READS: usize = 4;

/// The turns of a store. Whoever finds none waits in line.
pub(super) struct Turns {
    running: Cell<usize>,
    freed: Notify,
}

/// The right to read; given back when dropped.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self { running: Cell::new(0), freed: Notify::new() }
    }

    /// Waits for a turn. Cancel safe.
    pub(super) async fn take(&self) -> Turn<'_> {
        while self.running.get() >= MAX_READS {
            self.freed.notified().await;
        }
        self.running.set(self.running.get() + 1);
        Turn { turns: self }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let running = self.turns.running.get();
        assert!(running > 0 && running <= MAX_READS, "a turn that ends was taken");
        self.turns.running.set(running - 1);
        self.turns.freed.notify_one();
    }
}
