//! An entry as openraft has it, and as the log has it.

use std::rc::Rc;

use model::{LogIndex, Term, UnixMillis};
use openraft::EntryPayload;
use openraft::type_config::alias::{EntryOf, LogIdOf};
use runtime::Slice;
use storage::{EntryHead, EntryKind, LogEntry};

use super::error::LogError;
use super::membership;
use crate::entry::Laid;
use crate::types::{Content, Proposal, Types};

/// The entry before `index`, of this term.
pub(crate) fn id_before(index: LogIndex, term: Term) -> Option<LogIdOf<Types>> {
    index.0.checked_sub(1).map(|last| LogIdOf::<Types>::new_term_index(term.0, last))
}

/// The index behind this entry.
pub(super) fn behind(id: Option<&LogIdOf<Types>>) -> LogIndex {
    LogIndex(id.map_or(0, |id| id.index + 1))
}

/// Bytes of memory that an entry holds, about.
pub(crate) fn weight(entry: &EntryOf<Types>) -> usize {
    size_of::<EntryOf<Types>>()
        + match &entry.payload {
            EntryPayload::Normal(Proposal::Entry(content)) => content.body.len(),
            EntryPayload::Normal(Proposal::Share(_))
            | EntryPayload::Blank
            | EntryPayload::Membership(_) => 0,
        }
}

/// Times never fall along a log, and every member must come to the same one: a proposal has the later of its own time
/// and that of the entry before it. Returns the entry's time, when `last` is that of the entry before.
///
/// # Panics
/// When a proposal is of a kind that only openraft makes.
pub(super) fn stamp(entry: &mut EntryOf<Types>, last: UnixMillis) -> UnixMillis {
    let EntryPayload::Normal(Proposal::Entry(content)) = &mut entry.payload else {
        return last; // It has no time of its own.
    };
    let kind = content.kind;
    assert!(!matches!(kind, EntryKind::Blank | EntryKind::Membership), "openraft makes these");
    content.timestamp = content.timestamp.max(last);
    content.timestamp
}

/// The payload of an entry, as it is written.
pub(super) enum Body {
    Bytes(Vec<u8>),
    Slice(Slice),
}

impl Body {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Slice(slice) => slice,
        }
    }
}

impl From<Body> for Slice {
    fn from(body: Body) -> Self {
        match body {
            Body::Slice(slice) => slice,
            Body::Bytes(bytes) => {
                let mut buffer = runtime::buffer(bytes.len().max(1)); // there is none of nothing
                buffer[..bytes.len()].copy_from_slice(&bytes);
                Self::new(Rc::new(buffer), 0..bytes.len())
            }
        }
    }
}

/// The payload of an entry that is in the log.
pub(crate) fn body_of(entry: &EntryOf<Types>) -> Slice {
    to_log(entry, UnixMillis(0)).1.into()
}

/// What is written of a stamped entry; `last` is the time of the entry before. What openraft makes has that time, but for the first
/// entry of a store that was a group of its own.
pub(super) fn to_log(entry: &EntryOf<Types>, last: UnixMillis) -> (EntryHead, Body) {
    let own = entry.laid.map_or(last, |laid| laid.timestamp.max(last));
    let (kind, timestamp, records, body) = match &entry.payload {
        EntryPayload::Blank => (EntryKind::Blank, own, 0, Body::Bytes(Vec::new())),
        EntryPayload::Membership(group) => {
            (EntryKind::Membership, own, 0, Body::Bytes(membership::encode(group)))
        }
        EntryPayload::Normal(Proposal::Entry(Content { kind, timestamp, records, body })) => {
            (*kind, *timestamp, *records, Body::Slice(body.clone()))
        }
        EntryPayload::Normal(Proposal::Share(_)) => unreachable!("what is accepted is placed"),
    };
    assert!(timestamp >= last, "it was stamped");
    let (index, term) = (LogIndex(entry.log_id.index), Term(entry.log_id.leader_id.term));
    let chain = entry.laid.map(|laid| laid.chain);
    (EntryHead { index, term, kind, timestamp, records, chain }, body)
}

/// What was written, as openraft has it.
pub(super) fn from_log(entry: LogEntry) -> Result<EntryOf<Types>, LogError> {
    from_parts(entry.head, entry.payload)
}

/// An entry with this payload, as openraft has it.
pub(super) fn from_parts(head: EntryHead, body: Slice) -> Result<EntryOf<Types>, LogError> {
    let EntryHead { index, term, kind, timestamp, records, chain } = head;
    let payload = match kind {
        EntryKind::Blank => EntryPayload::Blank,
        EntryKind::Membership => EntryPayload::Membership(
            membership::decode(&body)
                .map_err(|why| LogError::Membership { index: index.0, why })?,
        ),
        EntryKind::Messages | EntryKind::Topic | EntryKind::Command | EntryKind::Trim => {
            let content = Content { kind, timestamp, records, body };
            EntryPayload::Normal(Proposal::Entry(content))
        }
    };
    let log_id = LogIdOf::<Types>::new_term_index(term.0, index.0);
    let laid = chain.map(|chain| Laid { chain, timestamp });
    Ok(EntryOf::<Types> { log_id, payload, laid })
}
