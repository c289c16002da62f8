//! One value, within an executor.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::{Closed, SendError};

struct Shared<T> {
    value: Option<T>,
    waker: Option<Waker>,
    sender_gone: bool,
    receiver_gone: bool,
}

/// Sends one value. Dropped without sending, the receiver gets [`Closed`].
pub struct OneshotSender<T> {
    shared: Rc<RefCell<Shared<T>>>,
}

/// Receives one value: await it.
pub struct OneshotReceiver<T> {
    shared: Rc<RefCell<Shared<T>>>,
}

/// A channel for one value, within an executor.
pub fn oneshot<T>() -> (OneshotSender<T>, OneshotReceiver<T>) {
    let shared = Rc::new(RefCell::new(Shared {
        value: None,
        waker: None,
        sender_gone: false,
        receiver_gone: false,
    }));
    (OneshotSender { shared: shared.clone() }, OneshotReceiver { shared })
}

impl<T> OneshotSender<T> {
    /// Hands over the value; gives it back if the receiver is gone.
    pub fn send(self, value: T) -> Result<(), SendError<T>> {
        let mut shared = self.shared.borrow_mut();
        assert!(shared.value.is_none(), "a oneshot is sent once");
        if shared.receiver_gone {
            return Err(SendError(value));
        }
        shared.value = Some(value);
        Ok(()) // dropping `self` wakes the receiver
    }

    /// True when the receiver is gone.
    pub fn is_closed(&self) -> bool {
        self.shared.borrow().receiver_gone
    }
}

impl<T> Drop for OneshotSender<T> {
    fn drop(&mut self) {
        let waker = {
            let mut shared = self.shared.borrow_mut();
            shared.sender_gone = true;
            shared.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> OneshotReceiver<T> {
    /// The value if it is already there.
    pub fn try_take(&mut self) -> Option<T> {
        self.shared.borrow_mut().value.take()
    }
}

impl<T> Future for OneshotReceiver<T> {
    type Output = Result<T, Closed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut shared = self.shared.borrow_mut();
        if let Some(value) = shared.value.take() {
            return Poll::Ready(Ok(value));
        }
        if shared.sender_gone {
            return Poll::Ready(Err(Closed));
        }
        shared.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for OneshotReceiver<T> {
    fn drop(&mut self) {
        let value = {
            let mut shared = self.shared.borrow_mut();
            shared.receiver_gone = true;
            shared.value.take()
        };
        drop(value); // after the borrow: its destructor may be anything
    }
}
