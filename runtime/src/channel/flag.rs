//! Something that happens once.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::wait_list::{Ticket, WaitList};

#[derive(Default)]
struct Shared {
    up: Cell<bool>,
    waiting: RefCell<WaitList>,
}

/// Something that happens once in an executor, such as a stop. Clones are the same flag.
#[derive(Clone, Default)]
pub struct Flag {
    shared: Rc<Shared>,
}

impl Flag {
    /// A flag that is down.
    pub fn new() -> Flag {
        Flag::default()
    }

    /// Raises it, for ever.
    pub fn raise(&self) {
        self.shared.up.set(true);
        let all = self.shared.waiting.borrow_mut().take_all();
        for waker in all {
            waker.wake();
        }
    }

    /// Whether it is up.
    pub fn is_raised(&self) -> bool {
        self.shared.up.get()
    }

    /// Waits until it is up.
    pub async fn raised(&self) {
        let mut place = Place { shared: &self.shared, ticket: None };
        poll_fn(|cx| {
            if self.is_raised() {
                return Poll::Ready(());
            }
            place.shared.waiting.borrow_mut().wait(&mut place.ticket, cx.waker());
            Poll::Pending
        })
        .await;
    }
}

/// Leaves the list when the waiting future is dropped, so that it does not grow.
struct Place<'a> {
    shared: &'a Shared,
    ticket: Ticket,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            self.shared.waiting.borrow_mut().leave(self.ticket);
        }
    }
}
