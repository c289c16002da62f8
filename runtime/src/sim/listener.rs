//! Ports and listening sockets of a simulated node.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::{Rc, Weak};

use super::seat::Seat;
use super::stream::SimStream;
use super::world::NodeState;
use crate::channel::Notify;

/// Connections that wait to be accepted.
const BACKLOG: usize = 1024;

/// The first port given to those who do not ask for one.
const EPHEMERAL_PORT_MIN: u16 = 49152;

/// What listens on a node.
pub(super) struct Ports {
    listening: RefCell<Vec<(SocketAddr, Weak<Queue>)>>,
    next: Cell<u16>,
}

impl Default for Ports {
    fn default() -> Ports {
        Ports { listening: RefCell::default(), next: Cell::new(EPHEMERAL_PORT_MIN) }
    }
}

#[derive(Default)]
pub(super) struct Queue {
    waiting: RefCell<VecDeque<SimStream>>,
    arrived: Notify,
}

impl Queue {
    /// Queues the connection unless the backlog is full.
    pub(super) fn push(&self, stream: SimStream) -> Result<(), SimStream> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= BACKLOG {
            return Err(stream);
        }
        waiting.push_back(stream);
        self.arrived.notify_one();
        Ok(())
    }
}

impl Ports {
    /// A port nobody listens on, for a listener or for the near end of a connection.
    pub(super) fn free_port(&self) -> u16 {
        let count = usize::from(u16::MAX - EPHEMERAL_PORT_MIN);
        for _ in 0..count {
            let port = self.next.get();
            self.next.set(port.checked_add(1).unwrap_or(EPHEMERAL_PORT_MIN));
            let taken = self.listening.borrow().iter().any(|(addr, _)| addr.port() == port);
            if !taken {
                return port;
            }
        }
        panic!("a simulated node has no free port left");
    }

    /// Who listens on `addr`, which is an address of this node.
    pub(super) fn listening_on(&self, addr: SocketAddr) -> Option<Rc<Queue>> {
        let listening = self.listening.borrow();
        let found = listening.iter().find(|(bound, _)| {
            bound.port() == addr.port() && (bound.ip() == addr.ip() || bound.ip().is_unspecified())
        });
        found.and_then(|(_, queue)| queue.upgrade())
    }
}

pub(crate) struct SimListener {
    node: Rc<NodeState>,
    local: SocketAddr,
    queue: Rc<Queue>,
}

impl SimListener {
    pub(crate) fn bind(seat: &Seat, addr: SocketAddr) -> io::Result<SimListener> {
        let node = seat.node.clone();
        let is_ours = addr.ip() == IpAddr::V4(node.ip)
            || (addr.is_ipv4() && (addr.ip().is_loopback() || addr.ip().is_unspecified()));
        if !is_ours {
            return Err(io::Error::from_raw_os_error(libc::EADDRNOTAVAIL));
        }
        let port = if addr.port() == 0 { node.ports.free_port() } else { addr.port() };
        let local = SocketAddr::new(addr.ip(), port);
        let mut listening = node.ports.listening.borrow_mut();
        let clash = listening.iter().any(|(other, _)| {
            let both = other.ip() == local.ip();
            let either_any = other.ip().is_unspecified() || local.ip().is_unspecified();
            other.port() == port && (both || either_any)
        });
        if clash {
            return Err(io::Error::from_raw_os_error(libc::EADDRINUSE));
        }
        let queue = Rc::new(Queue::default());
        listening.push((local, Rc::downgrade(&queue)));
        drop(listening);
        Ok(SimListener { node, local, queue })
    }

    pub(crate) async fn accept(&self) -> SimStream {
        loop {
            let next = self.queue.waiting.borrow_mut().pop_front();
            if let Some(stream) = next {
                return stream;
            }
            self.queue.arrived.notified().await;
        }
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        self.node.ports.listening.borrow_mut().retain(|(addr, _)| *addr != self.local);
        let waiting = std::mem::take(&mut *self.queue.waiting.borrow_mut());
        for stream in waiting {
            stream.reset_on_close();
        }
    }
}
