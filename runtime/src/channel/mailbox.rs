//! A bounded queue between executors and threads.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::wait_list::{Ticket, WaitList};
use super::{SendError, TrySendError};

struct State<T> {
    queue: VecDeque<T>,
    capacity: usize,
    senders: usize,
    receiver_gone: bool,
    receiver: Option<Waker>,
    waiting: WaitList,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    /// For [`MailboxReceiver::recv_blocking`].
    changed: Condvar,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code of ours or of a user runs under the lock, so a poisoned state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends to an executor from anywhere: other executors and plain threads. Never waits for more than a few
/// instructions under a lock, except in [`MailboxSender::send`].
pub struct MailboxSender<T> {
    shared: Arc<Shared<T>>,
}

/// Receives on an executor (or a plain thread) what others send.
pub struct MailboxReceiver<T> {
    shared: Arc<Shared<T>>,
}

/// A bounded queue between executors and threads. `capacity` must not be zero. Not for a data path: a message to a
/// parked executor costs a system call.
pub fn mailbox<T: Send>(capacity: usize) -> (MailboxSender<T>, MailboxReceiver<T>) {
    assert!(capacity > 0, "a queue holds at least one value");
    let state = State {
        queue: VecDeque::new(),
        capacity,
        senders: 1,
        receiver_gone: false,
        receiver: None,
        waiting: WaitList::default(),
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
    (MailboxSender { shared: shared.clone() }, MailboxReceiver { shared })
}

impl<T> Clone for MailboxSender<T> {
    fn clone(&self) -> Self {
        self.shared.lock().senders += 1;
        MailboxSender { shared: self.shared.clone() }
    }
}

impl<T> Drop for MailboxSender<T> {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.shared.lock();
            assert!(state.senders > 0);
            state.senders -= 1;
            if state.senders > 0 {
                return;
            }
            state.receiver.take()
        };
        self.shared.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T: Send> MailboxSender<T> {
    /// Queues the value if there is room. Never blocks.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let waker = {
            let mut state = self.shared.lock();
            if state.receiver_gone {
                return Err(TrySendError::Closed(value));
            }
            if state.queue.len() >= state.capacity {
                return Err(TrySendError::Full(value));
            }
            state.queue.push_back(value);
            state.receiver.take()
        };
        self.shared.changed.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Queues the value, waiting for room; from within an executor. Cancel-safe.
    pub async fn send(&self, value: T) -> Result<(), SendError<T>> {
        let mut turn = Turn { shared: &self.shared, ticket: None };
        let mut value = Some(value);
        poll_fn(|cx| turn.poll_send(self, &mut value, cx)).await
    }

    /// True when the receiver is gone.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().receiver_gone
    }
}

/// A sender's place in the line; passes its turn on when it is dropped after it was called.
struct Turn<'a, T> {
    shared: &'a Shared<T>,
    ticket: Ticket,
}

impl<T: Send> Turn<'_, T> {
    fn poll_send(
        &mut self,
        sender: &MailboxSender<T>,
        value: &mut Option<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        // In the line first, then the attempt: room made in between wakes us.
        self.shared.lock().waiting.wait(&mut self.ticket, cx.waker());
        let offered = value.take().expect("polled until ready only");
        match sender.try_send(offered) {
            Ok(()) => {
                self.shared.lock().waiting.leave(self.ticket.take());
                Poll::Ready(Ok(()))
            }
            Err(TrySendError::Closed(back)) => {
                self.ticket = None;
                Poll::Ready(Err(SendError(back)))
            }
            Err(TrySendError::Full(back)) => {
                *value = Some(back);
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        if self.ticket.is_none() {
            return;
        }
        let next = {
            let mut state = self.shared.lock();
            if state.waiting.leave(self.ticket) { None } else { state.waiting.take_first() }
        };
        if let Some(waker) = next {
            waker.wake();
        }
    }
}

impl<T: Send> MailboxReceiver<T> {
    /// The next value; `None` when all senders are gone and the queue is empty. Cancel-safe.
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| {
            let (value, next) = {
                let mut state = self.shared.lock();
                let Some(value) = state.queue.pop_front() else {
                    if state.senders == 0 {
                        return Poll::Ready(None);
                    }
                    state.receiver = Some(cx.waker().clone());
                    return Poll::Pending;
                };
                (value, state.waiting.take_first())
            };
            if let Some(waker) = next {
                waker.wake();
            }
            Poll::Ready(Some(value))
        })
        .await
    }

    /// The next value, blocking a plain thread; never on an executor.
    pub fn recv_blocking(&mut self) -> Option<T> {
        let mut state = self.shared.lock();
        loop {
            if let Some(value) = state.queue.pop_front() {
                let next = state.waiting.take_first();
                drop(state);
                if let Some(waker) = next {
                    waker.wake();
                }
                return Some(value);
            }
            if state.senders == 0 {
                return None;
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next value if one is queued.
    pub fn try_recv(&mut self) -> Option<T> {
        let (value, next) = {
            let mut state = self.shared.lock();
            (state.queue.pop_front()?, state.waiting.take_first())
        };
        if let Some(waker) = next {
            waker.wake();
        }
        Some(value)
    }
}

impl<T> Drop for MailboxReceiver<T> {
    fn drop(&mut self) {
        let (queue, wakers) = {
            let mut state = self.shared.lock();
            state.receiver_gone = true;
            (std::mem::take(&mut state.queue), state.waiting.take_all())
        };
        for waker in wakers {
            waker.wake();
        }
        drop(queue); // outside the lock: the values may hold senders of this very mailbox
    }
}
