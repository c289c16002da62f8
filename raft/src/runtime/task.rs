//! Tasks that run on when nobody waits for them.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::runtime::Task;

/// Why a task has no output: there is no reason. Nobody can cancel it through its handle, and one that panics takes the
/// process with it, or at least, where panics unwind, its executor.
pub type JoinError = Infallible;

/// A task's output. Dropping the handle lets the task run on, unlike dropping a [`Task`].
pub struct JoinHandle<T> {
    /// `None` only while it is dropped.
    task: Option<Task<T>>,
}

impl<T> JoinHandle<T> {
    pub(super) fn new(task: Task<T>) -> JoinHandle<T> {
        JoinHandle { task: Some(task) }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let task = self.task.as_mut().expect("a handle has its task until it is dropped");
        Pin::new(task).poll(cx).map(Ok)
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.detach();
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}
