//! What all members of a history were seen to do, and the invariants that look at it at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raft::MemberId;

use crate::board::Board;
use crate::invariants::acknowledged::{Acknowledged, By};
use crate::invariants::entries::{Entries, Entry};
use crate::invariants::flushed::{Flushed, Told};
use crate::invariants::groups::Groups;
use crate::invariants::leaders::Leaders;
use crate::invariants::majorities::Majorities;
use crate::invariants::reads::Reads;
use crate::invariants::votes::Votes;

/// What was seen.
#[derive(Default)]
pub struct Seen {
    pub acknowledged: Acknowledged,
    pub entries: Entries,
    pub flushed: Flushed,
    pub groups: Groups,
    pub leaders: Leaders,
    pub majorities: Majorities,
    pub reads: Reads,
    pub votes: Votes,
    lives: u32,
}

/// Sees all members of a history. Clones are the same.
#[derive(Clone, Default)]
pub struct Witness(Arc<Mutex<Seen>>);

impl Witness {
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A member begins a life.
    pub fn life(&self, member: MemberId, board: Board) -> Me {
        let mut seen = self.seen();
        seen.lives += 1;
        Me { member, life: seen.lives, board, witness: self.clone() }
    }
}

/// One life of a member, before its witness.
#[derive(Clone)]
pub struct Me {
    pub member: MemberId,
    pub life: u32,
    pub board: Board,
    witness: Witness,
}

impl Me {
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.witness.seen()
    }

    /// It tells its leader what it has.
    pub fn tells(&self, told: Told) {
        let mut seen = self.seen();
        seen.flushed.told(self.member, told);
        seen.majorities.told(self.member, told);
    }

    /// It has applied an entry.
    pub fn applied(&self, index: u64, entry: Entry) {
        let mut seen = self.seen();
        if let (false, Some(voters)) = (seen.entries.is_known(index), seen.groups.unchanged()) {
            let at = (index, entry.term);
            let counted = seen.majorities.may_apply(&seen.leaders, at, voters);
            if let Some((leader, told)) = counted {
                seen.flushed.told(leader, told); // itself
            }
        }
        seen.entries.applied(self.member, self.life, index, entry);
    }

    pub fn by(&self, term: u64) -> By {
        By { member: self.member, life: self.life, term }
    }

    /// It cannot go on.
    pub fn failed(&self, why: &str) {
        self.board.notes().failed.get_or_insert_with(|| why.to_owned());
    }
}
