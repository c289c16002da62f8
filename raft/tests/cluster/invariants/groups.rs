//! Who has a vote changes only when that was asked for.

use std::collections::{BTreeMap, BTreeSet};

use raft::MemberId;

type Voters = BTreeSet<MemberId>;

#[derive(Default)]
pub struct Groups {
    /// Who was to get a vote, and who was to lose it.
    promoted: Voters,
    removed: Voters,
    /// Who founded the group.
    founders: Voters,
    /// The voters that an entry names, by its term and index; none that is on the way from some to others.
    seen: BTreeMap<(u64, u64), Voters>,
}

impl Groups {
    pub fn promote(&mut self, member: MemberId) {
        self.promoted.insert(member);
    }

    pub fn remove(&mut self, member: MemberId) {
        self.removed.insert(member);
    }

    /// The members that found the group.
    pub fn founded(&mut self, voters: Voters) {
        self.promoted.extend(&voters);
        self.founders = voters;
    }

    /// How many voters there are, as long as nobody was to change that.
    pub fn unchanged(&self) -> Option<usize> {
        let unchanged = self.promoted == self.founders && self.removed.is_empty();
        unchanged.then_some(self.founders.len())
    }

    /// A member goes by what this entry says.
    pub fn seen(&mut self, (term, index): (u64, u64), voters: Voters) {
        let known = self.seen.entry((term, index)).or_insert_with(|| voters.clone());
        assert_eq!(*known, voters, "entry {index} of term {term} names others");
    }

    /// Of the entries that were committed, in their order, each names what was asked for; and who has gone never comes back.
    pub fn follow_each_other(&self, committed: &[(u64, u64)]) {
        let named = committed.iter().filter_map(|place| self.seen.get(place));
        let named: Vec<_> = named.collect();
        let mut gone = Voters::new();
        for pair in named.windows(2) {
            let mut came = pair[1].difference(pair[0]);
            let went = pair[0].difference(pair[1]);
            assert!(
                came.all(|one| self.promoted.contains(one) && !gone.contains(one))
                    && went.clone().all(|one| self.removed.contains(one)),
                "{:?} becomes {:?}, and nobody has asked for that",
                pair[0],
                pair[1]
            );
            gone.extend(went);
        }
    }
}
