//! TCP. A socket is asked first, and where it has nothing the ring tells when to ask again: so an idle connection costs
//! no memory, and a future that is given up has neither taken nor lost a byte.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use io_uring::opcode;
use io_uring::types::Fd;

use super::keep::Keep;
use super::local::local;
use super::reactor::{Kind, Operation};
use crate::socket;

/// A wait until a socket is ready for something, kept between the polls of whoever waits.
struct Readiness {
    /// Poll flags.
    events: libc::c_short,
    waiting: RefCell<Option<Operation>>,
    /// The socket had nothing when it was last asked, or gave all that it had: it is waited for before it is asked again.
    spent: Cell<bool>,
}

impl Readiness {
    fn new(events: libc::c_short) -> Readiness {
        Readiness { events, waiting: RefCell::new(None), spent: Cell::new(false) }
    }

    /// Ready when `socket` is, now or since the last time.
    fn poll<S: AsRawFd + 'static>(
        &self,
        socket: &Rc<S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut waiting = self.waiting.borrow_mut();
        let operation = waiting.get_or_insert_with(|| {
            let events = u32::from(self.events.cast_unsigned());
            let entry = opcode::PollAdd::new(Fd(socket.as_raw_fd()), events).build();
            local().reactor.start(entry, Kind::Waits, Keep::descriptor(socket.clone()))
        });
        let polled = ready!(Pin::new(operation).poll(cx));
        *waiting = None;
        Poll::Ready(polled.result.map(drop))
    }

    /// Ready when there is a reason to ask `socket`.
    fn poll_unspent<S: AsRawFd + 'static>(
        &self,
        socket: &Rc<S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.spent.get() {
            ready!(self.poll(socket, cx))?;
            self.spent.set(false);
        }
        Poll::Ready(Ok(()))
    }

    /// Tries `call` until the socket does not tell it to wait.
    fn poll_with<S: AsRawFd + 'static, T>(
        &self,
        socket: &Rc<S>,
        cx: &mut Context<'_>,
        mut call: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            ready!(self.poll_unspent(socket, cx))?;
            match call() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.spent.set(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return Poll::Ready(other),
            }
        }
    }
}

pub(crate) struct UringListener {
    listener: Rc<TcpListener>,
    local: SocketAddr,
    acceptable: Readiness,
}

impl UringListener {
    pub(crate) fn bind(addr: SocketAddr) -> io::Result<UringListener> {
        let listener = TcpListener::from(socket::listen(addr)?);
        listener.set_nonblocking(true)?;
        let local = listener.local_addr()?;
        Ok(UringListener {
            listener: Rc::new(listener),
            local,
            acceptable: Readiness::new(libc::POLLIN),
        })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<UringStream>> {
        loop {
            let accept = || self.listener.accept();
            let accepted = ready!(self.acceptable.poll_with(&self.listener, cx, accept));
            match accepted.and_then(|(stream, _)| UringStream::new(stream)) {
                // The peer was gone before we looked: not an accepted connection, and no reason to back off.
                Err(error) if is_gone(&error) => {}
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
        // A wait in the kernel would keep the port listening until it is cancelled.
        socket::stop_listening(&self.listener);
    }
}

/// A connection; clones are the same one, which closes with the last.
#[derive(Clone)]
pub(crate) struct UringStream {
    shared: Rc<Shared>,
}

struct Shared {
    stream: Rc<TcpStream>,
    local: SocketAddr,
    peer: SocketAddr,
    readable: Readiness,
    writable: Readiness,
}

impl UringStream {
    pub(crate) async fn connect(addr: SocketAddr) -> io::Result<UringStream> {
        let stream = Rc::new(socket::connect(addr)?);
        let connected = Readiness::new(libc::POLLOUT);
        std::future::poll_fn(|cx| connected.poll(&stream, cx)).await?;
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        UringStream::with(stream)
    }

    fn new(stream: TcpStream) -> io::Result<UringStream> {
        stream.set_nonblocking(true)?;
        UringStream::with(Rc::new(stream))
    }

    fn with(stream: Rc<TcpStream>) -> io::Result<UringStream> {
        let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
        let shared = Shared {
            stream,
            local,
            peer,
            readable: Readiness::new(libc::POLLIN),
            writable: Readiness::new(libc::POLLOUT),
        };
        Ok(UringStream { shared: Rc::new(shared) })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.shared.local
    }

    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.shared.peer
    }

    pub(crate) fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.shared.stream.set_nodelay(on)
    }

    pub(crate) fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        socket::set_linger(self.shared.stream.as_raw_fd(), linger)
    }

    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.readable.poll_unspent(&self.shared.stream, cx)
    }

    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let shared = &self.shared;
        let len = into.len();
        let read = || (&*shared.stream).read(into);
        let read = ready!(shared.readable.poll_with(&shared.stream, cx, read))?;
        shared.readable.spent.set(read < len);
        Poll::Ready(Ok(read))
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let shared = &self.shared;
        let write = || (&*shared.stream).write(bytes);
        shared.writable.poll_with(&shared.stream, cx, write)
    }

    pub(crate) async fn shutdown(&self) -> io::Result<()> {
        match self.shared.stream.shutdown(Shutdown::Write) {
            // The peer has reset it: there is nothing to say any more.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            other => other,
        }
    }
}
