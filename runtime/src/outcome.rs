//! The output of a task, on its way to whoever awaits it.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

struct State<T> {
    output: Option<T>,
    awaiter: Option<Waker>,
}

pub(crate) struct Outcome<T> {
    state: Rc<RefCell<State<T>>>,
}

impl<T: 'static> Outcome<T> {
    /// The outcome of `future`, and the task's body that brings it about.
    pub(crate) fn of(
        future: impl Future<Output = T> + 'static,
    ) -> (Outcome<T>, impl Future<Output = ()> + 'static) {
        let state = Rc::new(RefCell::new(State { output: None, awaiter: None }));
        let outcome = Outcome { state: state.clone() };
        let body = async move {
            let output = future.await;
            let awaiter = {
                let mut state = state.borrow_mut();
                state.output = Some(output);
                state.awaiter.take()
            };
            if let Some(awaiter) = awaiter {
                awaiter.wake();
            }
        };
        (outcome, body)
    }
}

impl<T> Outcome<T> {
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<T> {
        let mut state = self.state.borrow_mut();
        if let Some(output) = state.output.take() {
            return Poll::Ready(output);
        }
        state.awaiter = Some(cx.waker().clone());
        Poll::Pending
    }
}
