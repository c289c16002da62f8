//! Requests of clients that a member hands on to the leader: once, to one.
//!
//! Whoever hands one on learns whether it was sent at all ([`NotSent`]: surely nobody has acted on it), whether the other side
//! has refused to look at it ([`NoAnswer::NotTaken`]: the same), or what it answers; and otherwise that nobody knows. Nothing is
//! sent again.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::future::LocalBoxFuture;
use model::Term;
use thiserror::Error;

use super::error::{CallError, Trouble};
use super::handler::Handled;
use super::link::Call;
use crate::types::MemberId;

/// A request that is handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The term in which the one who gets it leads, as far as the one who hands it on knows. In another one it is not acted on: it
    /// may have been under way for longer than it seems.
    pub term: Term,
    /// Who has sent it.
    pub origin: SocketAddr,
    /// For so long somebody waits for the answer.
    pub left: Duration,
    /// The request as it came.
    pub request: Bytes,
}

/// Acts on requests that others hand on. What has to be done in their order is done in the call; what it returns has the
/// answer, which is empty if there is none, and an error says that nobody has acted on the request.
pub type Office = dyn Fn(Forwarded) -> LocalBoxFuture<'static, Handled<Vec<u8>>>;

/// Why a request was not handed on. Nobody has got it.
#[derive(Clone, Debug, Error)]
pub enum NotSent {
    /// There is no such member.
    #[error("the store {0} is no member that is known here")]
    Unknown(MemberId),
    /// No frame has room for it.
    #[error("it has {len} bytes, and at most {max} can be handed on")]
    TooLong {
        /// Bytes of the request.
        len: usize,
        /// The most there may be.
        max: usize,
    },
    /// There is no connection.
    #[error("the leader cannot be reached: {0}")]
    Unreachable(Trouble),
    /// The time is over.
    #[error("the leader could not be reached within {0:?}")]
    Late(Duration),
}

/// Why a request that was handed on has no answer.
#[derive(Clone, Debug, Error)]
pub enum NoAnswer {
    /// The other side has not looked at it.
    #[error("the member that was taken for the leader has not taken it: {0}")]
    NotTaken(String),
    /// Whether the other side has acted on it is unknown.
    #[error("{0}")]
    Lost(String),
}

/// A request that was handed on. Await its answer; dropped, a late one goes nowhere.
pub struct HandedOn(pub(super) Call);

impl HandedOn {
    /// The answer; empty if there is none. It is waited for as long as the connection is there: bound it, and if it is too late for
    /// the request to be acted on, end the connection ([`Peers::interrupt`](super::Peers::interrupt)). Cancel-safe.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub async fn answer(&mut self) -> Result<Vec<u8>, NoAnswer> {
        match (&mut self.0).await {
            Ok(answer) => Ok(answer.to_vec()),
            Err(CallError::Failed(why)) => Err(NoAnswer::NotTaken(why)),
            Err(error) => Err(NoAnswer::Lost(error.to_string())),
        }
    }
}
