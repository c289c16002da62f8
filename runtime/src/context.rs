//! Which backend the current thread is running on.

use std::cell::RefCell;
use std::rc::Rc;

use crate::sim::Seat;

/// The backend of the running executor.
#[derive(Clone)]
pub(crate) enum Backend {
    /// This thread is an executor with a ring.
    Uring,
    /// This thread is polling a task of a simulated executor.
    Sim(Rc<Seat>),
}

/// What the current thread is.
#[derive(Clone)]
enum Place {
    Executor(Backend),
    /// A plain thread of a simulated process; the seat is of no executor.
    Thread(Rc<Seat>),
}

thread_local! {
    static CURRENT: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// The backend of the running executor. Panics outside one: such a call is a bug of the caller, never bad input.
pub(crate) fn backend() -> Backend {
    CURRENT.with_borrow(|current| match current {
        Some(Place::Executor(backend)) => backend.clone(),
        _ => panic!("this call works only within an executor"),
    })
}

/// Whether an executor is running.
pub(crate) fn on_executor() -> bool {
    CURRENT.with_borrow(|current| matches!(current, Some(Place::Executor(_))))
}

/// The seat in the simulation that is running, if one is: of an executor or of a plain thread.
pub(crate) fn sim() -> Option<Rc<Seat>> {
    CURRENT.with_borrow(|current| match current {
        Some(Place::Executor(Backend::Sim(seat)) | Place::Thread(seat)) => Some(seat.clone()),
        _ => None,
    })
}

/// Makes `backend` the current one until the guard is dropped.
pub(crate) fn enter(backend: Backend) -> Entered {
    enter_place(Place::Executor(backend))
}

/// Makes this thread one of a simulated process until the guard is dropped.
pub(crate) fn enter_thread(seat: Rc<Seat>) -> Entered {
    enter_place(Place::Thread(seat))
}

fn enter_place(place: Place) -> Entered {
    let before = CURRENT.with_borrow_mut(|current| current.replace(place));
    Entered { before: Some(before) }
}

/// Restores what was current before.
pub(crate) struct Entered {
    before: Option<Option<Place>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let before = self.before.take().expect("restored once");
        // Dropped outside the borrow: a seat's destructor may ask for the context.
        let _left = CURRENT.with_borrow_mut(|current| std::mem::replace(current, before));
    }
}
