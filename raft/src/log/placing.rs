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
use crate::types::{Drafted, Proposal, Types};

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
    /// From now on drafts are placed.
    pub(super) fn lead(&mut self, placer: Placer) {
        self.placer = Some(placer);
    }

    /// From now on they are not.
    pub(super) fn follow(&mut self) {
        self.placer = None;
    }

    /// Places the next entry, if it is one of the leader that this member is. A draft for the leader of another term is
    /// nobody's any more: its entries become blank ones, and whoever drafted them has been told that the term is over.
    pub(super) fn place(&mut self, entry: EntryOf<Types>) -> Result<Accepted, LogError> {
        let term = Term(entry.log_id.leader_id.term);
        if self.placer.as_ref().is_some_and(|placer| placer.term() != term) {
            self.placer = None;
        }
        let Some(placer) = &mut self.placer else {
            return Ok(Accepted::Copied(without_draft(entry)));
        };
        let placed = match &entry.payload {
            EntryPayload::Blank => vec![placer.place_own(EntryKind::Blank, &[])],
            EntryPayload::Membership(group) => {
                vec![placer.place_own(EntryKind::Membership, &membership::encode(group))]
            }
            EntryPayload::Normal(Proposal::Draft(drafted)) if drafted.term() == term => {
                place_draft(placer, drafted)
            }
            EntryPayload::Normal(Proposal::Draft(_)) => {
                vec![placer.place_own(EntryKind::Blank, &[])]
            }
            EntryPayload::Normal(Proposal::Entry(_)) => {
                return Err(LogError::Unplaced { index: entry.log_id.index });
            }
        };
        for placed in &placed {
            self.ready.extend(placed.entries());
        }
        let (head, body) = self.ready.pop_front().expect("all entries of a draft come together");
        assert_eq!(head.index.0, entry.log_id.index, "it is placed where it was accepted");
        Ok(Accepted::Placed(placed, from_parts(head, body)?))
    }

    /// All entries that came together are placed.
    pub(super) fn settled(&self) {
        assert!(self.ready.is_empty(), "the entries of a draft come together");
    }
}

/// The pieces in which it is to be written; none for the entries of a draft behind its first.
fn place_draft(placer: &mut Placer, drafted: &Drafted) -> Vec<Placed> {
    let now = UnixMillis(runtime::unix_millis());
    drafted.take().map_or_else(Vec::new, |draft| placer.place(draft, now))
}

/// The entry, or a blank one in the place of a draft.
fn without_draft(entry: EntryOf<Types>) -> EntryOf<Types> {
    let EntryPayload::Normal(Proposal::Draft(drafted)) = &entry.payload else { return entry };
    drop(drafted.take());
    EntryOf::<Types> { log_id: entry.log_id, payload: EntryPayload::Blank, laid: None }
}
