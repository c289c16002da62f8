//! The handle of a simulated task.

use std::future::Future;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::scheduler::TaskId;
use super::seat::Seat;
use crate::outcome::Outcome;

pub(crate) struct SimTask<T> {
    seat: Rc<Seat>,
    id: TaskId,
    outcome: Outcome<T>,
}

impl<T: 'static> SimTask<T> {
    pub(super) fn spawn(seat: &Rc<Seat>, future: impl Future<Output = T> + 'static) -> SimTask<T> {
        let (outcome, body) = Outcome::of(future);
        let id = seat.world.scheduler.spawn(&seat.world, seat, body);
        SimTask { seat: seat.clone(), id, outcome }
    }
}

impl<T> SimTask<T> {
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<T> {
        self.outcome.poll(cx)
    }

    pub(crate) fn cancel(&self) {
        self.seat.world.scheduler.cancel(self.id);
    }
}
