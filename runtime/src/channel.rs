//! Channels: within an executor (unsynchronised), and [`mailbox`] and [`promise`] across threads. All are bounded.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The other side is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other side of the channel is gone")]
pub struct Closed;

/// A value that was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrySendError<T> {
    /// The queue is at its capacity.
    #[error("the channel is full")]
    Full(T),
    /// The receiver is gone.
    #[error("the receiver of the channel is gone")]
    Closed(T),
}

/// A value that was not sent because the receiver is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the receiver of the channel is gone")]
pub struct SendError<T>(pub T);

/// Sends one value.
pub struct OneshotSender<T>(PhantomData<T>);
/// Receives one value: await it.
pub struct OneshotReceiver<T>(PhantomData<T>);

/// A channel for one value, within an executor.
pub fn oneshot<T>() -> (OneshotSender<T>, OneshotReceiver<T>) {
    todo!()
}

impl<T> OneshotSender<T> {
    /// Hands over the value; gives it back if the receiver is gone.
    pub fn send(self, value: T) -> Result<(), SendError<T>> {
        Err(SendError(value))
    }

    /// True when the receiver is gone.
    pub fn is_closed(&self) -> bool {
        todo!()
    }
}

impl<T> Future for OneshotReceiver<T> {
    type Output = Result<T, Closed>;
    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        todo!()
    }
}

/// Sends many values.
pub struct Sender<T>(PhantomData<T>);
/// Receives many values.
pub struct Receiver<T>(PhantomData<T>);

/// A bounded queue within an executor. `capacity` must not be zero.
pub fn mpsc<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    todo!("{capacity}")
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        todo!()
    }
}

impl<T> Sender<T> {
    /// Queues the value if there is room.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        Err(TrySendError::Closed(value))
    }

    /// Queues the value, waiting for room. Cancel-safe: dropped early, nothing was sent.
    pub async fn send(&self, value: T) -> Result<(), SendError<T>> {
        Err(SendError(value))
    }

    /// True when the receiver is gone.
    pub fn is_closed(&self) -> bool {
        todo!()
    }
}

impl<T> Receiver<T> {
    /// The next value; `None` when all senders are gone and the queue is empty. Cancel-safe.
    pub async fn recv(&mut self) -> Option<T> {
        todo!()
    }

    /// The next value if one is queued.
    pub fn try_recv(&mut self) -> Option<T> {
        todo!()
    }

    /// Number of queued values.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// True when nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Wakes waiting tasks of the same executor.
#[derive(Default)]
pub struct Notify {}

impl Notify {
    /// With nobody waiting.
    pub fn new() -> Notify {
        Notify {}
    }

    /// Wakes the longest-waiting task, or lets the next one that waits pass at once (one such permit at most).
    pub fn notify_one(&self) {
        todo!()
    }

    /// Wakes every task that waits now; leaves no permit.
    pub fn notify_all(&self) {
        todo!()
    }

    /// Waits for a notification.
    pub async fn notified(&self) {
        todo!()
    }
}

/// Something that happens once, such as a stop. Clones are the same flag.
#[derive(Clone, Default)]
pub struct Flag {}

impl Flag {
    /// A flag that is down.
    pub fn new() -> Flag {
        Flag {}
    }

    /// Raises it, for ever.
    pub fn raise(&self) {
        todo!()
    }

    /// Whether it is up.
    pub fn is_raised(&self) -> bool {
        todo!()
    }

    /// Waits until it is up.
    pub async fn raised(&self) {
        todo!()
    }
}

/// Sends to an executor from anywhere.
pub struct MailboxSender<T>(PhantomData<T>);
/// Receives on an executor what other executors and threads send.
pub struct MailboxReceiver<T>(PhantomData<T>);

/// A bounded queue between executors and threads. `capacity` must not be zero.
pub fn mailbox<T: Send>(capacity: usize) -> (MailboxSender<T>, MailboxReceiver<T>) {
    todo!("{capacity}")
}

impl<T> Clone for MailboxSender<T> {
    fn clone(&self) -> Self {
        todo!()
    }
}

impl<T: Send> MailboxSender<T> {
    /// Queues the value if there is room. Never blocks.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        Err(TrySendError::Closed(value))
    }

    /// Queues the value, waiting for room.
    pub async fn send(&self, value: T) -> Result<(), SendError<T>> {
        Err(SendError(value))
    }
}

impl<T: Send> MailboxReceiver<T> {
    /// The next value; `None` when all senders are gone and the queue is empty. Cancel-safe.
    pub async fn recv(&mut self) -> Option<T> {
        todo!()
    }

    /// The next value, blocking a plain thread.
    pub fn recv_blocking(&mut self) -> Option<T> {
        todo!()
    }

    /// The next value if one is queued.
    pub fn try_recv(&mut self) -> Option<T> {
        todo!()
    }
}

/// The sending half of [`promise`].
pub struct Promise<T>(PhantomData<T>);
/// The receiving half of [`promise`]: await it on an executor or block a plain thread.
pub struct PromiseReceiver<T>(PhantomData<T>);

/// A channel for one value between executors and threads.
pub fn promise<T: Send>() -> (Promise<T>, PromiseReceiver<T>) {
    todo!()
}

impl<T: Send> Promise<T> {
    /// Hands over the value; gives it back if the receiver is gone.
    pub fn fulfil(self, value: T) -> Result<(), SendError<T>> {
        Err(SendError(value))
    }
}

impl<T: Send> PromiseReceiver<T> {
    /// Blocks a plain thread until the value is there.
    pub fn wait(self) -> Result<T, Closed> {
        todo!()
    }
}

impl<T: Send> Future for PromiseReceiver<T> {
    type Output = Result<T, Closed>;
    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        todo!()
    }
}
