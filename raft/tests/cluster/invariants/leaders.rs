//! In a term there is one leader, it leads in one life of its, and it has all that was committed before.

use std::collections::BTreeMap;

use raft::MemberId;

use super::entries::Entries;

#[derive(Default)]
pub struct Leaders {
    members: BTreeMap<u64, MemberId>,
    lives: BTreeMap<u64, u32>,
}

impl Leaders {
    /// Somebody was told, or knows, that `leader` leads in `term`.
    pub fn heard(&mut self, term: u64, leader: MemberId) {
        let known = *self.members.entry(term).or_insert(leader);
        assert_eq!(known, leader, "two members lead in term {term}");
    }

    /// A member leads in `term`. One that was killed may have lost what it had sent, and must not lead on.
    pub fn leads(&mut self, term: u64, leader: MemberId, life: u32) {
        self.heard(term, leader);
        let known = *self.lives.entry(term).or_insert(life);
        assert_eq!(known, life, "{leader} leads in term {term} again, in another life");
    }

    /// Who leads in this term, if anybody does.
    pub fn of(&self, term: u64) -> Option<MemberId> {
        self.members.get(&term).copied()
    }

    /// The newest term in which somebody has led.
    pub fn newest(&self) -> u64 {
        self.members.last_key_value().map_or(0, |(term, _)| *term)
    }
}

/// The leader of `term`, whose log ends with the entry `last`, has what was committed in the terms before.
pub fn has_all(committed: &Entries, term: u64, last: Option<u64>) {
    let needed = committed.last_before(term);
    assert!(
        last >= needed,
        "the leader of term {term} has entries up to {last:?}, and {needed:?} was committed before"
    );
}
