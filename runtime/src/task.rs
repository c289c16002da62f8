//! Tasks of the current executor.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::context::{Backend, backend};
use crate::sim::SimTask;
use crate::uring::{self, UringTask};

/// A running task. Await it for its output; dropping it cancels it: its future is dropped within that call (if the task
/// drops its own handle, when it next suspends).
#[must_use = "dropping a task cancels it; detach it to let it run"]
pub struct Task<T> {
    kind: Kind<T>,
    detached: bool,
}

enum Kind<T> {
    Uring(UringTask<T>),
    Sim(SimTask<T>),
}

impl<T> Task<T> {
    /// Lets the task run on unobserved, until its executor ends.
    pub fn detach(mut self) {
        self.detached = true;
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if self.detached {
            return;
        }
        match &self.kind {
            Kind::Uring(task) => task.cancel(),
            Kind::Sim(task) => task.cancel(),
        }
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &self.kind {
            Kind::Uring(task) => task.poll(cx),
            Kind::Sim(task) => task.poll(cx),
        }
    }
}

/// Starts `future` on the current executor. It is first polled after the caller suspends, never within this call.
pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
    let kind = match backend() {
        Backend::Uring => Kind::Uring(uring::spawn(future)),
        Backend::Sim(seat) => Kind::Sim(seat.spawn(future)),
    };
    Task { kind, detached: false }
}

/// Lets the other ready tasks run first. A loop of these does not starve I/O and timers.
pub async fn yield_now() {
    match backend() {
        Backend::Uring => uring::yield_now().await,
        Backend::Sim(seat) => seat.yield_now().await,
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}
