//! Tasks of the current executor.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A running task. Await it for its output; dropping it cancels it at its next suspension point.
#[must_use = "dropping a task cancels it; detach it to let it run"]
pub struct Task<T> {
    output: PhantomData<T>,
}

impl<T> Task<T> {
    /// Lets the task run on unobserved.
    pub fn detach(self) {
        todo!()
    }
}

impl<T> Future for Task<T> {
    type Output = T;
    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<T> {
        todo!()
    }
}

/// Starts `future` on the current executor. It is first polled after the caller suspends.
pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
    todo!("{}", size_of_val(&future))
}

/// Lets the other ready tasks run first.
pub async fn yield_now() {
    todo!()
}
