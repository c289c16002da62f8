//! Watched values: the seam's.

use std::cell::Ref;

use ::runtime::channel;
use openraft::async_runtime::watch::{RecvError, SendError};

/// Makes watched values.
#[derive(Debug)]
pub struct Watch;

/// Changes the value; clones change the same one.
#[derive(Debug)]
pub struct WatchSender<T>(channel::WatchSender<T>);

/// Sees the value, and when it changes.
#[derive(Debug)]
pub struct WatchReceiver<T>(channel::WatchReceiver<T>);

impl openraft::async_runtime::Watch for Watch {
    type Sender<T> = WatchSender<T>;
    type Receiver<T> = WatchReceiver<T>;
    type Ref<'a, T: 'a> = Ref<'a, T>;

    fn channel<T>(value: T) -> (WatchSender<T>, WatchReceiver<T>) {
        let (sender, receiver) = channel::watch(value);
        (WatchSender(sender), WatchReceiver(receiver))
    }
}

impl<T> openraft::async_runtime::WatchSender<Watch, T> for WatchSender<T> {
    fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.0.send(value).map_err(|channel::SendError(value)| SendError(value))
    }

    fn send_if_modified<F>(&self, modify: F) -> bool
    where
        F: FnOnce(&mut T) -> bool,
    {
        self.0.modify(modify)
    }

    fn borrow_watched(&self) -> Ref<'_, T> {
        self.0.borrow()
    }

    fn subscribe(&self) -> WatchReceiver<T> {
        WatchReceiver(self.0.subscribe())
    }
}

impl<T> openraft::async_runtime::WatchReceiver<Watch, T> for WatchReceiver<T> {
    async fn changed(&mut self) -> Result<(), RecvError> {
        self.0.changed().await.map_err(|channel::Closed| RecvError(()))
    }

    fn borrow_watched(&self) -> Ref<'_, T> {
        self.0.borrow()
    }

    fn borrow_and_update(&mut self) -> Ref<'_, T> {
        self.0.borrow_and_see()
    }
}

// By hand: a derive would ask for values that can be cloned.
impl<T> Clone for WatchSender<T> {
    fn clone(&self) -> Self {
        WatchSender(self.0.clone())
    }
}

impl<T> Clone for WatchReceiver<T> {
    fn clone(&self) -> Self {
        WatchReceiver(self.0.clone())
    }
}
