//! Wakers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use super::inbox::Inbox;
use super::local;

/// What wakes one task, from any thread. A task that was woken and has not run since is not woken again.
pub(super) struct Signal {
    /// The task's number, never given twice in an executor; [`MAIN`] for its main future.
    pub(super) task: u64,
    /// The task's place among the tasks.
    pub(super) key: usize,
    queued: AtomicBool,
    inbox: Arc<Inbox>,
}

/// The number of an executor's main future.
pub(super) const MAIN: u64 = 0;

impl Signal {
    pub(super) fn new(task: u64, key: usize, inbox: Arc<Inbox>) -> Arc<Signal> {
        Arc::new(Signal { task, key, queued: AtomicBool::new(false), inbox })
    }

    /// The task is about to run: who wakes it from now on wakes it again.
    pub(super) fn runs(&self) {
        // In a pair with the swap below: what the waker did before it is seen by the task.
        self.queued.swap(false, Ordering::AcqRel);
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let inbox = self.inbox.clone();
        if let Err(signal) = local::make_ready(&inbox, self) {
            inbox.put(signal);
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Not "is it queued already" first: the swap is what shows the task what was done before the wake.
        self.clone().wake();
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("task", &self.task).finish_non_exhaustive()
    }
}
