//! The latest value, within an executor.

use std::cell::{Cell, Ref, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::wait_list::{Ticket, WaitList};
use super::{Closed, SendError};

struct Shared<T> {
    value: RefCell<T>,
    /// Counts the changes of the value.
    version: Cell<u64>,
    senders: Cell<usize>,
    receivers: Cell<usize>,
    waiting: RefCell<WaitList>,
}

impl<T> Shared<T> {
    fn wake_all(&self) {
        let all = self.waiting.borrow_mut().take_all();
        for waker in all {
            waker.wake();
        }
    }

    fn changed(&self) {
        self.version.set(self.version.get() + 1);
        self.wake_all();
    }
}

/// Changes the value; clones change the same one.
pub struct WatchSender<T> {
    shared: Rc<Shared<T>>,
}

/// Sees the value, and when it changes. A clone has seen what this one has.
pub struct WatchReceiver<T> {
    shared: Rc<Shared<T>>,
    seen: u64,
}

/// A value that some change and others look at, within an executor: there is no queue, only the latest value is kept.
/// The receiver has seen `value`.
pub fn watch<T>(value: T) -> (WatchSender<T>, WatchReceiver<T>) {
    let shared = Rc::new(Shared {
        value: RefCell::new(value),
        version: Cell::new(0),
        senders: Cell::new(1),
        receivers: Cell::new(1),
        waiting: RefCell::default(),
    });
    (WatchSender { shared: shared.clone() }, WatchReceiver { shared, seen: 0 })
}

impl<T> WatchSender<T> {
    /// Replaces the value and wakes all who wait; gives it back, unchanged, if no receiver is left.
    ///
    /// # Panics
    /// While someone holds the value borrowed.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.shared.receivers.get() == 0 {
            return Err(SendError(value));
        }
        let before = self.shared.value.replace(value);
        self.shared.changed();
        drop(before); // its destructor may be anything, and sees the new value
        Ok(())
    }

    /// Lets `modify` change the value in place; if it says that it has, all who wait are woken. Gives back what it said.
    /// Works without receivers too.
    ///
    /// # Panics
    /// While someone holds the value borrowed; and if `modify` looks at it through another handle.
    pub fn modify(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let modified = modify(&mut self.shared.value.borrow_mut());
        if modified {
            self.shared.changed();
        }
        modified
    }

    /// The value. Let go of it before anybody sends: never hold it across an await.
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.value.borrow()
    }

    /// One more receiver, which has seen the value of now.
    pub fn subscribe(&self) -> WatchReceiver<T> {
        let shared = self.shared.clone();
        shared.receivers.set(shared.receivers.get() + 1);
        WatchReceiver { seen: shared.version.get(), shared }
    }
}

impl<T> Clone for WatchSender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.set(self.shared.senders.get() + 1);
        WatchSender { shared: self.shared.clone() }
    }
}

impl<T> Drop for WatchSender<T> {
    fn drop(&mut self) {
        let senders = &self.shared.senders;
        assert!(senders.get() > 0);
        senders.set(senders.get() - 1);
        if senders.get() == 0 {
            self.shared.wake_all();
        }
    }
}

impl<T> WatchReceiver<T> {
    /// Waits until there is a value that this receiver has not seen, and counts it as seen; [`Closed`] if there is none
    /// and all senders are gone. Values in between may go by unseen. Cancel-safe.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        let (shared, seen) = (&*self.shared, &mut self.seen);
        let mut place = Place { shared, ticket: None };
        poll_fn(|cx| {
            let version = shared.version.get();
            assert!(*seen <= version, "nobody has seen the future");
            if *seen < version {
                *seen = version;
                return Poll::Ready(Ok(()));
            }
            if shared.senders.get() == 0 {
                return Poll::Ready(Err(Closed));
            }
            shared.waiting.borrow_mut().wait(&mut place.ticket, cx.waker());
            Poll::Pending
        })
        .await
    }

    /// The value; it stays unseen if it was. Let go of it before anybody sends: never hold it across an await.
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.value.borrow()
    }

    /// The value, which counts as seen. Like [`WatchReceiver::borrow`] otherwise.
    pub fn borrow_and_see(&mut self) -> Ref<'_, T> {
        self.seen = self.shared.version.get();
        self.shared.value.borrow()
    }
}

impl<T> Clone for WatchReceiver<T> {
    fn clone(&self) -> Self {
        self.shared.receivers.set(self.shared.receivers.get() + 1);
        WatchReceiver { shared: self.shared.clone(), seen: self.seen }
    }
}

impl<T> Drop for WatchReceiver<T> {
    fn drop(&mut self) {
        let receivers = &self.shared.receivers;
        assert!(receivers.get() > 0);
        receivers.set(receivers.get() - 1);
    }
}

/// Leaves the list when the waiting future is dropped, so that it does not grow.
struct Place<'a, T> {
    shared: &'a Shared<T>,
    ticket: Ticket,
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            self.shared.waiting.borrow_mut().leave(self.ticket);
        }
    }
}
