//! An entry of the log, on its way to a follower.

use std::mem::offset_of;

use model::UnixMillis;
use openraft::EntryPayload;
use openraft::type_config::alias::{EntryOf, LogIdOf};
use runtime::Slice;
use storage::EntryKind;

use super::cursor::Cursor;
use super::error::WireError;
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
    reserved: [u8; 7],
}

/// Bytes of an entry without its payload.
pub(in crate::net) const HEAD_LEN: usize = size_of::<Layout>();
const _: () = assert!(HEAD_LEN == 40 && offset_of!(Layout, timestamp) == 16);
const _: () = assert!(offset_of!(Layout, records) == 24 && offset_of!(Layout, payload_len) == 28);
const _: () = assert!(offset_of!(Layout, kind) == 32 && offset_of!(Layout, reserved) == 33);

/// Where the payload of an entry is while it is written.
enum Payload<'a> {
    Own(Vec<u8>),
    Proposal(&'a [u8]),
}

/// What openraft makes has no time and no messages of its own: they are zero on the wire.
pub(super) fn put(out: &mut Vec<u8>, entry: &EntryOf<Types>) {
    let (kind, timestamp, records, payload) = match &entry.payload {
        EntryPayload::Blank => (EntryKind::Blank, UnixMillis(0), 0, Payload::Own(Vec::new())),
        EntryPayload::Membership(group) => {
            let payload = Payload::Own(membership::encode(group));
            (EntryKind::Membership, UnixMillis(0), 0, payload)
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
    out.push(kind as u8);
    out.extend([0; 7]);
    assert_eq!(out.len() - begin, HEAD_LEN);
    out.extend_from_slice(payload);
}

/// The body of a proposal is a view of `memory`, which `from` reads.
pub(super) fn take(from: &mut Cursor<'_>, memory: &Slice) -> Result<EntryOf<Types>, WireError> {
    let (index, term) = (from.u64()?, from.u64()?);
    let (timestamp, records) = (UnixMillis(from.u64()?), from.u32()?);
    let payload_len = from.len()?;
    let kind = kind(from.u8()?)?;
    from.zeros::<7>()?;
    let range = from.range(payload_len)?;
    let log_id = LogIdOf::<Types>::new_term_index(term, index);
    let payload = match kind {
        EntryKind::Blank | EntryKind::Membership if (timestamp.0, records) != (0, 0) => {
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
    Ok(EntryOf::<Types> { log_id, payload })
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
