//! Simulated connections: two one-way pipes with delay, bounded buffers, ends and resets.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, BytesMut};

use super::seat::Seat;
use super::trace::Mark;
use super::world::{NodeState, Process, World};
use crate::clock::Instant;

/// Bytes of one direction that may be under way or unread: the sender's and the receiver's buffers together.
const WINDOW: usize = 256 << 10;

/// How long a connection attempt to an address that does not exist takes.
const UNREACHABLE_AFTER: Duration = Duration::from_secs(3);

/// How long a connection attempt waits before it tries a full backlog again, and how often.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const RETRIES_MAX: u32 = 5;

/// One direction.
#[derive(Default)]
struct Pipe {
    /// Arrived and not read.
    arrived: BytesMut,
    /// Sent and not known to the sender as read.
    outstanding: usize,
    /// When the last segment arrives: segments never overtake each other.
    last_arrival: Option<Instant>,
    /// The sender has said that no more comes; and that has arrived.
    ended: bool,
    end_arrived: bool,
    /// Something was lost that nobody sends again: nothing behind it arrives.
    torn: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// One end of a connection.
#[derive(Default)]
struct EndState {
    closed: bool,
    reset: bool,
    /// It was closed with a reset: its kernel sends nothing again that was lost.
    aborted: bool,
}

struct Connection {
    world: Rc<World>,
    addrs: [SocketAddr; 2],
    /// `pipes[side]` carries what `side` sends.
    pipes: [RefCell<Pipe>; 2],
    ends: [RefCell<EndState>; 2],
}

impl Connection {
    /// When a segment that `side` sends now arrives.
    fn arrival(&self, side: usize) -> Instant {
        let delay = self.world.link_delay(self.addrs[side].ip(), self.addrs[1 - side].ip());
        let mut pipe = self.pipes[side].borrow_mut();
        let soonest = self.world.now() + delay;
        let at = pipe.last_arrival.map_or(soonest, |last| last.max(soonest));
        pipe.last_arrival = Some(at);
        at
    }

    fn send(self: &Rc<Self>, side: usize, bytes: &[u8]) {
        self.world.mark_bytes(Mark::Send, bytes);
        self.pipes[side].borrow_mut().outstanding += bytes.len();
        let (connection, bytes) = (self.clone(), BytesMut::from(bytes));
        let at = self.arrival(side);
        self.travel(side, at, move || connection.deliver(side, &bytes, at));
    }

    /// What `side` sends arrives at `at`, or when the way is there again.
    fn travel(&self, side: usize, at: Instant, arrival: impl FnOnce() + 'static) {
        let (world, from, to) =
            (self.world.clone(), self.addrs[side].ip(), self.addrs[1 - side].ip());
        self.world.at(at, move || world.arrive(from, to, arrival));
    }

    /// Bytes arrive that were to arrive at `at`: later, if the way was cut and they had to be sent again.
    fn deliver(self: &Rc<Self>, side: usize, bytes: &[u8], at: Instant) {
        self.world.mark(Mark::Deliver, bytes.len() as u64);
        let peer = 1 - side;
        let is_late = self.world.now() > at;
        if is_late && self.ends[side].borrow().aborted {
            self.pipes[side].borrow_mut().torn = true;
        }
        if self.ends[peer].borrow().reset || self.pipes[side].borrow().torn {
            return;
        }
        if self.world.is_rejected(self.addrs[side].ip(), self.addrs[peer].ip()) {
            self.reset(side); // a firewall answers, and the peer hears nothing
            return;
        }
        if self.ends[peer].borrow().closed {
            // Nobody reads there any more: the peer's kernel answers with a reset.
            self.send_reset(peer);
            return;
        }
        let reader = {
            let mut pipe = self.pipes[side].borrow_mut();
            pipe.arrived.extend_from_slice(bytes);
            assert!(pipe.arrived.len() <= pipe.outstanding && pipe.outstanding <= WINDOW);
            pipe.reader.take()
        };
        wake(reader);
    }

    /// Lets the sender know, a little later, that `n` bytes were read.
    fn acknowledge(self: &Rc<Self>, side: usize, n: usize) {
        let (from, to) = (self.addrs[1 - side].ip(), self.addrs[side].ip());
        let connection = self.clone();
        let at = self.world.now() + self.world.link_delay(from, to);
        self.travel(1 - side, at, move || {
            let writer = {
                let mut pipe = connection.pipes[side].borrow_mut();
                assert!(pipe.outstanding >= n);
                pipe.outstanding -= n;
                pipe.writer.take()
            };
            wake(writer);
        });
    }

    fn send_end(self: &Rc<Self>, side: usize) {
        if std::mem::replace(&mut self.pipes[side].borrow_mut().ended, true) {
            return;
        }
        let connection = self.clone();
        self.travel(side, self.arrival(side), move || {
            connection.world.mark(Mark::Close, side as u64);
            let reader = {
                let mut pipe = connection.pipes[side].borrow_mut();
                pipe.end_arrived = true;
                pipe.reader.take()
            };
            wake(reader);
        });
    }

    /// Tells the other end of `side` that the connection is no more.
    fn send_reset(self: &Rc<Self>, side: usize) {
        let connection = self.clone();
        self.travel(side, self.arrival(side), move || connection.reset(1 - side));
    }

    fn reset(&self, side: usize) {
        self.world.mark(Mark::Close, 2 + side as u64);
        self.ends[side].borrow_mut().reset = true;
        let reader = self.pipes[1 - side].borrow_mut().reader.take();
        let writer = self.pipes[side].borrow_mut().writer.take();
        wake(reader);
        wake(writer);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// One end; closes when its last clone goes.
struct End {
    connection: Rc<Connection>,
    side: usize,
    process: Rc<Process>,
    reset_on_close: Cell<bool>,
}

impl Drop for End {
    fn drop(&mut self) {
        let unread = !self.connection.pipes[1 - self.side].borrow().arrived.is_empty();
        {
            let mut end = self.connection.ends[self.side].borrow_mut();
            (end.closed, end.aborted) = (true, self.reset_on_close.get());
        }
        if self.connection.ends[self.side].borrow().reset {
            return;
        }
        if self.reset_on_close.get() || self.process.crashed.get() || unread {
            self.connection.send_reset(self.side);
        } else {
            self.connection.send_end(self.side);
        }
    }
}

#[derive(Clone)]
pub(crate) struct SimStream {
    end: Rc<End>,
}

impl SimStream {
    pub(crate) async fn connect(seat: &Seat, addr: SocketAddr) -> io::Result<SimStream> {
        let (world, node) = (&seat.world, &seat.node);
        let is_own = addr.ip().is_loopback();
        let near = if is_own { addr.ip() } else { IpAddr::V4(node.ip) };
        let far = if is_own { Some(node.clone()) } else { world.node_at(addr.ip()) };
        let Some(far) = far else {
            crate::time::sleep(UNREACHABLE_AFTER).await;
            return Err(io::Error::from_raw_os_error(libc::EHOSTUNREACH));
        };
        let local = SocketAddr::new(near, node.ports.free_port());
        for _ in 0..RETRIES_MAX {
            crate::time::sleep(world.link_delay(near, addr.ip())).await;
            let is_cut = world.is_cut(near, addr.ip()) || world.is_cut(addr.ip(), near);
            let attempt = match is_cut {
                true => Ok(None),
                false if world.is_rejected(near, addr.ip()) => Err(refused()),
                false => arrive(world, &far, [local, addr], &seat.process),
            };
            crate::time::sleep(world.link_delay(addr.ip(), near)).await;
            match attempt? {
                Some(stream) => return Ok(stream),
                None => crate::time::sleep(RETRY_AFTER).await,
            }
        }
        Err(io::Error::from_raw_os_error(libc::ETIMEDOUT))
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.end.connection.addrs[self.end.side]
    }

    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.end.connection.addrs[1 - self.end.side]
    }

    pub(crate) fn set_linger(&self, linger: Option<Duration>) {
        self.end.reset_on_close.set(linger == Some(Duration::ZERO));
    }

    /// Closing will reset the connection.
    pub(super) fn reset_on_close(&self) {
        self.end.reset_on_close.set(true);
    }

    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (connection, side) = (&self.end.connection, 1 - self.end.side);
        let mut pipe = connection.pipes[side].borrow_mut();
        let reset = connection.ends[self.end.side].borrow().reset;
        if !pipe.arrived.is_empty() || pipe.end_arrived || reset {
            return Poll::Ready(Ok(()));
        }
        pipe.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        into: &mut BytesMut,
        max: usize,
    ) -> Poll<io::Result<usize>> {
        let (connection, side) = (&self.end.connection, 1 - self.end.side);
        let mut pipe = connection.pipes[side].borrow_mut();
        let n = pipe.arrived.len().min(max);
        if n > 0 {
            into.extend_from_slice(&pipe.arrived[..n]);
            pipe.arrived.advance(n);
            drop(pipe);
            connection.acknowledge(side, n);
            return Poll::Ready(Ok(n));
        }
        if connection.ends[self.end.side].borrow().reset {
            return Poll::Ready(Err(io::Error::from_raw_os_error(libc::ECONNRESET)));
        }
        if pipe.end_arrived {
            return Poll::Ready(Ok(0));
        }
        pipe.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let (connection, side) = (&self.end.connection, self.end.side);
        let mut pipe = connection.pipes[side].borrow_mut();
        if connection.ends[side].borrow().reset || pipe.ended {
            return Poll::Ready(Err(io::Error::from_raw_os_error(libc::EPIPE)));
        }
        assert!(pipe.outstanding <= WINDOW);
        let n = bytes.len().min(WINDOW - pipe.outstanding);
        if n == 0 {
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        drop(pipe);
        connection.send(side, &bytes[..n]);
        Poll::Ready(Ok(n))
    }

    pub(crate) fn shutdown(&self) {
        if !self.end.connection.ends[self.end.side].borrow().reset {
            self.end.connection.send_end(self.end.side);
        }
    }
}

/// What a machine answers where nobody listens, or a firewall for it.
fn refused() -> io::Error {
    io::Error::from_raw_os_error(libc::ECONNREFUSED)
}

/// A connection attempt arrives at `far`: a refusal, no room in the backlog (`None`), or the near end.
fn arrive(
    world: &Rc<World>,
    far: &NodeState,
    addrs: [SocketAddr; 2],
    process: &Rc<Process>,
) -> io::Result<Option<SimStream>> {
    let Some(queue) = far.ports.listening_on(addrs[1]) else {
        return Err(refused());
    };
    world.mark(Mark::Connect, u64::from(addrs[1].port()));
    let connection = Rc::new(Connection {
        world: world.clone(),
        addrs,
        pipes: Default::default(),
        ends: Default::default(),
    });
    let end = |side, process| SimStream {
        end: Rc::new(End {
            connection: connection.clone(),
            side,
            process,
            reset_on_close: Cell::new(false),
        }),
    };
    let near = end(0, process.clone());
    Ok(queue.push(end(1, far.process())).is_ok().then_some(near))
}
