//! Channels for one value: the seam's.

use ::runtime::channel::{self, Closed, OneshotReceiver};

/// Makes channels for one value.
#[derive(Debug)]
pub struct Oneshot;

/// Sends the value.
#[derive(Debug)]
pub struct OneshotSender<T>(channel::OneshotSender<T>);

impl openraft::async_runtime::Oneshot for Oneshot {
    type Sender<T> = OneshotSender<T>;
    type Receiver<T> = OneshotReceiver<T>;
    type ReceiverError = Closed;

    fn channel<T>() -> (OneshotSender<T>, OneshotReceiver<T>) {
        let (sender, receiver) = channel::oneshot();
        (OneshotSender(sender), receiver)
    }
}

impl<T> openraft::async_runtime::OneshotSender<T> for OneshotSender<T> {
    fn send(self, value: T) -> Result<(), T> {
        self.0.send(value).map_err(|channel::SendError(value)| value)
    }
}
