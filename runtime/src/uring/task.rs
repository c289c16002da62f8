//! Tasks on glommio, with an end.
//!
//! Glommio leaks the tasks that are left when an executor ends, and a task that drops its own handle runs on. So every
//! future is kept in a cell of ours, from which it can be dropped at any time; glommio runs only a shell around it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use glommio::TaskQueueHandle;

use crate::outcome::Outcome;

type TaskFuture = Pin<Box<dyn Future<Output = ()>>>;

/// A task's future, until it is done or cancelled.
struct Body {
    id: u64,
    /// Taken out while it is polled.
    future: RefCell<Option<TaskFuture>>,
    over: Cell<bool>,
    shell: RefCell<Option<Waker>>,
}

#[derive(Default)]
struct Alive {
    next_id: u64,
    bodies: BTreeMap<u64, Rc<Body>>,
}

thread_local! {
    static ALIVE: RefCell<Alive> = RefCell::default();
}

impl Body {
    /// Drops the future, now or, if it is being polled, right after; and lets glommio have its shell back.
    fn end(&self) {
        self.over.set(true);
        ALIVE.with_borrow_mut(|alive| alive.bodies.remove(&self.id));
        let future = self.future.borrow_mut().take();
        drop(future); // outside the borrow: its destructor may be anything
        let shell = self.shell.borrow_mut().take();
        if let Some(shell) = shell {
            shell.wake();
        }
    }
}

/// What glommio runs.
struct Shell {
    body: Rc<Body>,
}

impl Future for Shell {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let body = &self.body;
        if body.over.get() {
            return Poll::Ready(());
        }
        let taken = body.future.borrow_mut().take();
        let mut future = taken.expect("a task is not polled within itself");
        let polled = future.as_mut().poll(cx);
        if polled.is_ready() || body.over.get() {
            drop(future);
            if !body.over.get() {
                body.end();
            }
            return Poll::Ready(());
        }
        *body.future.borrow_mut() = Some(future);
        body.shell.borrow_mut().get_or_insert_with(|| cx.waker().clone());
        Poll::Pending
    }
}

pub(crate) struct UringTask<T> {
    body: Rc<Body>,
    outcome: Outcome<T>,
}

impl<T> UringTask<T> {
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<T> {
        self.outcome.poll(cx)
    }

    pub(crate) fn cancel(&self) {
        if !self.body.over.get() {
            self.body.end();
        }
    }
}

pub(crate) fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> UringTask<T> {
    let (outcome, future) = Outcome::of(future);
    let body = ALIVE.with_borrow_mut(|alive| {
        let id = alive.next_id;
        alive.next_id += 1;
        let body = Rc::new(Body {
            id,
            future: RefCell::new(Some(Box::pin(future))),
            over: Cell::new(false),
            shell: RefCell::new(None),
        });
        alive.bodies.insert(id, body.clone());
        body
    });
    // Always the default queue: one with a latency bound can lose wake-ups in glommio 0.9.0. And not `spawn_local`, which
    // polls the new task within the call.
    let shell = Shell { body: body.clone() };
    glommio::executor()
        .spawn_local_into(shell, TaskQueueHandle::default())
        .expect("the default queue always exists")
        .detach();
    UringTask { body, outcome }
}

/// Rounds of destructors that start tasks whose destructors start tasks.
const END_ROUNDS_MAX: usize = 100;

/// Drops every task of this executor, in the order of their starts.
pub(super) fn end_all() {
    for _ in 0..END_ROUNDS_MAX {
        let bodies = ALIVE.with_borrow(|alive| alive.bodies.values().cloned().collect::<Vec<_>>());
        if bodies.is_empty() {
            return;
        }
        for body in bodies {
            if !body.over.get() {
                body.end();
            }
        }
    }
    panic!("the destructors of tasks keep starting tasks");
}
