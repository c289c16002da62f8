//! What a leader proposes gets its place in the log when the log accepts it.

use std::collections::VecDeque;

use model::{Term, UnixMillis};
use openraft::EntryPayload;
use openraft::type_config::alias::EntryOf;
use runtime::Slice;
use storage::{EntryHead, EntryKind, Placed, Placer};

use super::entry::from_parts;
use super::error::LogError;
use super::membership;
use crate::types::{Proposal, Share, Types};

/// The place of this member, if it leads.
#[derive(Default)]
pub(super) struct Placing {
    placer: Option<Placer>,
    /// Entries that are placed, and whose turn comes next.
    ready: VecDeque<(EntryHead, Slice)>,
}

/// An entry that was accepted.
pub(super) enum Accepted {
    /// With what is to be written, if that begins with it.
    Placed(Vec<Placed>, EntryOf<Types>),
    /// It is laid down when it is written.
    Copied(EntryOf<Types>),
}

impl Placing {
    /// From now on what comes from the store is placed.
    pub(super) fn lead(&mut self, placer: Placer) {
        self.placer = Some(placer);
    }

    /// From now on they are not.
    pub(super) fn follow(&mut self) {
        self.placer = None;
    }

    /// Places the next entry, if it is one of the leader that this member is. What was taken for the leader of
    /// another term, or was revoked, is nobody's any more: it becomes blank entries, and whoever appended it has been told
    /// that this member leads no more.
    pub(super) fn place(&mut self, entry: EntryOf<Types>) -> Result<Accepted, LogError> {
        let term = Term(entry.log_id.leader_id.term);
        if self.placer.as_ref().is_some_and(|placer| placer.term() != term) {
            self.placer = None;
        }
        let Some(placer) = &mut self.placer else {
            return Ok(Accepted::Copied(or_blank(entry)));
        };
        let placed = match &entry.payload {
            EntryPayload::Blank => vec![placer.place_own(EntryKind::Blank, &[])],
            EntryPayload::Membership(group) => {
                vec![placer.place_own(EntryKind::Membership, &membership::encode(group))]
            }
            EntryPayload::Normal(Proposal::Share(share)) if share.is_of(term) => {
                place_all(placer, share)
            }
            EntryPayload::Normal(Proposal::Share(_)) => {
                vec![placer.place_own(EntryKind::Blank, &[])]
            }
            EntryPayload::Normal(Proposal::Entry(_)) => {
                return Err(LogError::Unplaced { index: entry.log_id.index });
            }
        };
        for placed in &placed {
            self.ready.extend(placed.entries());
        }
        let (head, body) =
            self.ready.pop_front().expect("all that were taken together come together");
        assert_eq!(head.index.0, entry.log_id.index, "it is placed where it was accepted");
        Ok(Accepted::Placed(placed, from_parts(head, body)?))
    }

    /// All entries that came together are placed.
    pub(super) fn settled(&self) {
        assert!(self.ready.is_empty(), "what was taken together comes together");
    }
}

/// The pieces in which it is to be written; none for the entries behind the first.
fn place_all(placer: &mut Placer, share: &Share) -> Vec<Placed> {
    let now = UnixMillis(runtime::unix_millis());
    share.take().map_or_else(Vec::new, |unplaced| placer.place(unplaced, now))
}

/// The entry, or a blank one in the place of one that is not placed.
fn or_blank(entry: EntryOf<Types>) -> EntryOf<Types> {
    let EntryPayload::Normal(Proposal::Share(share)) = &entry.payload else { return entry };
    drop(share.take());
    EntryOf::<Types> { log_id: entry.log_id, payload: EntryPayload::Blank, laid: None }
}
