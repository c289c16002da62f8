//! One peer: its two lanes, and what is known of it.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use runtime::channel::Flag;
use runtime::{Instant, now, timeout};

use super::error::{CallError, DialError, Trouble};
use super::facts::Lane;
use super::forward::{Forwarded, NotSent};
use super::frames::Body;
use super::lane::LaneTo;
use super::link::{Call, Link};
use super::peers::Net;
use super::wire::forward::{self, Forward};
use super::wire::frame::Kind;
use crate::types::{Member, MemberId};

/// What both lanes know of a peer.
pub(super) struct PeerState {
    pub(super) id: MemberId,
    /// What operators call it.
    label: RefCell<String>,
    pub(super) addr: Cell<SocketAddr>,
    pub(super) net: Rc<Net>,
    /// Lanes that are connected.
    up: Cell<u32>,
    /// When it last said something on a connection that has ended.
    last_contact: Cell<Option<Instant>>,
    /// A connection was lost, and none made since.
    lost: Cell<bool>,
    trouble: RefCell<Option<(Instant, Trouble)>>,
    /// Why it took none of the entries that it was last sent.
    refuses: RefCell<Option<String>>,
    /// Snapshots that it has not taken since it took something.
    refused_snapshots: Cell<u32>,
    connected: Cell<u64>,
    failed: Cell<u64>,
    /// It does not vote: what it gets is limited.
    catches_up: Cell<bool>,
}

impl PeerState {
    /// A lane is connected.
    pub(super) fn came(&self, lane: Lane) {
        self.up.set(self.up.get() + 1);
        self.connected.set(self.connected.get() + 1);
        self.lost.set(false);
        self.net.returned(self.id);
        tracing::debug!(peer = %self.id, addr = %self.addr.get(), %lane, "connected");
    }

    /// A lane is connected no more.
    pub(super) fn left(&self, lane: Lane, received: Instant) {
        let up = self.up.get();
        assert!(up > 0, "it had come");
        self.up.set(up - 1);
        self.last_contact.set(self.last_contact.get().max(Some(received)));
        self.lost.set(true);
        tracing::debug!(peer = %self.id, addr = %self.addr.get(), %lane, "connection ended");
    }

    /// The machine answers that nobody listens.
    pub(super) fn nobody(&self, error: &DialError) {
        if self.lost.get() && self.up.get() == 0 {
            self.net.gone(self.id, self.addr.get(), error);
        }
    }

    /// Whether its process is gone, as far as is known.
    pub(super) fn is_gone(&self) -> bool {
        self.net.is_gone(self.id)
    }

    /// Something is wrong; an operator is told when it is something else than before.
    pub(super) fn troubled(&self, trouble: &Trouble) {
        self.failed.set(self.failed.get() + 1);
        let (peer, addr) = (self.id, self.addr.get());
        let text = trouble.to_string();
        let before = self.trouble.replace(Some((now(), trouble.clone())));
        let is_known = before.is_some_and(|(_, before)| before.to_string() == text);
        let is_notable = match trouble {
            Trouble::Dial(error) => error.is_refusal(),
            Trouble::Lost { reason, .. } => reason.is_notable(),
            Trouble::Stopped => false,
        };
        match is_notable && !is_known {
            true => {
                let (group, label) = (&self.net.facts.group, self.label.borrow());
                tracing::warn!(%group, %label, %peer, %addr, "{text}");
            }
            false => tracing::debug!(%peer, %addr, "{text}"),
        }
    }
}

/// What is known of a peer, for operators and for those who decide.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// Its store.
    pub id: MemberId,
    /// Where it is dialled.
    pub addr: SocketAddr,
    /// Whether there is a connection for entries and snapshots.
    pub bulk: bool,
    /// Whether there is one for what is urgent.
    pub urgent: bool,
    /// When it last said something, or let us in; `None` if it never did.
    pub last_contact: Option<Instant>,
    /// What was last wrong, and when. It stays when all is well again: compare it with `last_contact`.
    pub trouble: Option<(Instant, Trouble)>,
    /// Why it takes no entries, in its own words, though it may answer all else; `None` if it took those that it was last sent.
    pub refuses: Option<String>,
    /// Connections that were made so far.
    pub connections: u64,
    /// Dials and connections that came to nothing, or ended, so far.
    pub troubles: u64,
    /// Requests that wait for an answer.
    pub waiting: usize,
    /// Bytes that wait to be sent.
    pub queued: usize,
    /// Bytes that were sent on the connections that are there.
    pub sent: u64,
}

/// A peer. When it is dropped its connections end.
pub(super) struct Peer {
    state: Rc<PeerState>,
    lanes: [Rc<LaneTo>; 2],
    stop: Flag,
    /// Ways to it that openraft has.
    clients: Cell<usize>,
    /// It does not belong to the group, as far as is known: it goes with the last of those ways.
    is_leaving: Cell<bool>,
}

impl Peer {
    pub(super) fn new(id: MemberId, member: &Member, net: Rc<Net>) -> Self {
        let state = Rc::new(PeerState {
            id,
            label: RefCell::new(member.label.clone()),
            addr: Cell::new(member.addr),
            net,
            up: Cell::new(0),
            last_contact: Cell::new(None),
            lost: Cell::new(false),
            trouble: RefCell::default(),
            refuses: RefCell::default(),
            refused_snapshots: Cell::new(0),
            connected: Cell::new(0),
            failed: Cell::new(0),
            catches_up: Cell::new(false),
        });
        let stop = Flag::new();
        let lanes = Lane::ALL.map(|lane| LaneTo::start(lane, Rc::clone(&state), stop.clone()));
        Self { state, lanes, stop, clients: Cell::new(0), is_leaving: Cell::new(false) }
    }

    /// openraft has a way to it more.
    pub(super) fn engage(&self) {
        self.clients.set(self.clients.get() + 1);
    }

    /// openraft has one less; whether the peer is to go with it.
    pub(super) fn release(&self) -> bool {
        let clients = self.clients.get();
        assert!(clients > 0, "a way to it was made");
        self.clients.set(clients - 1);
        clients == 1 && self.is_leaving.get()
    }

    /// Says whether it belongs to the group. Whether it stays for now.
    pub(super) fn stays(&self, belongs: bool) -> bool {
        self.is_leaving.set(!belongs);
        belongs || self.clients.get() > 0
    }

    pub(super) fn id(&self) -> MemberId {
        self.state.id
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.state.addr.get()
    }

    /// It has left us: dials it, if no connection to it is there, to learn whether it is gone.
    pub(super) fn look(&self) {
        self.state.lost.set(true);
        self.lane(Lane::Urgent).look_after_loss();
    }

    /// It is called so, and dialled there, from now on.
    pub(super) fn known_as(&self, member: &Member) {
        self.state.addr.set(member.addr);
        if *self.state.label.borrow() != member.label {
            self.state.label.replace(member.label.clone());
        }
    }

    pub(super) fn label(&self) -> String {
        self.state.label.borrow().clone()
    }

    /// Says whether what it gets is limited.
    pub(super) fn catches_up(&self, does: bool) {
        self.state.catches_up.set(does);
    }

    /// Waits until it may get more entries, or more of a snapshot. Cancel safe.
    pub(super) async fn turn(&self) {
        while self.state.catches_up.get() && self.net().pace.is_spent() {
            self.net().pace.wait().await;
        }
    }

    /// It gets so many bytes.
    pub(super) fn spend(&self, bytes: usize) {
        if self.state.catches_up.get() {
            self.net().pace.spend(bytes);
        }
    }

    /// It has taken the entries or the snapshot that it was sent, or says why it does not.
    pub(super) fn takes(&self, sent: Result<(), &str>) {
        if sent.is_ok() {
            self.state.refused_snapshots.set(0);
        }
        self.state.refuses.replace(sent.err().map(str::to_owned));
    }

    /// It has not taken a snapshot; how many in a row that is.
    pub(super) fn refused_snapshot(&self) -> u32 {
        let times = self.state.refused_snapshots.get().saturating_add(1);
        self.state.refused_snapshots.set(times);
        times
    }

    pub(super) fn net(&self) -> &Net {
        &self.state.net
    }

    /// Its connections end, and no call is made any more.
    pub(super) fn stop(&self) {
        self.stop.raise();
    }

    /// Ends the connection of a lane; whether there was one.
    pub(super) fn interrupt(&self, lane: Lane) -> bool {
        self.lane(lane).up().is_some_and(|link| link.interrupt())
    }

    fn lane(&self, lane: Lane) -> &LaneTo {
        match lane {
            Lane::Bulk => &self.lanes[0],
            Lane::Urgent => &self.lanes[1],
        }
    }

    /// The connection of a lane, within `limit`.
    pub(super) async fn link(&self, lane: Lane, limit: Duration) -> Result<Rc<Link>, CallError> {
        match timeout(limit, self.lane(lane).link()).await {
            Ok(link) => link.map_err(CallError::Unreachable),
            Err(_) => Err(CallError::Late(limit)),
        }
    }

    /// One request, and its answer within `limit`. Dropped early, the request may have been sent.
    pub(super) async fn ask(
        &self,
        lane: Lane,
        kind: Kind,
        limit: Duration,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Body, CallError> {
        let asked = async {
            let link = self.lane(lane).link().await.map_err(CallError::Unreachable)?;
            link.room(&self.net().limits).await;
            link.call(kind, fill).await
        };
        timeout(limit, asked).await.unwrap_or(Err(CallError::Late(limit)))
    }

    /// Sends a request of a client, once. Cancel-safe: dropped early, nothing was sent.
    pub(super) async fn hand_on(&self, forwarded: &Forwarded) -> Result<Call, NotSent> {
        let (len, max) = (forwarded.request.len(), self.net().limits.max_body - forward::HEAD_LEN);
        if len > max {
            return Err(NotSent::TooLong { len, max });
        }
        let due = now() + forwarded.left;
        let late = NotSent::Late(forwarded.left);
        let ready = async {
            let link = self.lane(Lane::Bulk).link().await?;
            link.room(&self.net().limits).await;
            Ok(link)
        };
        let ready = timeout(forwarded.left, ready).await.map_err(|_| late.clone())?;
        let link = ready.map_err(NotSent::Unreachable)?;
        if let Some(trouble) = link.trouble() {
            return Err(NotSent::Unreachable(trouble));
        }
        // What is less than a millisecond counts as none.
        let left = Duration::from_millis(whole_millis(due.saturating_since(now())));
        if left.is_zero() {
            return Err(late);
        }
        let Forwarded { term, origin, request, .. } = forwarded;
        let forward = Forward { term: *term, origin: *origin, left, request };
        Ok(link.call(Kind::Forward, |out| forward.put(out)))
    }

    pub(super) fn status(&self) -> PeerStatus {
        let links = [Lane::Bulk, Lane::Urgent].map(|lane| self.lane(lane).up());
        let received = links.iter().flatten().map(|link| link.received()).max();
        PeerStatus {
            id: self.id(),
            addr: self.addr(),
            bulk: links[0].is_some(),
            urgent: links[1].is_some(),
            last_contact: self.state.last_contact.get().max(received),
            trouble: self.state.trouble.borrow().clone(),
            refuses: self.state.refuses.borrow().clone(),
            connections: self.state.connected.get(),
            troubles: self.state.failed.get(),
            waiting: links.iter().flatten().map(|link| link.waiting()).sum(),
            queued: links.iter().flatten().map(|link| link.queued()).sum(),
            sent: links.iter().flatten().map(|link| link.sent()).sum(),
        }
    }
}

/// Those that fit the wire.
fn whole_millis(time: Duration) -> u64 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX).into()
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.raise();
    }
}
