//! What openraft is told about us.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use ::runtime::Slice;
use ::runtime::channel::Notify;
use model::{Term, UnixMillis};
use openraft::RaftTypeConfig;
use openraft::impls::leader_id_std::LeaderId;
use openraft::impls::{BoxedErrorSource, EntryPayload, InlineBatch, OneshotResponder, Vote};
use storage::{EntryKind, StoreId, Unplaced};

use crate::entry::Entry;
use crate::lineage::Lineage;
use crate::runtime::Runtime;

/// The types of a shard's group.
///
/// A term has one leader at most, so a log id is a term and an index: what an entry's header in the log has room for.
///
/// What an entry came to is told by the events of the store, to those who proposed it as well. So the answer to a
/// proposal says only that it is committed and applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Types;

impl RaftTypeConfig for Types {
    type D = Proposal;
    type R = ();
    type NodeId = MemberId;
    type Node = Member;
    type Term = u64;
    type LeaderId = LeaderId<u64, MemberId>;
    type Vote = Vote<Self::LeaderId>;
    type Payload = EntryPayload<Proposal, MemberId, Member>;
    type Entry = Entry;
    type AsyncRuntime = Runtime;
    type Responder<T>
        = OneshotResponder<Self, T>
    where
        T: 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: 'static;
    type ErrorSource = BoxedErrorSource;
}

/// The newest term that is believed: it is stored before there is a use for the one behind it.
pub(crate) const TERM_MAX: u64 = 1 << 62;

/// Who somebody is in a group: the store is, not the machine. A wiped node is a new member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub StoreId);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a leader brings to the log: one entry. A clone is the same entry.
#[derive(Debug, Clone)]
pub enum Proposal {
    /// It is known how it looks in the log, but for its place.
    Entry(Content),
    /// It comes from this member's store, and is placed when the log accepts it. Nowhere but on its way into the log.
    Share(Share),
}

impl Proposal {
    /// How it looks in the log; `None` for one that is not placed, of which that is not known yet.
    #[must_use]
    pub fn content(&self) -> Option<&Content> {
        match self {
            Self::Entry(content) => Some(content),
            Self::Share(_) => None,
        }
    }
}

/// An entry of those that were taken from the store together: each of them is one such proposal, and they come in their order,
/// with nothing in between. The first that is accepted has all of them placed.
#[derive(Debug, Clone)]
pub struct Share {
    term: Term,
    shared: Rc<Shared>,
}

struct Shared {
    unplaced: RefCell<Option<Unplaced>>,
    revoked: Cell<bool>,
    accepted: Notify,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.revoked.get(), self.unplaced.borrow().is_some()) {
            (true, _) => "revoked",
            (false, true) => "unplaced",
            (false, false) => "accepted",
        })
    }
}

impl Share {
    /// These entries for the leader of this term, to be proposed together; one of them, and how many they are.
    pub(crate) fn of_all(unplaced: Unplaced, term: Term) -> (Self, usize) {
        let count = unplaced.entries();
        let unplaced = RefCell::new(Some(unplaced));
        let shared = Shared { unplaced, revoked: Cell::new(false), accepted: Notify::new() };
        (Self { term, shared: Rc::new(shared) }, count)
    }

    /// Waits until the log has accepted them. Cancel safe.
    pub(crate) async fn accepted(&self) {
        loop {
            let accepted = self.shared.accepted.notified();
            if self.shared.unplaced.borrow().is_none() {
                return;
            }
            accepted.await;
        }
    }

    /// All of them, once: the log accepts them.
    pub(crate) fn take(&self) -> Option<Unplaced> {
        let unplaced = self.shared.unplaced.borrow_mut().take();
        self.shared.accepted.notify_all();
        unplaced
    }

    /// If the log has not accepted them yet it never will: whoever appended them is told that nobody knows.
    pub(crate) fn revoke(&self) {
        let unplaced = self.shared.unplaced.borrow_mut().take();
        if unplaced.is_some() {
            self.shared.revoked.set(true);
        }
    }

    /// Whether they were taken for the leader of this term, who wants them still.
    pub(crate) fn is_of(&self, term: Term) -> bool {
        self.term == term && !self.shared.revoked.get()
    }
}

/// How an entry looks in the log.
#[derive(Debug, Clone)]
pub struct Content {
    /// What is in it: neither `Blank` nor `Membership`, which are openraft's own.
    pub kind: EntryKind,
    /// When the leader took it in. In the log it may be later: times never fall along it.
    pub timestamp: UnixMillis,
    /// Messages in it.
    pub records: u32,
    /// The body, as it will be written.
    pub body: Slice,
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(content) => write!(f, "{} bytes", content.body.len()),
            Self::Share(_) => f.write_str("not placed"),
        }
    }
}

/// One of a group, as the group's own log knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What operators call it, such as `n0`; [`Member::LABEL_MAX`] bytes at most.
    pub label: String,
    /// Where its peers reach it.
    pub addr: SocketAddr,
    /// That of the group which it belongs to: all of a group have the same.
    pub lineage: Lineage,
}

impl Member {
    /// Bytes of the longest label.
    pub const LABEL_MAX: usize = 255;

    /// One who is called so and reached there. Which lineage it belongs to is said by the group that it becomes a member of.
    #[must_use]
    pub fn new(label: impl Into<String>, addr: SocketAddr) -> Self {
        Self { label: label.into(), addr, lineage: Lineage::FIRST }
    }

    /// A store that is a group of its own, as its log has it: without a label, and nowhere to be reached.
    pub(crate) fn unnamed() -> Self {
        let addr = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        Self { label: String::new(), addr, lineage: Lineage::FIRST }
    }

    /// Whether nobody has said yet what it is called, and where it is reached: it was a group of its own.
    #[must_use]
    pub fn is_unnamed(&self) -> bool {
        *self == Self::unnamed()
    }
}
