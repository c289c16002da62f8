//! Why a connection was not made, a request not answered, a connection closed.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use remoting::{DecodeError, EncodeError, FrameError};
use runtime::IoError;

use crate::foreign::Foreign;

/// A server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else has the port.
    #[error("port {} of {} is in use by another process; stop that process or choose another port", .addr.port(), .addr.ip())]
    InUse {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The address is none of this host's.
    #[error("{} is no address of this host; use one of its addresses, or 0.0.0.0 for all", .addr.ip())]
    NotOurs {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// Ports below 1024 are privileged.
    #[error(
        "no permission to listen on {addr}; choose a port from 1024 on or grant CAP_NET_BIND_SERVICE"
    )]
    NotPermitted {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// Anything else.
    #[error(transparent)]
    Io(IoError),
}

impl BindError {
    pub(crate) fn of(addr: SocketAddr, error: IoError) -> BindError {
        match error.kind() {
            ErrorKind::AddrInUse => BindError::InUse { addr },
            ErrorKind::AddrNotAvailable => BindError::NotOurs { addr },
            ErrorKind::PermissionDenied => BindError::NotPermitted { addr },
            _ => BindError::Io(error),
        }
    }

    /// Whether another IP address is the remedy; otherwise it is another port.
    pub fn is_about_the_ip(&self) -> bool {
        matches!(self, BindError::NotOurs { .. })
    }
}

/// No connection could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The peer did not answer in time.
    #[error("no connection to {addr} within {limit:?}; is it up, and is the network between open?")]
    Timeout {
        /// The peer.
        addr: SocketAddr,
        /// How long was waited.
        limit: Duration,
    },
    /// Refused, unreachable, and the like.
    #[error("{0}; is the process there running?")]
    Io(#[from] IoError),
}

/// A request has no answer. Whether the peer acted on it is unknown, except for `TooMany` and `Encode`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The connection closed before the answer came.
    #[error("the connection to {peer} closed before request {code} was answered")]
    Closed {
        /// The peer.
        peer: SocketAddr,
        /// The request's code.
        code: i32,
    },
    /// The answer did not come in time.
    #[error("{peer} did not answer request {code} within {limit:?}")]
    Timeout {
        /// The peer.
        peer: SocketAddr,
        /// The request's code.
        code: i32,
        /// How long was waited.
        limit: Duration,
    },
    /// Too many requests wait for answers of this peer; nothing was sent.
    #[error("{limit} requests already wait for answers of {peer}; send slower")]
    TooMany {
        /// The peer.
        peer: SocketAddr,
        /// How many may wait.
        limit: usize,
    },
    /// The request cannot be written; nothing was sent.
    #[error("request {code} to {peer} cannot be written: {error}")]
    Encode {
        /// The peer.
        peer: SocketAddr,
        /// The request's code.
        code: i32,
        /// Why.
        error: EncodeError,
    },
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum CloseReason {
    /// [`Connection::close`](crate::Connection::close) was called.
    #[error("closed by us")]
    Ours,
    /// [`Connection::abort`](crate::Connection::abort) was called.
    #[error("aborted by us")]
    Aborted,
    /// All requests were answered after [`Connection::finish`](crate::Connection::finish).
    #[error("finished")]
    Finished,
    /// The peer closed it.
    #[error("closed by the peer")]
    Peer,
    /// Receiving failed: a reset, mostly.
    #[error("{0}")]
    Receive(IoError),
    /// Sending failed: a reset, mostly.
    #[error("{0}")]
    Send(IoError),
    /// No byte in either direction for the time allowed.
    #[error("idle for {0:?}")]
    Idle(Duration),
    /// The peer took nothing of what was being sent.
    #[error(
        "the peer has taken nothing of {queued} waiting bytes for {limit:?}; is it overloaded or stuck?"
    )]
    Stalled {
        /// Bytes waiting.
        queued: usize,
        /// How long was waited.
        limit: Duration,
    },
    /// The peer asked for more than it takes.
    #[error(
        "{queued} bytes of answers wait for the peer, the limit is {limit}; it asks for more than it takes"
    )]
    OutboxFull {
        /// Bytes waiting.
        queued: usize,
        /// Limit in bytes.
        limit: usize,
    },
    /// Bytes that are no frame.
    #[error("not a remoting frame: {0}")]
    Frame(FrameError),
    /// A frame whose header cannot be read; there is no number to answer to.
    #[error("unreadable header: {0}")]
    Header(DecodeError),
    /// Another protocol.
    #[error(transparent)]
    Foreign(Foreign),
}

impl CloseReason {
    /// Whether an operator should see it: something is wrong with the peer, or between us.
    pub(crate) fn is_notable(&self) -> bool {
        match self {
            CloseReason::Ours
            | CloseReason::Aborted
            | CloseReason::Finished
            | CloseReason::Peer
            | CloseReason::Idle(_) => false,
            CloseReason::Receive(_) | CloseReason::Send(_) => false,
            CloseReason::Stalled { .. } | CloseReason::OutboxFull { .. } => true,
            CloseReason::Frame(_) | CloseReason::Header(_) | CloseReason::Foreign(_) => true,
        }
    }
}
