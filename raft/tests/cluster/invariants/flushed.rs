//! What a member has told its leader to have is there in its next life: the leader counts on it. So is what a leader has counted on to
//! have itself.

use std::collections::BTreeMap;

use raft::MemberId;

/// An entry that a member has told its leader to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// The term of the leader.
    pub leader_term: u64,
    pub index: u64,
    /// The term of the entry.
    pub term: u64,
}

/// What is found of it after a start.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The newest term that the member knows.
    pub promised: u64,
    /// Index of the first entry that is there, and behind the last.
    pub log: (u64, u64),
    /// The term of the entry, if it is there.
    pub term: Option<u64>,
}

#[derive(Default)]
pub struct Flushed {
    newest: BTreeMap<MemberId, Told>,
}

impl Flushed {
    pub fn told(&mut self, member: MemberId, told: Told) {
        let newest = self.newest.entry(member).or_insert(told);
        *newest = told.max(*newest);
    }

    /// The newest that this member has told.
    pub fn newest(&self, member: MemberId) -> Option<Told> {
        self.newest.get(&member).copied()
    }
}

/// As long as nobody else leads, what was told stays. A later leader may have had it cut.
pub fn is_there(member: MemberId, told: Told, found: Found) {
    let (first, next) = found.log;
    if found.promised > told.leader_term || told.index < first {
        return;
    }
    assert!(next > told.index, "{member} has told {told:?}, and has {found:?}");
    assert_eq!(found.term, Some(told.term), "{member} has told {told:?}, and has {found:?}");
}
