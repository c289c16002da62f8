//! The handle of a simulated task.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::scheduler::TaskId;
use super::seat::Seat;

struct Outcome<T> {
    output: Option<T>,
    awaiter: Option<Waker>,
}

pub(crate) struct SimTask<T> {
    seat: Rc<Seat>,
    id: TaskId,
    outcome: Rc<RefCell<Outcome<T>>>,
    detached: bool,
}

impl<T: 'static> SimTask<T> {
    pub(super) fn spawn(seat: &Rc<Seat>, future: impl Future<Output = T> + 'static) -> SimTask<T> {
        let outcome = Rc::new(RefCell::new(Outcome {
            output: None,
            awaiter: None,
        }));
        let reported = outcome.clone();
        let body = async move {
            let output = future.await;
            let awaiter = {
                let mut outcome = reported.borrow_mut();
                outcome.output = Some(output);
                outcome.awaiter.take()
            };
            if let Some(awaiter) = awaiter {
                awaiter.wake();
            }
        };
        let id = seat.world.scheduler.spawn(&seat.world, seat, body);
        SimTask {
            seat: seat.clone(),
            id,
            outcome,
            detached: false,
        }
    }
}

impl<T> SimTask<T> {
    pub(crate) fn detach(mut self) {
        self.detached = true;
    }
}

impl<T> Future for SimTask<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut outcome = self.outcome.borrow_mut();
        if let Some(output) = outcome.output.take() {
            return Poll::Ready(output);
        }
        outcome.awaiter = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for SimTask<T> {
    fn drop(&mut self) {
        if !self.detached {
            self.seat.world.scheduler.cancel(self.id);
        }
    }
}
