//! Timers on virtual time.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::world::{EventKey, World};
use crate::clock::Instant;

/// The shortest sleep: time must pass, or a loop of empty sleeps would never end.
const SLEEP_MIN: Duration = Duration::from_nanos(50);

pub(crate) struct SimSleep {
    world: Rc<World>,
    deadline: Instant,
    planned: Option<EventKey>,
    waker: Rc<RefCell<Option<Waker>>>,
}

impl SimSleep {
    pub(super) fn new(world: &Rc<World>, duration: Duration) -> SimSleep {
        SimSleep {
            world: world.clone(),
            deadline: world.now() + duration.max(SLEEP_MIN),
            planned: None,
            waker: Rc::default(),
        }
    }
}

impl Future for SimSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.world.now() >= self.deadline {
            return Poll::Ready(());
        }
        *self.waker.borrow_mut() = Some(cx.waker().clone());
        if self.planned.is_none() {
            let waker = self.waker.clone();
            let wake = move || {
                let waker = waker.borrow_mut().take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            };
            self.planned = Some(self.world.at(self.deadline, wake));
        }
        Poll::Pending
    }
}

impl Drop for SimSleep {
    fn drop(&mut self) {
        if let Some(key) = self.planned {
            self.world.cancel_event(key);
        }
    }
}
