//! A plain thread of a simulated process that waits for a future: the world goes on meanwhile.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::scheduler::poll_told;
use super::world::{NodeState, World};
use crate::context::{self, Backend};

/// Virtual time for which a thread waits: after more, what it waits for does not come.
const BLOCKED_MAX: Duration = Duration::from_secs(24 * 3600);

/// Holds a waker when it is the future's turn to be polled.
type Turn = Rc<Cell<Option<Waker>>>;

/// The executor's main task. It stands in for a future that stays on the thread, because that may borrow from it.
async fn stand_in(turn: Turn) {
    poll_fn(|cx| {
        turn.set(Some(cx.waker().clone()));
        Poll::Pending
    })
    .await
}

impl World {
    /// Runs an executor whose main future is `future`, and everything else, until that is done.
    pub(super) fn block_on<F: Future>(
        self: &Rc<World>,
        node: &Rc<NodeState>,
        future: F,
    ) -> F::Output {
        let turn = Turn::default();
        let seat = self.add_executor(node, Box::pin(stand_in(turn.clone())), Box::new(|| ()));
        let mut future = Box::pin(future);
        let end = self.now() + BLOCKED_MAX;
        loop {
            let Some(waker) = turn.take() else {
                let more = self.step(end);
                assert!(more, "what a thread waits for never comes (seed {})", self.seed());
                continue;
            };
            let entered = context::enter(Backend::Sim(seat.clone()));
            if let Poll::Ready(output) = poll_told(self, &seat, future.as_mut(), &waker) {
                drop(future);
                drop(entered);
                self.scheduler.end_executor(self, seat.executor);
                return output;
            }
        }
    }
}
