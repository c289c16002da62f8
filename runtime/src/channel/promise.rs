//! One value between executors and threads.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{Closed, SendError};

struct State<T> {
    value: Option<T>,
    waker: Option<Waker>,
    promise_gone: bool,
    receiver_gone: bool,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code of a user runs under the lock, so a poisoned state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sending half of [`promise`]. Dropped unfulfilled, the receiver gets [`Closed`].
pub struct Promise<T> {
    shared: Arc<Shared<T>>,
}

/// The receiving half of [`promise`]: await it on an executor or block a plain thread.
pub struct PromiseReceiver<T> {
    shared: Arc<Shared<T>>,
}

/// A channel for one value between executors and threads.
pub fn promise<T: Send>() -> (Promise<T>, PromiseReceiver<T>) {
    let state = State { value: None, waker: None, promise_gone: false, receiver_gone: false };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
    (Promise { shared: shared.clone() }, PromiseReceiver { shared })
}

impl<T: Send> Promise<T> {
    /// Hands over the value; gives it back if the receiver is gone.
    pub fn fulfil(self, value: T) -> Result<(), SendError<T>> {
        let mut state = self.shared.lock();
        assert!(state.value.is_none(), "a promise is fulfilled once");
        if state.receiver_gone {
            return Err(SendError(value));
        }
        state.value = Some(value);
        Ok(()) // dropping `self` wakes the receiver
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.shared.lock();
            state.promise_gone = true;
            state.waker.take()
        };
        self.shared.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T: Send> PromiseReceiver<T> {
    /// Blocks a plain thread until the value is there; never on an executor.
    pub fn wait(self) -> Result<T, Closed> {
        let mut state = self.shared.lock();
        loop {
            if let Some(value) = state.value.take() {
                return Ok(value);
            }
            if state.promise_gone {
                return Err(Closed);
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Blocks a plain thread until the value is there, at most for `limit`; `None` when that ran out.
    pub fn wait_for(&mut self, limit: Duration) -> Option<Result<T, Closed>> {
        let state = self.shared.lock();
        let (mut state, _) = self
            .shared
            .changed
            .wait_timeout_while(state, limit, |s| s.value.is_none() && !s.promise_gone)
            .unwrap_or_else(PoisonError::into_inner);
        match state.value.take() {
            Some(value) => Some(Ok(value)),
            None if state.promise_gone => Some(Err(Closed)),
            None => None,
        }
    }

    /// True when awaiting or waiting would not wait.
    pub fn is_ready(&self) -> bool {
        let state = self.shared.lock();
        state.value.is_some() || state.promise_gone
    }
}

impl<T: Send> Future for PromiseReceiver<T> {
    type Output = Result<T, Closed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.shared.lock();
        if let Some(value) = state.value.take() {
            return Poll::Ready(Ok(value));
        }
        if state.promise_gone {
            return Poll::Ready(Err(Closed));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for PromiseReceiver<T> {
    fn drop(&mut self) {
        let value = {
            let mut state = self.shared.lock();
            state.receiver_gone = true;
            state.value.take()
        };
        drop(value); // outside the lock: its destructor may be anything
    }
}
