//! An entry of the log, on its way to a follower.

use std::mem::offset_of;

use model::UnixMillis;
use openraft::EntryPayload;
use openraft::type_config::alias::{EntryOf, LogIdOf};
use runtime::Slice;
use storage::EntryKind;

use super::cursor::Cursor;
use super::error::WireError;
use crate::entry::Laid;
use crate::log::membership;
use crate::types::{Content, Proposal, Types};

/// What an entry begins with; its payload follows. Only its layout is used.
#[repr(C)]
struct Layout {
    index: u64,
    term: u64,
    timestamp: u64,
    records: u32,
    payload_len: u32,
    kind: u8,
    has_chain: u8,
    reserved: [u8; 2],
    chain: u32,
}

/// Bytes of an entry without its payload.
pub(in crate::net) const HEAD_LEN: usize = size_of::<Layout>();
const _: () = assert!(HEAD_LEN == 40 && offset_of!(Layout, timestamp) == 16);
const _: () = assert!(offset_of!(Layout, records) == 24 && offset_of!(Layout, payload_len) == 28);
const _: () = assert!(offset_of!(Layout, kind) == 32 && offset_of!(Layout, has_chain) == 33);
const _: () = assert!(offset_of!(Layout, reserved) == 34 && offset_of!(Layout, chain) == 36);

/// Where the payload of an entry is while it is written.
enum Payload<'a> {
    Own(Vec<u8>),
    Proposal(&'a [u8]),
}

/// What openraft makes has no messages, and a time only once it is in a log: what there is none of is zero on the wire.
pub(super) fn put(out: &mut Vec<u8>, entry: &EntryOf<Types>) {
    let laid = entry.laid.map_or(UnixMillis(0), |laid| laid.timestamp);
    let (kind, timestamp, records, payload) = match &entry.payload {
        EntryPayload::Blank => (EntryKind::Blank, laid, 0, Payload::Own(Vec::new())),
        EntryPayload::Membership(group) => {
            (EntryKind::Membership, laid, 0, Payload::Own(membership::encode(group)))
        }
        EntryPayload::Normal(proposal) => {
            let content = proposal.content().expect("what the log has accepted is placed");
            let Content { kind, timestamp, records, body } = content;
            (*kind, *timestamp, *records, Payload::Proposal(body))
        }
    };
    let payload = match &payload {
        Payload::Own(bytes) => bytes.as_slice(),
        Payload::Proposal(bytes) => bytes,
    };
    let begin = out.len();
    out.extend(entry.log_id.index.to_le_bytes());
    out.extend(entry.log_id.leader_id.term.to_le_bytes());
    out.extend(timestamp.0.to_le_bytes());
    out.extend(records.to_le_bytes());
    out.extend(u32::try_from(payload.len()).expect("an entry is far below 4 GiB").to_le_bytes());
    out.extend([kind as u8, u8::from(entry.laid.is_some()), 0, 0]);
    out.extend(entry.laid.map_or(0, |laid| laid.chain).to_le_bytes());
    assert_eq!(out.len() - begin, HEAD_LEN);
    out.extend_from_slice(payload);
}

/// The body of a proposal is a view of `memory`, which `from` reads.
pub(super) fn take(from: &mut Cursor<'_>, memory: &Slice) -> Result<EntryOf<Types>, WireError> {
    let (index, term) = (from.u64()?, from.u64()?);
    let (timestamp, records) = (UnixMillis(from.u64()?), from.u32()?);
    let payload_len = from.len()?;
    let kind = kind(from.u8()?)?;
    let chain = chain(from)?;
    let range = from.range(payload_len)?;
    let log_id = LogIdOf::<Types>::new_term_index(term, index);
    let payload = match kind {
        EntryKind::Blank | EntryKind::Membership
            if records != 0 || (chain.is_none() && timestamp.0 != 0) =>
        {
            return Err(WireError::NotZero);
        }
        EntryKind::Blank if payload_len > 0 => return Err(WireError::Long(payload_len)),
        EntryKind::Blank => EntryPayload::Blank,
        EntryKind::Membership => EntryPayload::Membership(
            membership::decode(&memory[range]).map_err(WireError::Membership)?,
        ),
        EntryKind::Messages | EntryKind::Topic | EntryKind::Command | EntryKind::Trim => {
            let body = if range.is_empty() { Slice::empty() } else { memory.slice(range) };
            EntryPayload::Normal(Proposal::Entry(Content { kind, timestamp, records, body }))
        }
    };
    let laid = chain.map(|chain| Laid { chain, timestamp });
    Ok(EntryOf::<Types> { log_id, payload, laid })
}

fn chain(from: &mut Cursor<'_>) -> Result<Option<u32>, WireError> {
    let has_chain = from.u8()?;
    from.zeros::<2>()?;
    match (has_chain, from.u32()?) {
        (0, 0) => Ok(None),
        (0, _) => Err(WireError::NotZero),
        (1, chain) => Ok(Some(chain)),
        (found, _) => Err(WireError::Case { what: "whether a chain follows", found }),
    }
}

fn kind(byte: u8) -> Result<EntryKind, WireError> {
    let all = [
        EntryKind::Membership,
        EntryKind::Messages,
        EntryKind::Topic,
        EntryKind::Command,
        EntryKind::Trim,
        EntryKind::Blank,
    ];
    let found = all.into_iter().find(|kind| *kind as u8 == byte);
    found.ok_or(WireError::Case { what: "a kind of entry", found: byte })
}
