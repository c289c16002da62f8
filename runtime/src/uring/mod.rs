//! The backend on glommio and io_uring: one executor is one thread.

mod blocking;
mod file;
mod fs;
mod net;
mod start;
mod task;

use std::cell::Cell;
use std::io;
use std::time::Duration;

use glommio::GlommioError;

use crate::clock::{Instant, real_now};

pub(crate) use blocking::{blocking, blocking_detached};
pub(crate) use file::UringFile;
pub(crate) use fs::{UringLock, device, fs_call, list, lock, space, sync_dir};
pub(crate) use net::{UringListener, UringStream};
pub(crate) use start::{block_on, start};
pub(crate) use task::{UringTask, spawn};

/// How long a loop of yields may keep glommio from looking at its rings and timers.
const REACTOR_STARVED_MAX: Duration = Duration::from_micros(500);

thread_local! {
    static REACTOR_SEEN: Cell<Option<Instant>> = const { Cell::new(None) };
}

pub(crate) async fn yield_now() {
    let now = real_now();
    let starved = match REACTOR_SEEN.get() {
        Some(seen) => now - seen > REACTOR_STARVED_MAX,
        None => true,
    };
    if !starved {
        glommio::executor().yield_task_queue_now().await;
        return;
    }
    // Glommio turns to its reactor only when no task is runnable or after its 100 ms preemption timer. While this task
    // waits for a timer it is not runnable.
    turn_reactor().await;
    REACTOR_SEEN.set(Some(real_now()));
}

/// Suspends for one turn of the reactor: long enough that the timer has not expired when it is first looked at.
pub(super) async fn turn_reactor() {
    glommio::timer::sleep(Duration::from_micros(2)).await;
}

/// The system's error inside a glommio error, with its number kept where there is one.
pub(crate) fn io_error<T>(error: GlommioError<T>) -> io::Error {
    match error {
        GlommioError::IoError(source) | GlommioError::EnhancedIoError { source, .. } => source,
        other => other.into(),
    }
}
