//! Entries of which the content follows from a number.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use openraft::type_config::alias::{EntryOf, LogIdOf};
use openraft::{EntryPayload, Membership};
use raft::{Content, Member, MemberId, Proposal, Types};
use runtime::Slice;
use storage::{EntryKind, StoreId};

use crate::model::Known;

const KINDS: [EntryKind; 3] = [EntryKind::Messages, EntryKind::Command, EntryKind::Topic];

pub fn id(index: u64, term: u64) -> LogIdOf<Types> {
    LogIdOf::<Types>::new_term_index(term, index)
}

/// Whether an entry is a proposal, which has a time of its own.
pub fn has_time(number: u64) -> bool {
    number % 9 > 1
}

fn group(number: u64) -> Membership<MemberId, Member> {
    let nodes: BTreeMap<_, _> = (0..=number % 5)
        .map(|member| {
            let addr = SocketAddr::from(([10, 0, 0, member as u8], number as u16));
            (MemberId(StoreId((number + member).into())), Member::new(format!("n{member}"), addr))
        })
        .collect();
    Membership::new(vec![nodes.keys().copied().collect()], nodes).expect("valid")
}

fn body(known: Known) -> Slice {
    let mut buffer = runtime::buffer(known.len);
    buffer.fill((known.number % 251) as u8);
    buffer[..8].copy_from_slice(&known.number.to_le_bytes());
    Slice::new(Rc::new(buffer), 0..known.len)
}

/// The entry at `index`; a proposal says that it was made at `time`.
pub fn entry(known: Known, index: u64, time: u64) -> EntryOf<Types> {
    let payload = match known.number % 9 {
        0 => EntryPayload::Blank,
        1 => EntryPayload::Membership(group(known.number)),
        kind => EntryPayload::Normal(Proposal::Entry(Content {
            kind: KINDS[kind as usize % KINDS.len()],
            timestamp: model::UnixMillis(time),
            records: known.number as u32,
            body: body(known),
        })),
    };
    EntryOf::<Types> { log_id: id(index, known.term), payload, laid: None }
}

/// What `found` is, if it is what `entry` makes of it. `None`: it is not.
pub fn is(known: Known, index: u64, found: &EntryOf<Types>) -> bool {
    let made = entry(known, index, known.timestamp);
    made.log_id == found.log_id
        && match (&made.payload, &found.payload) {
            (EntryPayload::Blank, EntryPayload::Blank) => true,
            (EntryPayload::Membership(made), EntryPayload::Membership(found)) => made == found,
            (EntryPayload::Normal(made), EntryPayload::Normal(found)) => {
                let (Some(made), Some(found)) = (made.content(), found.content()) else {
                    return false;
                };
                made.body[..] == found.body[..]
                    && (made.kind, made.timestamp, made.records)
                        == (found.kind, found.timestamp, found.records)
            }
            _ => false,
        }
}
