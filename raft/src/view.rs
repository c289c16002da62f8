//! A group as one of its members sees it, at one moment: for operators, and for those who decide about its members.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{LogIndex, Term};
use openraft::async_runtime::Instant;
use openraft::{RaftMetrics, StoredMembership};

use crate::lineage::Lineage;
use crate::net::Standing;
use crate::types::{Member, MemberId, Types};

type LogId = openraft::type_config::alias::LogIdOf<Types>;

/// What a member says about an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ballot {
    /// It votes, and counts.
    Voter,
    /// It gets the log, and does not count.
    Learner,
    /// It votes already, and before a change that is under way it did not.
    Joining,
    /// It votes still, and after a change that is under way it does not.
    Leaving,
}

/// How far a replica is, as its leader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Entries before this index are in its log, and durable there as the group's flushing has it.
    pub next: LogIndex,
    /// Entries of the leader's log that it does not have.
    pub behind: u64,
    /// How long ago it last answered; `None` if it never has in this term. The leader itself answers all the time.
    pub heard: Option<Duration>,
}

/// A member and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Label and address.
    pub member: Member,
    /// Whether it votes.
    pub ballot: Ballot,
    /// How far it is; `None` unless this member leads.
    pub progress: Option<Progress>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Who looks.
    pub own: MemberId,
    /// Whether its store belongs to a group.
    pub standing: Standing,
    /// The newest term that it knows.
    pub term: Term,
    /// Who leads, as far as it knows.
    pub leader: Option<MemberId>,
    /// Index that the next entry of its log gets.
    pub next: LogIndex,
    /// Entries before this index are committed, as far as it knows.
    pub committed: LogIndex,
    /// Entries before this index are applied here.
    pub applied: LogIndex,
    /// Who votes: one set, or two while a change is under way, each of which needs a majority.
    pub voters: Vec<BTreeSet<MemberId>>,
    /// The change that made it so is committed.
    pub settled: bool,
    /// That of the group.
    pub lineage: Lineage,
    /// All members, this one among them; none before the group is founded.
    pub seats: BTreeMap<MemberId, Seat>,
}

impl View {
    pub(crate) fn of(metrics: &RaftMetrics<Types>, standing: Standing) -> Self {
        let behind = |at: Option<&LogId>| LogIndex(at.map_or(0, |at| at.index + 1));
        let membership = metrics.membership_config.membership();
        let voters: Vec<BTreeSet<MemberId>> = membership.get_joint_config().clone();
        let next = LogIndex(metrics.last_log_index.map_or(0, |last| last + 1));
        let seat = |(id, member): (&MemberId, &Member)| {
            let ballot = ballot(&voters, *id);
            (*id, Seat { member: member.clone(), ballot, progress: progress(metrics, next, *id) })
        };
        Self {
            own: metrics.id,
            standing,
            term: Term(metrics.current_term),
            leader: metrics.current_leader,
            next,
            committed: behind(metrics.local_committed.as_ref()),
            applied: behind(metrics.last_applied.as_ref()),
            settled: is_settled(&metrics.membership_config, &metrics.committed_membership_config),
            lineage: Lineage::of(membership),
            seats: membership.nodes().map(seat).collect(),
            voters,
        }
    }

    /// Whether a change of the members is under way.
    #[must_use]
    pub fn is_changing(&self) -> bool {
        !self.settled || self.voters.len() > 1
    }

    /// Voters that the group can do without, where only these answer; less than 0 if it has no majority as it is.
    #[must_use]
    pub fn spare(&self, answers: impl Fn(MemberId) -> bool) -> i64 {
        self.voters.iter().map(|set| spare(set, &answers)).min().unwrap_or(-1)
    }
}

/// Voters of this set that it can do without, where only these answer.
pub(crate) fn spare(set: &BTreeSet<MemberId>, answers: &impl Fn(MemberId) -> bool) -> i64 {
    let count = |number: usize| i64::try_from(number).expect("a group is small");
    let alive = set.iter().filter(|id| answers(**id)).count();
    count(alive) - count(set.len() / 2 + 1)
}

fn ballot(voters: &[BTreeSet<MemberId>], id: MemberId) -> Ballot {
    let before = voters.first().is_some_and(|set| set.contains(&id));
    let after = voters.last().is_some_and(|set| set.contains(&id));
    match (before, after) {
        (true, true) => Ballot::Voter,
        (true, false) => Ballot::Leaving,
        (false, true) => Ballot::Joining,
        (false, false) => Ballot::Learner,
    }
}

/// How far a replica is; nothing is known of that unless this member leads.
fn progress(metrics: &RaftMetrics<Types>, next: LogIndex, id: MemberId) -> Option<Progress> {
    let matched = metrics.replication.as_ref()?.get(&id)?;
    let has = LogIndex(matched.as_ref().map_or(0, |last: &LogId| last.index + 1));
    let acked = metrics.heartbeat.as_ref().and_then(|acked| *acked.get(&id)?);
    let heard = match id == metrics.id {
        true => Some(Duration::ZERO),
        false => acked.map(|acked| acked.elapsed()),
    };
    Some(Progress { next: has, behind: next.0.saturating_sub(has.0), heard })
}

type Stored =
    StoredMembership<openraft::type_config::alias::CommittedLeaderIdOf<Types>, MemberId, Member>;

/// Whether the newest group is committed.
fn is_settled(newest: &Stored, committed: &Stored) -> bool {
    newest.log_id() == committed.log_id()
}

#[cfg(test)]
mod tests {
    use storage::StoreId;

    use super::*;

    fn ids(numbers: impl IntoIterator<Item = u128>) -> BTreeSet<MemberId> {
        numbers.into_iter().map(|number| MemberId(StoreId(number))).collect()
    }

    fn view(voters: Vec<BTreeSet<MemberId>>) -> View {
        View {
            own: MemberId(StoreId(1)),
            standing: Standing::Member,
            term: Term(1),
            leader: None,
            next: LogIndex(0),
            committed: LogIndex(0),
            applied: LogIndex(0),
            settled: true,
            lineage: Lineage::FIRST,
            seats: BTreeMap::new(),
            voters,
        }
    }

    #[test]
    fn what_a_group_can_do_without_is_what_answers_beyond_a_majority() {
        let spare = |voters: u128, answer: u128| {
            let up = ids(1..=answer);
            view(vec![ids(1..=voters)]).spare(|id| up.contains(&id))
        };
        assert_eq!((spare(3, 3), spare(3, 2), spare(3, 1)), (1, 0, -1));
        assert_eq!((spare(1, 1), spare(2, 2), spare(4, 4), spare(5, 5)), (0, 0, 1, 2));
        assert_eq!(view(Vec::new()).spare(|_| true), -1, "there is no group");
    }

    #[test]
    fn during_a_change_both_groups_need_their_majority() {
        // Of 1, 2, 3 the third is lost and makes place for 4.
        let view = view(vec![ids(1..=3), ids([1, 2, 4])]);
        assert_eq!(view.spare(|id| id != MemberId(StoreId(3))), 0, "the old one has none to spare");
        assert_eq!(view.spare(|_| true), 1);
        assert!(view.is_changing());
        let of = |number| ballot(&view.voters, MemberId(StoreId(number)));
        assert_eq!(
            [1, 3, 4, 5].map(of),
            [Ballot::Voter, Ballot::Leaving, Ballot::Joining, Ballot::Learner]
        );
    }
}
