//! Connections that carry RemotingCommand frames: accept loop, connection task, gathered writes, back-pressure, and the matching
//! of answers to requests.
//!
//! A [`Server`] accepts, [`connect`] dials; both give [`Connection`]s that can send requests and answer them, in both directions. What to
//! do with a peer's request is the business of a [`Serve`].
//!
//! Each connection is one task. It reads what has arrived, hands every whole frame to the service, and then writes all that
//! has been answered meanwhile in one go: there is no delay and no timer, and a busy connection makes few, large
//! writes by itself. Memory is bounded by [`Limits`].
//!
//! Everything belongs to one executor; nothing is `Send`.

#![forbid(unsafe_code)]

mod connect;
mod connection;
mod drive;
mod error;
mod foreign;
mod in_flight;
mod inner;
mod limits;
mod quiet;
mod registry;
mod relay;
mod serve;
mod server;

pub use connect::connect;
pub use connection::{Connection, ConnectionId};
pub use error::{BindError, CloseReason, ConnectError, RequestError};
pub use foreign::Foreign;
pub use limits::Limits;
pub use quiet::Quiet;
pub use relay::{RelayError, Relayed, relay};
pub use serve::{NoRequests, Serve, not_supported};
pub use server::{Server, can_listen};
