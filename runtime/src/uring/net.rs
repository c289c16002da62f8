//! TCP on glommio. Sockets that listen are made here, because glommio's would share their port with other processes.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{AsyncRead, AsyncWrite};
use glommio::GlommioError;
use glommio::net::{AcceptedTcpStream, TcpListener, TcpStream};

use super::io_error;
use crate::socket;

type Accepting = Pin<Box<dyn Future<Output = Result<AcceptedTcpStream, GlommioError<()>>>>>;

pub(crate) struct UringListener {
    listener: Rc<TcpListener>,
    /// For options and `shutdown`; a duplicate of the listener's.
    handle: OwnedFd,
    local: SocketAddr,
    /// The accept that is in the kernel. Kept here, so that a caller who gives up waiting does not lose a connection.
    accepting: RefCell<Option<Accepting>>,
}

impl UringListener {
    pub(crate) fn bind(addr: SocketAddr) -> io::Result<UringListener> {
        let fd = socket::listen(addr)?;
        let handle = fd.try_clone()?;
        let local = socket::local_addr(&handle)?;
        // SAFETY: the descriptor is a listening TCP socket that nobody else owns.
        let listener = unsafe { TcpListener::from_raw_fd(fd.into_raw_fd()) };
        Ok(UringListener {
            listener: Rc::new(listener),
            handle,
            local,
            accepting: RefCell::new(None),
        })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<UringStream>> {
        let mut slot = self.accepting.borrow_mut();
        loop {
            let accepting = slot.get_or_insert_with(|| {
                let listener = self.listener.clone();
                Box::pin(async move { listener.shared_accept().await })
            });
            let accepted = std::task::ready!(accepting.as_mut().poll(cx));
            *slot = None;
            let stream = match accepted {
                Ok(accepted) => UringStream::new(accepted.bind_to_executor()),
                Err(error) => Err(io_error(error)),
            };
            match stream {
                // The peer was gone before we looked: not an accepted connection, and no reason to back off.
                Err(error) if is_gone(&error) => continue,
                other => return Poll::Ready(other),
            }
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotConnected | io::ErrorKind::ConnectionAborted)
}

impl Drop for UringListener {
    fn drop(&mut self) {
        // An accept in the kernel would keep the port listening until it is cancelled.
        socket::stop_listening(&self.handle);
    }
}

/// A connection; clones are the same one, which closes with the last.
#[derive(Clone)]
pub(crate) struct UringStream {
    shared: Rc<Shared>,
}

struct Shared {
    stream: RefCell<TcpStream>,
    local: SocketAddr,
    peer: SocketAddr,
}

impl UringStream {
    pub(crate) async fn connect(addr: SocketAddr) -> io::Result<UringStream> {
        // A `SocketAddr` resolves to itself: no name server is asked here.
        let stream = TcpStream::connect(addr).await.map_err(io_error)?;
        UringStream::new(stream)
    }

    fn new(stream: TcpStream) -> io::Result<UringStream> {
        socket::close_on_exec(stream.as_raw_fd())?;
        let local = stream.local_addr().map_err(io_error)?;
        let peer = stream.peer_addr().map_err(io_error)?;
        let stream = RefCell::new(stream);
        Ok(UringStream { shared: Rc::new(Shared { stream, local, peer }) })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.shared.local
    }

    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.shared.peer
    }

    pub(crate) fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.shared.stream.borrow().set_nodelay(on).map_err(io_error)
    }

    pub(crate) fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        socket::set_linger(self.shared.stream.borrow().as_raw_fd(), linger)
    }

    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut stream = self.shared.stream.borrow_mut();
        loop {
            let read = std::task::ready!(Pin::new(&mut *stream).poll_read(cx, into));
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => return Poll::Ready(other),
            }
        }
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut stream = self.shared.stream.borrow_mut();
        loop {
            let written = std::task::ready!(Pin::new(&mut *stream).poll_write(cx, bytes));
            match written {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => return Poll::Ready(other),
            }
        }
    }

    pub(crate) async fn shutdown(&self) -> io::Result<()> {
        let shutdown = {
            let stream = self.shared.stream.borrow();
            socket::shutdown(stream.as_raw_fd(), Shutdown::Write)
        };
        match shutdown {
            // The peer has reset it: there is nothing to say any more.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            other => other,
        }
    }
}
