//! Taking over from a leader whose process is dead.
//!
//! The death of a process is news: its machine closes its connections, and answers that nobody listens
//! ([`Peers::gone`]). Then nobody has to wait until a lease is over. But one member may see that whose own connection is
//! at fault, and a leader that lives must stay. So it asks the others. When a majority of the group sees the same, the leader has
//! nobody left to commit anything with; and the one of them with the longest log stands for election at once, as if
//! the leader had handed over to it. All others leave it to that one.
//!
//! This decides only *when* somebody stands. Who is elected, and that all that is committed is in its log, is settled by the
//! votes, as in any election; and if nobody stands here, or is elected, one takes place when the lease is over.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use futures::future::join_all;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::Fatal;
use openraft::raft::TransferLeaderRequest;
use openraft::type_config::alias::{LogIdOf, VoteOf};
use runtime::{now, sleep};

use crate::net::{Peers, Testimony};
use crate::node::{Raft, Times};
use crate::types::{MemberId, Types};

/// What the last entry of a log is, if it has any.
type Last = Option<LogIdOf<Types>>;

/// One who may take over, and asks the others when that is due.
pub(crate) struct Successor {
    raft: Raft,
    peers: Peers,
    own: MemberId,
    /// Within it the others answer.
    patience: Duration,
    /// Between two rounds of questions.
    again: Duration,
    /// After it the others hold an election in any case.
    limit: Duration,
}

/// What is next for one who sees that the leader is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// To stand for election.
    Stand,
    /// To leave it to this one, who has more of the log.
    Leave(MemberId),
    /// To ask again: too few see the same.
    Ask,
}

impl Successor {
    pub(crate) fn new(raft: Raft, peers: Peers, times: Times) -> Self {
        let own = peers.facts().store;
        let raft_of_witness = raft.clone();
        peers.attest(Rc::new(move |leader| {
            let raft = raft_of_witness.clone();
            Box::pin(async move {
                let (vote, last) = position(&raft).await.map_err(|error| error.to_string())?;
                Ok(if vote == leader { Testimony::Seen(last) } else { Testimony::NotSeen })
            })
        }));
        Self {
            raft,
            peers,
            own,
            patience: times.election.0 / 2,
            again: times.heartbeat / 4,
            limit: 2 * times.election.1,
        }
    }

    /// Sees to it whenever a member is gone, for as long as the core lives.
    pub(crate) async fn run(self) {
        let mut gone = self.peers.gone();
        loop {
            let is_anybody = !gone.borrow_and_see().is_empty();
            if is_anybody && self.succeed().await.is_err() {
                return;
            }
            if gone.changed().await.is_err() {
                return;
            }
        }
    }

    /// Until the leader that is gone is none any more, or an election is due anyway.
    async fn succeed(&self) -> Result<(), Fatal<Types>> {
        let end = now() + self.limit;
        let mut told = false;
        while now() < end {
            let Some((leader, last)) = self.orphaned().await? else { return Ok(()) };
            match self.ask(&leader, last).await {
                Some(Step::Stand) => {
                    tracing::info!(
                        group = %self.peers.facts().group,
                        leader = %self.peers.name_of(leader.leader_id.voted_for), term = leader.leader_id.term,
                        "the process of the leader is gone, a majority sees it: this member stands for election at once"
                    );
                    let stands = TransferLeaderRequest::new(leader, self.own, last);
                    if let Err(refused) = self.raft.handle_transfer_leader(stands).await? {
                        tracing::debug!("not now: {refused}");
                    }
                }
                Some(Step::Leave(to)) if !told => {
                    told = true;
                    tracing::debug!(%to, "the process of the leader is gone: another one takes over");
                }
                Some(Step::Leave(_) | Step::Ask) => {}
                None => return Ok(()),
            }
            sleep(self.again).await;
        }
        Ok(())
    }

    /// Whom this member follows, and what its log ends with, if the process of that leader is gone.
    async fn orphaned(&self) -> Result<Option<(VoteOf<Types>, Last)>, Fatal<Types>> {
        let (vote, last) = position(&self.raft).await?;
        let leader = vote.leader_id.voted_for;
        let is_gone = self.peers.gone().borrow().contains_key(&leader);
        Ok((vote.committed && leader != self.own && is_gone).then_some((vote, last)))
    }

    /// Asks all others who have a vote; `None` if this member has none.
    async fn ask(&self, leader: &VoteOf<Types>, last: Last) -> Option<Step> {
        let groups = {
            let metrics = self.raft.metrics();
            let known = metrics.borrow_watched();
            known.membership_config.membership().get_joint_config().clone()
        };
        let voters: BTreeSet<MemberId> = groups.iter().flatten().copied().collect();
        if !voters.contains(&self.own) {
            return None;
        }
        let others =
            voters.into_iter().filter(|id| ![self.own, leader.leader_id.voted_for].contains(id));
        let asked = others.map(|id| async move {
            (id, self.peers.ask_whether_gone(id, leader, self.patience).await)
        });
        let mut seen = vec![(self.own, last)];
        for (id, answer) in join_all(asked).await {
            if let Some(Testimony::Seen(last)) = answer {
                seen.push((id, last));
            }
        }
        Some(step(self.own, &seen, &groups))
    }
}

/// Whom this member follows, or has voted for, and what its log ends with.
async fn position(raft: &Raft) -> Result<(VoteOf<Types>, Last), Fatal<Types>> {
    raft.with_raft_state(|state| (*state.vote_ref(), state.log_ids.last().copied())).await
}

/// What those come to who see the leader gone, each with what its log ends with. While the group changes there are two
/// majorities to have.
fn step(own: MemberId, seen: &[(MemberId, Last)], groups: &[BTreeSet<MemberId>]) -> Step {
    let is_majority = |group: &BTreeSet<MemberId>| {
        2 * seen.iter().filter(|(id, _)| group.contains(id)).count() > group.len()
    };
    if !groups.iter().all(is_majority) {
        return Step::Ask;
    }
    match seen.iter().max_by_key(|(id, last)| (*last, *id)) {
        Some((first, _)) if *first != own => Step::Leave(*first),
        Some(_) | None => Step::Stand,
    }
}

#[cfg(test)]
mod tests {
    use storage::StoreId;

    use super::*;

    fn id(number: u128) -> MemberId {
        MemberId(StoreId(number))
    }

    fn group(numbers: std::ops::RangeInclusive<u128>) -> BTreeSet<MemberId> {
        numbers.map(id).collect()
    }

    fn ends(term: u64, index: u64) -> Last {
        Some(LogIdOf::<Types>::new_term_index(term, index))
    }

    #[test]
    fn one_alone_sees_nothing_that_counts() {
        let one = [(id(1), ends(1, 9))];
        assert_eq!(step(id(1), &one, &[group(1..=3)]), Step::Ask);
        let two = [(id(1), ends(1, 9)), (id(2), None)];
        assert_eq!(step(id(1), &two, &[group(1..=5)]), Step::Ask);
        assert_eq!(step(id(1), &two, &[group(1..=4)]), Step::Ask, "half is no majority");
        // A group that is about to be another one.
        assert_eq!(step(id(1), &two, &[group(1..=3), group(2..=6)]), Step::Ask);
    }

    #[test]
    fn of_a_majority_one_stands_the_one_with_the_longest_log() {
        let groups = [group(1..=3)];
        let seen = |one: Last, other: Last| [(id(1), one), (id(2), other)];
        for (one, other, first) in [
            (ends(1, 9), ends(1, 8), 1),
            (ends(1, 8), ends(1, 9), 2),
            (ends(2, 3), ends(1, 9), 1),
            (None, ends(1, 0), 2),
            (ends(1, 9), ends(1, 9), 2),
        ] {
            let due = |own| if own == first { Step::Stand } else { Step::Leave(id(first)) };
            let mut seen = seen(one, other);
            for own in [1, 2] {
                assert_eq!(step(id(own), &seen, &groups), due(own), "{seen:?}");
                seen.reverse();
            }
        }
    }
}
