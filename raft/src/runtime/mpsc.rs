//! Bounded queues: the seam's, with their capacities, as openraft asks for them.

use std::future::Future;

use ::runtime::channel;
use openraft::async_runtime::{SendError, TryRecvError};

/// Makes bounded queues.
#[derive(Debug)]
pub struct Mpsc;

/// Sends; clones send to the same receiver.
#[derive(Debug)]
pub struct MpscSender<T>(channel::Sender<T>);

/// Receives.
#[derive(Debug)]
pub struct MpscReceiver<T>(channel::Receiver<T>);

/// Keeps a queue in reach without keeping it open.
#[derive(Debug)]
pub struct MpscWeakSender<T>(channel::WeakSender<T>);

impl openraft::async_runtime::Mpsc for Mpsc {
    type Sender<T> = MpscSender<T>;
    type Receiver<T> = MpscReceiver<T>;
    type WeakSender<T> = MpscWeakSender<T>;

    fn channel<T>(capacity: usize) -> (MpscSender<T>, MpscReceiver<T>) {
        let (sender, receiver) = channel::mpsc(capacity);
        (MpscSender(sender), MpscReceiver(receiver))
    }
}

impl<T> openraft::async_runtime::MpscSender<Mpsc, T> for MpscSender<T> {
    async fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.0.send(value).await.map_err(|channel::SendError(value)| SendError(value))
    }

    fn downgrade(&self) -> MpscWeakSender<T> {
        MpscWeakSender(self.0.downgrade())
    }
}

impl<T> openraft::async_runtime::MpscReceiver<T> for MpscReceiver<T> {
    fn recv(&mut self) -> impl Future<Output = Option<T>> {
        self.0.recv()
    }

    fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.0.try_recv() {
            Some(value) => Ok(value),
            None if self.0.is_closed() => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }
}

impl<T> openraft::async_runtime::MpscWeakSender<Mpsc, T> for MpscWeakSender<T> {
    fn upgrade(&self) -> Option<MpscSender<T>> {
        self.0.upgrade().map(MpscSender)
    }
}

// By hand: a derive would ask for values that can be cloned.
impl<T> Clone for MpscSender<T> {
    fn clone(&self) -> Self {
        MpscSender(self.0.clone())
    }
}

impl<T> Clone for MpscWeakSender<T> {
    fn clone(&self) -> Self {
        MpscWeakSender(self.0.clone())
    }
}
