//! Channels: within an executor (unsynchronised), and [`mailbox`] and [`promise`] across threads.
//!
//! Every queue has a capacity and every wait is cancel-safe: a future dropped early has neither sent nor taken anything.

mod flag;
mod mailbox;
mod mpsc;
mod notify;
mod oneshot;
mod promise;
mod wait_list;

pub use flag::Flag;
pub use mailbox::{MailboxReceiver, MailboxSender, mailbox};
pub use mpsc::{Receiver, Sender, mpsc};
pub use notify::{Notified, Notify};
pub use oneshot::{OneshotReceiver, OneshotSender, oneshot};
pub use promise::{Promise, PromiseReceiver, promise};

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
