//! Waking tasks of the same executor.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::wait_list::{Ticket, WaitList};

/// Wakes waiting tasks of the same executor.
///
/// Check the condition, then await [`Notify::notified`] without suspending in between, and check again: a
/// notification says that something may have changed.
#[derive(Default)]
pub struct Notify {
    waiting: RefCell<WaitList>,
    permit: Cell<bool>,
}

impl Notify {
    /// With nobody waiting.
    pub fn new() -> Notify {
        Notify::default()
    }

    /// Wakes the longest-waiting task, or lets the next one that waits pass at once (one such permit at most).
    pub fn notify_one(&self) {
        let first = self.waiting.borrow_mut().take_first();
        match first {
            Some(waker) => waker.wake(),
            None => self.permit.set(true),
        }
    }

    /// Wakes every task that waits now; leaves no permit.
    pub fn notify_all(&self) {
        let all = self.waiting.borrow_mut().take_all();
        for waker in all {
            waker.wake();
        }
    }

    /// Waits for a notification, from the first poll on. Cancel-safe: a notification meant for a future that is
    /// dropped goes to the next.
    pub fn notified(&self) -> Notified<'_> {
        Notified { notify: self, ticket: None }
    }

    /// True when some task waits.
    pub fn has_waiters(&self) -> bool {
        !self.waiting.borrow().is_empty()
    }
}

/// See [`Notify::notified`].
#[must_use = "a future does nothing until it is awaited"]
pub struct Notified<'a> {
    notify: &'a Notify,
    ticket: Ticket,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let notify = self.notify;
        let mut waiting = notify.waiting.borrow_mut();
        let woken = self.ticket.is_some() && !waiting.is_waiting(self.ticket);
        if woken || (self.ticket.is_none() && notify.permit.take()) {
            self.ticket = None;
            return Poll::Ready(());
        }
        waiting.wait(&mut self.ticket, cx.waker());
        Poll::Pending
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        if self.ticket.is_some() && !self.notify.waiting.borrow_mut().leave(self.ticket) {
            self.notify.notify_one();
        }
    }
}
