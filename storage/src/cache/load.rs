//! One read of a window, and everybody who waits for it.

use std::cell::RefCell;
use std::sync::Arc;

use runtime::channel::Flag;
use runtime::{IoError, Slice};
use thiserror::Error;

/// Why nothing was fetched.
#[derive(Clone, Debug, Error)]
pub(crate) enum FetchError {
    /// Some file was forgotten while the read was under way. What was read may be of another time: look
    /// the file up again, and ask again if it is still there.
    #[error("the file was given up during the read")]
    Forgotten,
    /// The file ends before the bytes that were asked for.
    #[error("the file is shorter than it was")]
    Short,
    /// The device.
    #[error(transparent)]
    Io(Arc<IoError>),
}

/// A window on its way from the disk. It is read by a task of its own: those who wait for it may go.
pub(super) struct Load {
    /// Up to which byte of the file it reads.
    pub end: u64,
    done: Flag,
    outcome: RefCell<Option<Result<Slice, FetchError>>>,
}

impl Load {
    pub(super) fn new(end: u64) -> Self {
        Self { end, done: Flag::new(), outcome: RefCell::new(None) }
    }

    /// Hands the outcome to all who wait.
    pub(super) fn finish(&self, outcome: Result<Slice, FetchError>) {
        let before = self.outcome.replace(Some(outcome));
        assert!(before.is_none(), "a load ends once");
        self.done.raise();
    }

    /// Waits for the outcome. Cancel safe.
    pub(super) async fn outcome(&self) -> Result<Slice, FetchError> {
        self.done.raised().await;
        self.outcome.borrow().clone().expect("it is set before the flag is raised")
    }
}
