//! Channels: within an executor (unsynchronised), and [`mailbox`] and [`promise`] across threads.
//!
//! Every queue has a capacity and every wait is cancel-safe: a future dropped early has neither sent nor taken anything.

use std::fmt;

mod flag;
mod mailbox;
mod mpsc;
mod notify;
mod oneshot;
mod promise;
mod wait_list;
mod watch;

pub use flag::Flag;
pub use mailbox::{MailboxReceiver, MailboxSender, mailbox};
pub use mpsc::{Receiver, Sender, WeakSender, mpsc};
pub use notify::{Notified, Notify};
pub use oneshot::{OneshotReceiver, OneshotSender, oneshot};
pub use promise::{Promise, PromiseReceiver, promise};
pub use watch::{WatchReceiver, WatchSender, watch};

/// The other side is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other side of the channel is gone")]
pub struct Closed;

/// A value that was not sent.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrySendError<T> {
    /// The queue is at its capacity.
    #[error("the channel is full")]
    Full(T),
    /// The receiver is gone.
    #[error("the receiver of the channel is gone")]
    Closed(T),
}

impl<T> TrySendError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            TrySendError::Full(value) | TrySendError::Closed(value) => value,
        }
    }
}

/// A value that was not sent because the receiver is gone.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the receiver of the channel is gone")]
pub struct SendError<T>(pub T);

// By hand, so that values without `Debug` can be sent and the result unwrapped.
impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "Full(..)",
            TrySendError::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

macro_rules! opaque_debug {
    ($($name:ident)*) => {
        $(
            impl<T> fmt::Debug for $name<T> {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.debug_struct(stringify!($name)).finish_non_exhaustive()
                }
            }
        )*
    };
}

opaque_debug! {
    OneshotSender OneshotReceiver Sender WeakSender Receiver WatchSender WatchReceiver MailboxSender MailboxReceiver
    Promise PromiseReceiver
}
