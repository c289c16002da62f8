//! The tasks of an executor. Each future lies in a cell, from which it can be dropped at any time.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use slab::Slab;

use super::local::{Local, local};
use super::signal::Signal;
use crate::outcome::Outcome;

type TaskFuture = Pin<Box<dyn Future<Output = ()>>>;

/// A task's future, until it is done or cancelled.
struct Body {
    /// In the order of their starts.
    number: u64,
    key: usize,
    /// Taken out while it is polled.
    future: RefCell<Option<TaskFuture>>,
    over: Cell<bool>,
    waker: Waker,
}

/// All that are not over.
#[derive(Default)]
pub(super) struct Tasks {
    alive: RefCell<Slab<Rc<Body>>>,
}

impl Body {
    /// Drops the future, now or, if it is being polled, right after.
    fn end(&self, tasks: &Tasks) {
        assert!(!self.over.replace(true), "a task ends once");
        let body = tasks.alive.borrow_mut().remove(self.key);
        assert!(body.number == self.number, "a place has one task at a time");
        let future = self.future.borrow_mut().take();
        drop(future); // outside the borrow: its destructor may be anything
    }
}

impl Tasks {
    /// Polls the task that was woken, if it is not over.
    pub(super) fn run(&self, signal: &Signal) {
        let body = self.alive.borrow().get(signal.key).cloned();
        let Some(body) = body.filter(|body| body.number == signal.task) else { return };
        let taken = body.future.borrow_mut().take();
        let mut future = taken.expect("a task is not polled within itself");
        let polled = future.as_mut().poll(&mut Context::from_waker(&body.waker));
        if polled.is_ready() || body.over.get() {
            drop(future);
            if !body.over.get() {
                body.end(self);
            }
        } else {
            *body.future.borrow_mut() = Some(future);
        }
    }

    /// Drops every task, in the order of their starts.
    pub(super) fn end_all(&self) {
        for _ in 0..END_ROUNDS_MAX {
            let mut bodies: Vec<Rc<Body>> =
                self.alive.borrow().iter().map(|(_, body)| body.clone()).collect();
            if bodies.is_empty() {
                return;
            }
            bodies.sort_unstable_by_key(|body| body.number);
            for body in bodies {
                if !body.over.get() {
                    body.end(self);
                }
            }
        }
        panic!("the destructors of tasks keep starting tasks");
    }
}

/// Rounds of destructors that start tasks whose destructors start tasks.
const END_ROUNDS_MAX: usize = 100;

pub(crate) struct UringTask<T> {
    local: Rc<Local>,
    body: Rc<Body>,
    outcome: Outcome<T>,
}

impl<T> UringTask<T> {
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<T> {
        self.outcome.poll(cx)
    }

    pub(crate) fn cancel(&self) {
        if !self.body.over.get() {
            self.body.end(&self.local.tasks);
        }
    }
}

/// Starts a task of the calling thread's executor. It runs in the next round.
pub(crate) fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> UringTask<T> {
    let local = local();
    let (outcome, future) = Outcome::of(future);
    let number = local.number_task();
    let mut alive = local.tasks.alive.borrow_mut();
    let place = alive.vacant_entry();
    let signal = Signal::new(number, place.key(), local.inbox.clone());
    let body = Rc::new(Body {
        number,
        key: place.key(),
        future: RefCell::new(Some(Box::pin(future))),
        over: Cell::new(false),
        waker: Waker::from(signal),
    });
    place.insert(body.clone());
    drop(alive);
    body.waker.wake_by_ref();
    UringTask { local, body, outcome }
}

/// Lets all that are ready run first.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
