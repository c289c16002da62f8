//! What the lanes of one executor share.

use std::cell::{Cell, RefCell, RefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use runtime::Instant;
use runtime::channel::Flag;

use crate::recorder::Recorder;
use crate::schedule::Schedule;

/// The schedule of the run, its recorder, and the flags that end it. Owned by one executor.
pub struct Stage {
    schedule: Cell<Schedule>,
    recorder: RefCell<Recorder>,
    /// Messages that consumers of all executors still want.
    wanted: Option<Arc<AtomicU64>>,
    /// Raised when nothing new is to be begun.
    pub stop: Flag,
    /// Raised when what is in flight is not to be waited for either.
    pub abandon: Flag,
    /// Raised when consumers have what they want.
    pub enough: Flag,
}

impl Stage {
    /// A stage on which the run goes by `schedule`; `wanted` are the messages that [`Stage::took`] counts down.
    #[must_use]
    pub fn new(schedule: Schedule, wanted: Option<Arc<AtomicU64>>) -> Stage {
        Stage {
            schedule: Cell::new(schedule),
            recorder: RefCell::default(),
            wanted,
            stop: Flag::new(),
            abandon: Flag::new(),
            enough: Flag::new(),
        }
    }

    /// The schedule as it is now.
    pub fn schedule(&self) -> Schedule {
        self.schedule.get()
    }

    /// Where to count. Keep it for a call, never across an await.
    pub fn recorder(&self) -> RefMut<'_, Recorder> {
        self.recorder.borrow_mut()
    }

    /// Whether nothing new is to be begun at `at`.
    pub fn is_over(&self, at: Instant) -> bool {
        self.stop.is_raised() || self.schedule.get().is_over(at)
    }

    /// Ends the run at `at`, unless it has ended earlier.
    pub fn stop_at(&self, at: Instant) {
        self.schedule.set(self.schedule.get().cut(at));
        self.stop.raise();
    }

    /// Another `messages` of those wanted are there.
    pub fn took(&self, messages: u64) {
        let Some(wanted) = &self.wanted else { return };
        // Executors take turns at this once a pull; a count of its own is all that it protects.
        let left = wanted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            Some(left.saturating_sub(messages))
        });
        if left.is_ok_and(|left| left <= messages) {
            self.enough.raise();
        }
    }

    /// The recorder, when the run is over; what is left is an empty one.
    pub fn take_recorder(&self) -> Recorder {
        self.recorder.take()
    }
}
