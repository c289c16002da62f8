//! Timers of an executor.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::local::local;
use crate::clock::{Instant, real_now};

/// What waits for a time, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Timers {
    waiting: RefCell<BTreeMap<(Instant, u64), Waker>>,
    next: Cell<u64>,
}

impl Timers {
    /// When the first of them is due.
    pub(super) fn first(&self) -> Option<Instant> {
        self.waiting.borrow().first_key_value().map(|((at, _), _)| *at)
    }

    /// Wakes all that are due.
    pub(super) fn fire(&self) {
        let Some(first) = self.first() else { return };
        let now = real_now();
        if first > now {
            return;
        }
        loop {
            let mut waiting = self.waiting.borrow_mut();
            let Some(entry) = waiting.first_entry().filter(|entry| entry.key().0 <= now) else {
                return;
            };
            let waker = entry.remove();
            drop(waiting);
            waker.wake();
        }
    }

    fn set(&self, at: Instant, waker: Waker) -> u64 {
        let number = self.next.get();
        self.next.set(number + 1);
        self.waiting.borrow_mut().insert((at, number), waker);
        number
    }
}

/// The future of a sleep.
pub(crate) struct UringSleep {
    timers: Rc<Timers>,
    at: Instant,
    number: Option<u64>,
}

impl UringSleep {
    pub(crate) fn new(duration: Duration) -> UringSleep {
        UringSleep { timers: local().timers.clone(), at: real_now() + duration, number: None }
    }
}

impl Future for UringSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if real_now() >= self.at {
            return Poll::Ready(());
        }
        if let Some(number) = self.number
            && let Some(waker) = self.timers.waiting.borrow_mut().get_mut(&(self.at, number))
        {
            waker.clone_from(cx.waker());
            return Poll::Pending;
        }
        self.number = Some(self.timers.set(self.at, cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for UringSleep {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let waker = self.timers.waiting.borrow_mut().remove(&(self.at, number));
            drop(waker); // outside the borrow
        }
    }
}
