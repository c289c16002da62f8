//! Nothing is applied before a majority has it, behind it or at it an entry of the term in which its leader leads: entries of
//! terms that are over are not committed by counting who has them.

use std::collections::BTreeMap;

use raft::MemberId;

use super::flushed::Told;
use super::leaders::Leaders;

#[derive(Default)]
pub struct Majorities {
    /// By the leader's term and by member: the newest that the member has told that leader to have.
    told: BTreeMap<u64, BTreeMap<MemberId, Told>>,
}

impl Majorities {
    /// A member tells its leader what it has.
    pub fn told(&mut self, member: MemberId, told: Told) {
        let newest = self.told.entry(told.leader_term).or_default().entry(member).or_insert(told);
        *newest = told.max(*newest);
    }

    /// Somebody applies the entry at `index` for the first time, in a group of so many voters, who never changed. Where that is one
    /// leader's doing, and it must have counted itself: what it counted on to have.
    pub fn may_apply(
        &self,
        leaders: &Leaders,
        (index, entry_term): (u64, u64),
        voters: usize,
    ) -> Option<(MemberId, Told)> {
        let others = |term: u64, by: &BTreeMap<MemberId, Told>| {
            // The leader itself tells nobody.
            let others = by.iter().filter(|(member, told)| {
                leaders.of(term) != Some(**member) && told.index >= index && told.term == term
            });
            others.count()
        };
        let counts = self.told.iter().map(|(term, by)| (*term, others(*term, by)));
        let enough: Vec<_> = counts.filter(|(_, others)| others + 1 > voters / 2).collect();
        assert!(
            !enough.is_empty(),
            "entry {index} is applied, and no leader of {voters} voters was told enough: {:?}",
            self.told.last_key_value()
        );
        let [(term, others)] = enough[..] else { return None };
        let leader = leaders.of(term).filter(|_| others <= voters / 2)?;
        Some((leader, Told { leader_term: term, index, term: entry_term }))
    }
}
