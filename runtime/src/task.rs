//! Tasks of the current executor.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::context::{Backend, backend};
use crate::sim::SimTask;
use crate::uring;

/// A running task. Await it for its output; dropping it cancels it: it is never polled again, and its future is dropped
/// soon after.
#[must_use = "dropping a task cancels it; detach it to let it run"]
pub struct Task<T>(Kind<T>);

enum Kind<T> {
    Uring(glommio::Task<T>),
    Sim(SimTask<T>),
}

impl<T> Task<T> {
    /// Lets the task run on unobserved, until its executor ends.
    pub fn detach(self) {
        match self.0 {
            Kind::Uring(task) => drop(task.detach()),
            Kind::Sim(task) => task.detach(),
        }
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.0 {
            Kind::Uring(task) => Pin::new(task).poll(cx),
            Kind::Sim(task) => Pin::new(task).poll(cx),
        }
    }
}

/// Starts `future` on the current executor. It is first polled after the caller suspends, never within this call.
pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
    Task(match backend() {
        Backend::Uring => Kind::Uring(uring::spawn(future)),
        Backend::Sim(seat) => Kind::Sim(seat.spawn(future)),
    })
}

/// Lets the other ready tasks run first. A loop of these does not starve I/O and timers.
pub async fn yield_now() {
    match backend() {
        Backend::Uring => uring::yield_now().await,
        Backend::Sim(seat) => seat.yield_now().await,
    }
}
