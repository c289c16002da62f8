//! TCP.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;

use crate::context::{self, Backend, backend};
use crate::error::{IoError, IoOp};
use crate::sim::{SimListener, SimStream};
use crate::uring::{self, UringListener, UringStream};

/// Whether this process could listen on `addr` now: a look before the start, which binds later. For real machines only,
/// on any thread; blocks for no time worth mention. Errors: as [`TcpListener::bind`].
pub fn can_listen(addr: SocketAddr) -> Result<(), IoError> {
    assert!(context::sim().is_none(), "a simulation has no such look");
    crate::socket::bound(addr).map(drop).map_err(|error| IoError::addr(IoOp::Bind, addr, error))
}

/// A listening socket. Its address may be bound again right after it is dropped, and is never shared with another
/// process. Dropping it resets the connections that nobody has accepted.
pub struct TcpListener {
    inner: Listener,
}

enum Listener {
    Uring(UringListener),
    Sim(SimListener),
}

impl TcpListener {
    /// Listens on `addr`; port 0 takes a free one. Errors: `AddrInUse`, `AddrNotAvailable`, permission.
    pub async fn bind(addr: SocketAddr) -> Result<TcpListener, IoError> {
        let bound = match backend() {
            Backend::Uring => UringListener::bind(addr).map(Listener::Uring),
            Backend::Sim(seat) => SimListener::bind(&seat, addr).map(Listener::Sim),
        };
        match bound {
            Ok(inner) => Ok(TcpListener { inner }),
            Err(error) => Err(IoError::addr(IoOp::Bind, addr, error)),
        }
    }

    /// The next connection, and the peer's address. An error (such as too many open files) concerns one attempt: wait a
    /// little and call again. Cancel-safe: no connection is lost. One task at a time.
    pub async fn accept(&self) -> Result<(TcpStream, SocketAddr), IoError> {
        let accepted = match &self.inner {
            Listener::Uring(listener) => {
                poll_fn(|cx| listener.poll_accept(cx)).await.map(Stream::Uring)
            }
            Listener::Sim(listener) => Ok(Stream::Sim(listener.accept().await)),
        };
        match accepted {
            Ok(inner) => {
                let stream = TcpStream { inner };
                let peer = stream.peer_addr();
                Ok((stream, peer))
            }
            Err(error) => Err(IoError::addr(IoOp::Accept, self.local_addr(), error)),
        }
    }

    /// The address it listens on, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        match &self.inner {
            Listener::Uring(listener) => listener.local_addr(),
            Listener::Sim(listener) => listener.local_addr(),
        }
    }
}

/// A connection. Dropping it closes it; with received data left unread, the peer sees a reset.
#[derive(Debug)]
pub struct TcpStream {
    inner: Stream,
}

#[derive(Clone)]
enum Stream {
    Uring(UringStream),
    Sim(SimStream),
}

impl Stream {
    fn set_linger(&self, linger: Option<Duration>) -> Result<(), IoError> {
        let set = match self {
            Stream::Uring(stream) => stream.set_linger(linger),
            Stream::Sim(stream) => {
                stream.set_linger(linger);
                Ok(())
            }
        };
        set.map_err(|error| self.error(IoOp::Configure, error))
    }

    fn peer_addr(&self) -> SocketAddr {
        match self {
            Stream::Uring(stream) => stream.peer_addr(),
            Stream::Sim(stream) => stream.peer_addr(),
        }
    }

    fn local_addr(&self) -> SocketAddr {
        match self {
            Stream::Uring(stream) => stream.local_addr(),
            Stream::Sim(stream) => stream.local_addr(),
        }
    }

    fn error(&self, op: IoOp, source: io::Error) -> IoError {
        IoError::addr(op, self.peer_addr(), source)
    }
}

impl TcpStream {
    /// Connects to `addr`. It has no time limit of its own (the kernel's is minutes): use [`crate::timeout`]. Cancel-safe.
    pub async fn connect(addr: SocketAddr) -> Result<TcpStream, IoError> {
        let connected = match backend() {
            Backend::Uring => UringStream::connect(addr).await.map(Stream::Uring),
            Backend::Sim(seat) => SimStream::connect(&seat, addr).await.map(Stream::Sim),
        };
        match connected {
            Ok(inner) => Ok(TcpStream { inner }),
            Err(error) => Err(IoError::addr(IoOp::Connect, addr, error)),
        }
    }

    /// The other end's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.inner.peer_addr()
    }

    /// This end's address.
    pub fn local_addr(&self) -> SocketAddr {
        self.inner.local_addr()
    }

    /// Sends small segments at once (true) or lets the kernel gather them (false, the default).
    pub fn set_nodelay(&self, on: bool) -> Result<(), IoError> {
        match &self.inner {
            Stream::Uring(stream) => stream.set_nodelay(on),
            Stream::Sim(_) => Ok(()), // the simulated network never gathers
        }
        .map_err(|error| self.inner.error(IoOp::Configure, error))
    }

    /// What closing does with unsent data: `None` (the default) sends it in the background, zero drops it and resets the
    /// connection. Other values make closing block the executor: do not use them.
    pub fn set_linger(&self, linger: Option<Duration>) -> Result<(), IoError> {
        self.inner.set_linger(linger)
    }

    /// The two directions, for different tasks. The connection closes when both are dropped.
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        (ReadHalf { inner: self.inner.clone() }, WriteHalf { inner: self.inner })
    }
}

/// The receiving direction.
#[derive(Debug)]
pub struct ReadHalf {
    inner: Stream,
}

impl ReadHalf {
    /// Waits until there may be something to read, or the connection has ended; [`ReadHalf::read`] may have to wait all the
    /// same. So whoever waits for a long time needs no memory for what will come. Cancel-safe.
    pub async fn readable(&mut self) -> Result<(), IoError> {
        let readable = poll_fn(|cx| match &self.inner {
            Stream::Uring(stream) => stream.poll_readable(cx),
            Stream::Sim(stream) => stream.poll_readable(cx),
        });
        readable.await.map_err(|error| self.inner.error(IoOp::Receive, error))
    }

    /// Appends at least one and at most `max` bytes to `into`; 0 means that the peer has finished sending. Cancel-safe.
    pub async fn read(&mut self, into: &mut BytesMut, max: usize) -> Result<usize, IoError> {
        assert!(max > 0, "a read of no bytes would look like the end");
        let read = poll_fn(|cx| self.poll_read(cx, into, max)).await;
        let read = read.map_err(|error| self.inner.error(IoOp::Receive, error))?;
        assert!(read <= max);
        Ok(read)
    }

    fn poll_read(
        &self,
        cx: &mut Context<'_>,
        into: &mut BytesMut,
        max: usize,
    ) -> Poll<io::Result<usize>> {
        match &self.inner {
            Stream::Uring(stream) => {
                into.reserve(max);
                let start = into.len();
                let spare = &mut into.spare_capacity_mut()[..max];
                // SAFETY: the slice covers allocated memory that `into` lends us exclusively. Its bytes may be
                // uninitialised, but nothing reads them: they go straight to recv(2), which only writes.
                let target =
                    unsafe { std::slice::from_raw_parts_mut(spare.as_mut_ptr().cast::<u8>(), max) };
                let read = ready!(stream.poll_read(cx, target))?;
                assert!(read <= max);
                // SAFETY: recv(2) has written the first `read` bytes of the spare capacity, which is at least `max`.
                unsafe { into.set_len(start + read) };
                Poll::Ready(Ok(read))
            }
            Stream::Sim(stream) => stream.poll_read(cx, into, max),
        }
    }

    /// The other end's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.inner.peer_addr()
    }
}

/// The sending direction.
#[derive(Debug)]
pub struct WriteHalf {
    inner: Stream,
}

impl WriteHalf {
    /// As [`TcpStream::set_linger`], for the whole connection.
    pub fn set_linger(&self, linger: Option<Duration>) -> Result<(), IoError> {
        self.inner.set_linger(linger)
    }

    /// Hands all of `bytes` to the kernel, waiting while the peer is slow. Not cancel-safe: after dropping the future an
    /// unknown part has been sent, and the connection must be closed.
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = poll_fn(|cx| match &self.inner {
                Stream::Uring(stream) => stream.poll_write(cx, rest),
                Stream::Sim(stream) => stream.poll_write(cx, rest),
            });
            let written = written.await.map_err(|error| self.inner.error(IoOp::Send, error))?;
            assert!(written > 0 && written <= rest.len());
            rest = &rest[written..];
        }
        Ok(())
    }

    /// Says that nothing more will be sent; the other direction stays open.
    pub async fn shutdown(&mut self) -> Result<(), IoError> {
        let shut = match &self.inner {
            Stream::Uring(stream) => stream.shutdown().await,
            Stream::Sim(stream) => {
                stream.shutdown();
                Ok(())
            }
        };
        shut.map_err(|error| self.inner.error(IoOp::Shutdown, error))
    }

    /// The other end's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.inner.peer_addr()
    }
}

/// The addresses of `host:port`; never empty. An IP address is taken as it is; a name is asked for on a thread of its own,
/// which may take the resolver's time limit (often 10 s or more): use [`crate::timeout`]. In a simulation the names are those of the nodes.
pub async fn resolve(host_port: &str) -> Result<Vec<SocketAddr>, IoError> {
    if let Ok(addr) = host_port.parse::<SocketAddr>() {
        return Ok(vec![addr]);
    }
    let resolved = match backend() {
        Backend::Uring => {
            let name = host_port.to_owned();
            uring::blocking_detached(move || {
                let found = std::net::ToSocketAddrs::to_socket_addrs(&name)?;
                Ok(found.collect::<Vec<_>>())
            })
            .await
        }
        Backend::Sim(seat) => seat.resolve(host_port).await,
    };
    match resolved {
        Ok(found) if found.is_empty() => {
            let error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            Err(IoError::name(IoOp::Resolve, host_port, error))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(IoError::name(IoOp::Resolve, host_port, error)),
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcpListener({})", self.local_addr())
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.local_addr(), self.peer_addr())
    }
}
