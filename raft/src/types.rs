//! What openraft is told about us.

use std::fmt;
use std::net::SocketAddr;

use ::runtime::Slice;
use model::UnixMillis;
use openraft::RaftTypeConfig;
use openraft::impls::leader_id_std::LeaderId;
use openraft::impls::{BoxedErrorSource, Entry, EntryPayload, InlineBatch, OneshotResponder, Vote};
use openraft::vote::RaftLeaderId;
use storage::{EntryKind, StoreId};

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
    type Entry = Entry<<Self::LeaderId as RaftLeaderId>::Committed, Self::Payload>;
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

/// Who somebody is in a group: the store is, not the machine. A wiped node is a new member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub StoreId);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a leader brings to the log: one entry. A clone is the same bytes.
#[derive(Debug, Clone)]
pub struct Proposal {
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
        write!(f, "{} bytes", self.body.len())
    }
}

/// One of a group, as the group's own log knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What operators call it, such as `n0`; [`Member::LABEL_MAX`] bytes at most.
    pub label: String,
    /// Where its peers reach it.
    pub addr: SocketAddr,
}

impl Member {
    /// Bytes of the longest label.
    pub const LABEL_MAX: usize = 255;
}
