//! A member votes once in a term, and remembers it whatever becomes of its machine.

use std::collections::BTreeMap;

use raft::MemberId;
use storage::Promise;

#[derive(Default)]
pub struct Votes {
    given: BTreeMap<(MemberId, u64), MemberId>,
}

impl Votes {
    /// A member has told `candidate` that it votes for it.
    pub fn given(&mut self, voter: MemberId, term: u64, candidate: MemberId) {
        let before = *self.given.entry((voter, term)).or_insert(candidate);
        assert_eq!(before, candidate, "{voter} votes twice in term {term}");
    }

    /// This is what a member knows after a start.
    pub fn remembers(&self, voter: MemberId, promise: Promise) {
        let mut of_voter = self.given.range((voter, 0)..=(voter, u64::MAX));
        let Some(((_, term), candidate)) = of_voter.next_back() else { return };
        assert!(promise.term.0 >= *term, "{voter} has voted in term {term}, and knows {promise:?}");
        // Once somebody is known to be elected, that takes the place of a vote for another one.
        if promise.term.0 == *term && !promise.elected {
            assert_eq!(MemberId(promise.voted_for), *candidate, "{voter} knows another vote");
        }
    }
}
