//! A bounded queue within an executor.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::wait_list::{Ticket, WaitList};
use super::{SendError, TrySendError};

struct Shared<T> {
    queue: VecDeque<T>,
    capacity: usize,
    senders: usize,
    receiver_gone: bool,
    receiver: Option<Waker>,
    waiting: WaitList,
}

/// Sends many values; clones send to the same receiver.
pub struct Sender<T> {
    shared: Rc<RefCell<Shared<T>>>,
}

/// Keeps a channel in reach without keeping it open: it closes when the last [`Sender`] is gone.
pub struct WeakSender<T> {
    shared: Rc<RefCell<Shared<T>>>,
}

/// Receives many values.
pub struct Receiver<T> {
    shared: Rc<RefCell<Shared<T>>>,
}

/// A bounded queue within an executor. `capacity` must not be zero.
pub fn mpsc<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a queue holds at least one value");
    let shared = Rc::new(RefCell::new(Shared {
        queue: VecDeque::new(),
        capacity,
        senders: 1,
        receiver_gone: false,
        receiver: None,
        waiting: WaitList::default(),
    }));
    (Sender { shared: shared.clone() }, Receiver { shared })
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.borrow_mut().senders += 1;
        Sender { shared: self.shared.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let waker = {
            let mut shared = self.shared.borrow_mut();
            assert!(shared.senders > 0);
            shared.senders -= 1;
            if shared.senders == 0 { shared.receiver.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Sender<T> {
    /// Queues the value if there is room.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let waker = {
            let mut shared = self.shared.borrow_mut();
            if shared.receiver_gone {
                return Err(TrySendError::Closed(value));
            }
            if shared.queue.len() >= shared.capacity {
                return Err(TrySendError::Full(value));
            }
            shared.queue.push_back(value);
            assert!(shared.queue.len() <= shared.capacity);
            shared.receiver.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Queues the value, waiting for room. Cancel-safe: dropped early, nothing was sent. Values of one task keep their
    /// order; waiting tasks are let in first come first served, though a `try_send` may slip in before them.
    pub async fn send(&self, value: T) -> Result<(), SendError<T>> {
        let mut turn = Turn { shared: &self.shared, ticket: None };
        let mut value = Some(value);
        poll_fn(|cx| turn.poll_send(self, &mut value, cx)).await
    }

    /// True when the receiver is gone.
    pub fn is_closed(&self) -> bool {
        self.shared.borrow().receiver_gone
    }

    /// A handle that does not keep the channel open.
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender { shared: self.shared.clone() }
    }

    /// Number of queued values.
    pub fn len(&self) -> usize {
        self.shared.borrow().queue.len()
    }

    /// True when nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> WeakSender<T> {
    /// A sender, as long as there is one.
    pub fn upgrade(&self) -> Option<Sender<T>> {
        let mut shared = self.shared.borrow_mut();
        if shared.senders == 0 {
            return None;
        }
        shared.senders += 1;
        Some(Sender { shared: self.shared.clone() })
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        WeakSender { shared: self.shared.clone() }
    }
}

/// A sender's place in the line; passes its turn on when it is dropped after it was called.
struct Turn<'a, T> {
    shared: &'a RefCell<Shared<T>>,
    ticket: Ticket,
}

impl<T> Turn<'_, T> {
    fn poll_send(
        &mut self,
        sender: &Sender<T>,
        value: &mut Option<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        let offered = value.take().expect("polled until ready only");
        match sender.try_send(offered) {
            Ok(()) => {
                self.shared.borrow_mut().waiting.leave(self.ticket.take());
                Poll::Ready(Ok(()))
            }
            Err(TrySendError::Closed(back)) => {
                self.ticket = None;
                Poll::Ready(Err(SendError(back)))
            }
            Err(TrySendError::Full(back)) => {
                *value = Some(back);
                self.shared.borrow_mut().waiting.wait(&mut self.ticket, cx.waker());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        if self.ticket.is_none() {
            return;
        }
        let next = {
            let mut shared = self.shared.borrow_mut();
            if shared.waiting.leave(self.ticket) { None } else { shared.waiting.take_first() }
        };
        if let Some(waker) = next {
            waker.wake();
        }
    }
}

impl<T> Receiver<T> {
    /// The next value; `None` when all senders are gone and the queue is empty. Cancel-safe.
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// [`Receiver::recv`] for hand-written futures.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(value) = self.try_recv() {
            return Poll::Ready(Some(value));
        }
        let mut shared = self.shared.borrow_mut();
        if shared.senders == 0 {
            return Poll::Ready(None);
        }
        shared.receiver = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The next value if one is queued.
    pub fn try_recv(&mut self) -> Option<T> {
        let (value, waker) = {
            let mut shared = self.shared.borrow_mut();
            let value = shared.queue.pop_front()?;
            (value, shared.waiting.take_first())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Some(value)
    }

    /// True when all senders are gone: what is queued is all that comes.
    pub fn is_closed(&self) -> bool {
        self.shared.borrow().senders == 0
    }

    /// Number of queued values.
    pub fn len(&self) -> usize {
        self.shared.borrow().queue.len()
    }

    /// True when nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let (queue, wakers) = {
            let mut shared = self.shared.borrow_mut();
            shared.receiver_gone = true;
            (std::mem::take(&mut shared.queue), shared.waiting.take_all())
        };
        for waker in wakers {
            waker.wake();
        }
        drop(queue); // after the borrow: the values may hold senders of this very channel
    }
}
