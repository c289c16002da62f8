//! Recovering a group by force whose majority is lost for good: one member becomes the group, with what it has.
//!
//! What only the lost ones had is lost, so nothing but an operator decides it. Here is what he is told first ([`Prospect`]), when it is
//! refused ([`judge`]), and what is done to the log ([`steps`]).

mod judge;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use model::{LogIndex, Term};
use openraft::impls::leader_id_std::LeaderId;
use openraft::raft::{VoteRequest, VoteResponse};
use openraft::type_config::alias::{LogIdOf, VoteOf};
use openraft::vote::RaftVote;

pub use judge::{Judged, RefusedRecovery};
pub use steps::{Recovery, RecoveryError};

use crate::group::Group;
use crate::net::Peers;
use crate::types::{MemberId, TERM_MAX, Types};
use crate::view::View;

type LogId = LogIdOf<Types>;

/// How far above the newest term that a member knows the first one of a recovered group is. Members that were given up come to no such
/// term by elections of theirs, and NameServers believe the newer one.
const LEAP: u64 = 1 << 32;

/// What a member says who is asked how its log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// Term and index of its last entry; `None` if it has none.
    pub last: Option<(Term, LogIndex)>,
    /// It hears of a leader, or leads itself and hears of a majority.
    pub is_led: bool,
}

/// What a recovery by force would be decided from, as one member sees it.
#[derive(Clone, Debug)]
pub struct Prospect {
    /// The group as its log has it.
    pub view: View,
    /// What this member says itself.
    pub own: Said,
    /// What the others say; those are missing who do not answer.
    pub said: BTreeMap<MemberId, Said>,
    /// The last entry here.
    last: Option<LogId>,
}

impl Group {
    /// Asks all members how their logs end, and whether somebody leads. None of them changes anything for it. Whoever says nothing within
    /// `limit` does not answer. `None` if the core has ended.
    pub async fn prospect(&self, peers: &Peers, limit: Duration) -> Option<Prospect> {
        let own = self.view().own;
        let nothing = VoteRequest::new(newest(own), None);
        let last = self.raft.pre_vote(nothing).await.ok()?.last_log_id;
        let question = VoteRequest::new(newest(own), last);
        let answer = self.raft.pre_vote(question.clone()).await.ok()?;
        let (view, own_said) = (self.view(), said(&answer, last));
        let others = view.seats.keys().copied().filter(|id| *id != own);
        let asked = others.map(async |id| {
            let answer = peers.ask_for_its_end(id, &question, limit).await?;
            Some((id, said(&answer, last)))
        });
        let said = join_all(asked).await.into_iter().flatten().collect();
        Some(Prospect { view, own: own_said, said, last })
    }
}

/// A vote of which nobody knows a newer one. Who is asked how he would vote notes nothing.
fn newest(own: MemberId) -> VoteOf<Types> {
    VoteOf::<Types>::from_leader_id(LeaderId { term: TERM_MAX, voted_for: own }, false)
}

/// What an answer says to one whose log ends with `last`. Whoever would not vote for the newest term, and has no longer log, keeps
/// faith with a leader.
fn said(answer: &VoteResponse<Types>, last: Option<LogId>) -> Said {
    let is_led = !answer.vote_granted && answer.last_log_id <= last;
    Said {
        last: answer.last_log_id.map(|id| (Term(id.leader_id.term), LogIndex(id.index))),
        is_led,
    }
}

impl Prospect {
    /// Whether this member may become the group, if these are lost.
    ///
    /// # Errors
    /// [`RefusedRecovery`].
    pub fn judge(&self, lost: &BTreeSet<MemberId>) -> Result<Judged, RefusedRecovery> {
        judge::judge(&self.view, &self.own, &self.said, lost)
    }

    /// What is to be done once it may; `None` if it may not.
    #[must_use]
    pub fn recovery(&self, lost: &BTreeSet<MemberId>) -> Option<Recovery> {
        let may = self.judge(lost) == Ok(Judged::May);
        may.then(|| Recovery::of(&self.view, self.last)).flatten()
    }

    /// Entries of this member's log that are not known to be committed, and will be.
    #[must_use]
    pub fn uncommitted(&self) -> u64 {
        self.view.next.0.saturating_sub(self.view.committed.0)
    }
}
