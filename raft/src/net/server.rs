//! Accepting the connections of peers.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;

use futures::future::{Either, select};
use runtime::channel::Flag;
use runtime::{Instant, TcpListener, TcpStream, now, timeout};

use super::dial::receive;
use super::error::CloseReason;
use super::facts::Facts;
use super::frames::Frames;
use super::handler::Handler;
use super::limits::{ACCEPT_PAUSE, Limits, PARTING, VISITORS_KEPT};
use super::peers::Peers;
use super::session::Session;
use super::wire::hello::{Hello, Refusal};
use crate::types::MemberId;

/// Somebody who was refused.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Who dialled.
    pub addr: SocketAddr,
    /// When.
    pub at: Instant,
    /// Why he was refused.
    pub refusal: Refusal,
}

/// Serves the peers that dial this member. Clones are the same.
#[derive(Clone)]
pub struct Server {
    shared: Rc<Shared>,
}

struct Shared {
    peers: Peers,
    limits: Rc<Limits>,
    handler: Rc<dyn Handler>,
    stop: Flag,
    /// Connections, in the handshake or behind it.
    open: Cell<usize>,
    accepted: Cell<u64>,
    refused: RefCell<VecDeque<Visitor>>,
}

impl Server {
    /// One that answers with `handler` until `stop` is raised. A peer that closes its connections is dialled, to learn
    /// whether it is gone ([`Peers::gone`]).
    #[must_use]
    pub fn new(peers: Peers, handler: Rc<dyn Handler>, stop: Flag) -> Self {
        let limits = Rc::new(peers.limits().clone());
        let shared = Shared {
            peers,
            limits,
            handler,
            stop,
            open: Cell::new(0),
            accepted: Cell::new(0),
            refused: RefCell::default(),
        };
        Self { shared: Rc::new(shared) }
    }

    /// Accepts connections until the flag is raised; then the listener is closed, and each connection ends by itself. Dropped
    /// early, nobody is accepted any more.
    pub async fn serve(&self, listener: TcpListener) {
        let shared = &self.shared;
        let stopped = pin!(shared.stop.raised());
        let accepting = pin!(async {
            loop {
                match listener.accept().await {
                    Ok((stream, addr)) => {
                        runtime::spawn(Rc::clone(shared).visit(stream, addr)).detach();
                    }
                    Err(error) => {
                        tracing::warn!(
                            group = %shared.peers.facts().group,
                            "{error}; if too many files are open, raise the limit (ulimit -n)"
                        );
                        runtime::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        });
        match select(stopped, accepting).await {
            Either::Left(((), _)) => {}
            Either::Right((never, _)) => never,
        }
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.open.get()
    }

    /// Connections that were let in so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.get()
    }

    /// The last ones who were refused, the newest last.
    #[must_use]
    pub fn refused(&self) -> Vec<Visitor> {
        self.shared.refused.borrow().iter().cloned().collect()
    }
}

impl Shared {
    /// A connection, from its begin to its end.
    async fn visit(self: Rc<Self>, stream: TcpStream, addr: SocketAddr) {
        let open = self.open.get();
        // Twice as many may knock: so that those who come too many are told why.
        if open >= 2 * self.limits.connections {
            tracing::debug!(%addr, "connection dropped: too many");
            return;
        }
        self.open.set(open + 1);
        let stopped = pin!(self.stop.raised());
        let caller = Cell::new(None);
        let reason = match select(stopped, pin!(self.talk(stream, addr, &caller))).await {
            Either::Left(((), _)) => CloseReason::Ours,
            Either::Right((reason, _)) => reason,
        };
        self.open.set(self.open.get() - 1);
        match reason.is_notable() {
            true => {
                let name = caller.get().map(|id| self.peers.name_of(id));
                let name = name.unwrap_or_else(|| "nobody who is known".to_owned());
                let group = &self.peers.facts().group;
                tracing::warn!(%group, label = %name, %addr, "connection of a peer closed: {reason}");
            }
            false => tracing::debug!(%addr, "connection of a peer ended: {reason}"),
        }
    }

    /// `caller` becomes the one who has said who he is.
    async fn talk(
        &self,
        stream: TcpStream,
        addr: SocketAddr,
        caller: &Cell<Option<MemberId>>,
    ) -> CloseReason {
        if let Err(error) = stream.set_nodelay(true) {
            return error.into();
        }
        let (incoming, mut send) = stream.into_split();
        let mut frames = Frames::new(incoming);
        let is_full = self.open.get() > self.limits.connections;
        let judged = receive(&self.peers, is_full, &mut frames, &mut send);
        let hello = match timeout(self.limits.handshake, judged).await {
            Err(_) => return CloseReason::Broken("it does not say who it is"),
            Ok(Err(reason)) => return reason,
            Ok(Ok(Ok(hello))) => hello,
            Ok(Ok(Err(refusal))) => {
                self.refuse(addr, refusal);
                // The other side reads why, and goes: a close before that might take the text with it.
                let parted = async {
                    if send.shutdown().await.is_ok() {
                        frames.drain().await;
                    }
                };
                if timeout(PARTING, parted).await.is_err() {
                    tracing::debug!(%addr, "a peer that was refused keeps its side open");
                }
                return CloseReason::Ours;
            }
        };
        self.accepted.set(self.accepted.get() + 1);
        let Hello { facts: Facts { store, .. }, lane, .. } = hello;
        caller.set(Some(store));
        tracing::debug!(%addr, peer = %store, %lane, "connection of a peer");
        let answering = (Rc::clone(&self.handler), self.peers.clone());
        let session = Session::new(lane, Rc::clone(&self.limits), answering, &frames);
        let reason = session.drive(&mut frames, send).await;
        if reason.is_by_peer() {
            self.peers.left_us(store);
        }
        reason
    }

    fn refuse(&self, addr: SocketAddr, refusal: Refusal) {
        let mut refused = self.refused.borrow_mut();
        let is_known =
            refused.iter().any(|before| before.addr.ip() == addr.ip() && before.refusal == refusal);
        match is_known {
            true => tracing::debug!(%addr, "a peer was refused: {refusal}"),
            false => {
                let group = &self.peers.facts().group;
                tracing::warn!(%group, %addr, "a peer was refused: {refusal}");
            }
        }
        if refused.len() == VISITORS_KEPT {
            refused.pop_front();
        }
        refused.push_back(Visitor { addr, at: now(), refusal });
    }
}
