//! TCP.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;

use crate::error::IoError;

/// A listening socket. The address is reusable after a restart, never shared with another process.
pub struct TcpListener {
    local: SocketAddr,
}

impl TcpListener {
    /// Listens on `addr`; port 0 takes a free one. Errors: `AddrInUse`, `AddrNotAvailable`, permission.
    pub async fn bind(addr: SocketAddr) -> Result<TcpListener, IoError> {
        todo!("{addr}")
    }

    /// The next connection. An error (such as too many open files) concerns one attempt: back off and call again.
    pub async fn accept(&self) -> Result<(TcpStream, SocketAddr), IoError> {
        todo!()
    }

    /// The address it listens on, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

/// A connection. Dropping it closes it.
pub struct TcpStream {
    local: SocketAddr,
    peer: SocketAddr,
}

impl TcpStream {
    /// Connects to `addr`. No timeout of its own; wrap it in [`crate::timeout`].
    pub async fn connect(addr: SocketAddr) -> Result<TcpStream, IoError> {
        todo!("{addr}")
    }

    /// The other end's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// This end's address.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Sends small segments at once (true) or lets the kernel gather them.
    pub fn set_nodelay(&self, on: bool) -> Result<(), IoError> {
        todo!("{on}")
    }

    /// What closing does with unsent data: `None` sends it in the background, `Some(0)` resets the connection.
    pub fn set_linger(&self, linger: Option<Duration>) -> Result<(), IoError> {
        todo!("{linger:?}")
    }

    /// The two directions, to be used by different tasks. The connection closes when both are dropped.
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        todo!()
    }
}

/// The receiving direction.
pub struct ReadHalf {}

impl ReadHalf {
    /// Appends at least one and at most `max` bytes to `into`; 0 means the peer has finished sending.
    pub async fn read(&mut self, into: &mut BytesMut, max: usize) -> Result<usize, IoError> {
        todo!("{} {max}", into.len())
    }
}

/// The sending direction.
pub struct WriteHalf {}

impl WriteHalf {
    /// Hands all of `bytes` to the kernel, waiting while the peer is slow. Not cancel-safe: after dropping the future
    /// an unknown part has been sent, and the connection must be closed.
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        todo!("{}", bytes.len())
    }

    /// Says that nothing more will be sent; the other direction stays open.
    pub async fn shutdown(&mut self) -> Result<(), IoError> {
        todo!()
    }
}

/// The addresses of `host:port`; never empty. Asks the resolver off the executor.
pub async fn resolve(host_port: &str) -> Result<Vec<SocketAddr>, IoError> {
    todo!("{host_port}")
}
