//! Which backend the current thread is running on.

use std::cell::RefCell;
use std::rc::Rc;

use crate::sim::Seat;

/// The backend of the running executor.
#[derive(Clone)]
pub(crate) enum Backend {
    /// This thread is a glommio executor.
    Uring,
    /// This thread is polling a task of a simulated executor.
    Sim(Rc<Seat>),
}

thread_local! {
    static CURRENT: RefCell<Option<Backend>> = const { RefCell::new(None) };
}

/// The backend of the running executor. Panics outside one: such a call is a bug of the caller, never bad input.
pub(crate) fn backend() -> Backend {
    CURRENT.with_borrow(Clone::clone).expect("this call works only within an executor")
}

/// The simulated executor that is running, if one is.
pub(crate) fn sim() -> Option<Rc<Seat>> {
    CURRENT.with_borrow(|current| match current {
        Some(Backend::Sim(seat)) => Some(seat.clone()),
        _ => None,
    })
}

/// Makes `backend` the current one until the guard is dropped.
pub(crate) fn enter(backend: Backend) -> Entered {
    let before = CURRENT.with_borrow_mut(|current| current.replace(backend));
    Entered { before: Some(before) }
}

/// Restores what was current before [`enter`].
pub(crate) struct Entered {
    before: Option<Option<Backend>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let before = self.before.take().expect("restored once");
        // Dropped outside the borrow: a seat's destructor may ask for the context.
        let _left = CURRENT.with_borrow_mut(|current| std::mem::replace(current, before));
    }
}
