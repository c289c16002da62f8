//! A group as one of its members sees it, and what it can be asked to do.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{LogIndex, Term};
use openraft::async_runtime::{Instant, WatchReceiver};
use openraft::errors::{Fatal, LinearizableReadError, RaftError};
use openraft::{Membership, RaftMetrics, ReadPolicy};
use runtime::channel::Flag;
use thiserror::Error;

use crate::changing::Busy;
use crate::founding::{self, FoundError};
use crate::given_up::GivenUp;
use crate::growing;
use crate::leading::{self, Role, Watched};
use crate::lineage::Lineage;
use crate::log::membership;
use crate::net::Standing;
use crate::node::Raft;
use crate::types::{Member, MemberId, Types};
use crate::view::View;

/// A member's view of its group. Clones are the same. Once the member is stopped it follows nobody, and all it is asked
/// for fails.
#[derive(Clone)]
pub struct Group {
    pub(crate) raft: Raft,
    role: Watched,
    staged: Flag,
    pub(crate) busy: Busy,
    given_up: GivenUp,
}

/// One that the leader sends its log to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follower {
    /// Who.
    pub id: MemberId,
    /// Entries before this index are in its log, and durable there.
    pub next: LogIndex,
    /// Entries of the leader's log that it does not have.
    pub behind: u64,
    /// How long ago it last answered; `None` if it never has in this term.
    pub heard: Option<Duration>,
}

/// It is not certain that this member leads.
#[derive(Clone, Debug, Error)]
#[error("it is not certain that this node leads: {0}")]
pub struct NotConfirmed(String);

impl Group {
    pub(crate) fn new(
        raft: Raft,
        role: &Watched,
        staged: &Flag,
        busy: &Busy,
        given_up: &GivenUp,
    ) -> Self {
        let (role, staged, busy) = (role.clone(), staged.clone(), busy.clone());
        Self { raft, role, staged, busy, given_up: given_up.clone() }
    }

    /// Which the group became when it was recovered by force without this member, if this member has learned so: it takes part no
    /// more, and is to be stopped.
    #[must_use]
    pub fn given_up_by(&self) -> Option<Lineage> {
        self.given_up.by()
    }

    /// Waits until this member has been given up, and its core has ended. Cancel safe.
    pub async fn given_up(&self) -> Lineage {
        self.ended().await;
        match self.given_up.by() {
            Some(by) => by,
            None => std::future::pending().await,
        }
    }

    /// Who leads, as far as this member knows.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role.role()
    }

    /// Whom this member follows, and the term in which that one leads: nobody if it leads itself, or knows of nobody who does.
    #[must_use]
    pub fn follows(&self) -> Option<(MemberId, Term)> {
        let Role::Following(Some(leader)) = self.role() else { return None };
        let of =
            |metrics: &RaftMetrics<Types>| (metrics.current_leader, Term(metrics.current_term));
        // The role is told a moment later.
        let (newest, term) = self.seen(of);
        (newest == Some(leader)).then_some((leader, term))
    }

    /// Waits until the role is another one than `last`. Cancel safe.
    pub async fn role_changed(&self, last: Role) -> Role {
        self.role.changed(last).await
    }

    /// How often this member has begun to lead, in this life; and the index behind the last entry that was there when it did for
    /// the last time: all before it are applied. It may lead twice in a term, if it gave its office up in between.
    #[must_use]
    pub fn begun(&self) -> (u64, LogIndex) {
        self.role.begun()
    }

    /// Why another member should lead, who may be better off: the disk is full, or does
    /// not give what a follower lacks. `None` if all is well, or it does not lead. It leads on until it is told to hand over.
    #[must_use]
    pub fn burden(&self) -> Option<&'static str> {
        self.role.burden()
    }

    /// The newest term that this member knows.
    #[must_use]
    pub fn term(&self) -> Term {
        Term(self.seen(|metrics| metrics.current_term))
    }

    /// Whether this member's store belongs to a group.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.seen(standing)
    }

    /// All that this member knows of the group at this moment.
    #[must_use]
    pub fn view(&self) -> View {
        self.seen(|metrics| View::of(metrics, standing(metrics)))
    }

    /// The members, this one among them, as the log names them. Empty before the group is founded.
    #[must_use]
    pub fn members(&self) -> BTreeMap<MemberId, Member> {
        self.seen(|metrics| {
            let nodes = metrics.membership_config.nodes();
            nodes.map(|(id, member)| (*id, member.clone())).collect()
        })
    }

    /// Takes part in the group no more, until the next start: the core ends. The member is to be stopped as ever.
    pub async fn resign(&self) {
        let Ok(()) = self.raft.shutdown().await;
    }

    /// Whether this member has a vote, and keeps it if a change of the members is under way. One that is on its own has it.
    #[must_use]
    pub fn has_vote(&self) -> bool {
        self.seen(|metrics| {
            let votes = last_voters(metrics.membership_config.membership(), metrics.id);
            votes || standing(metrics) == Standing::Alone
        })
    }

    /// Whether this member gets the group's log, and has no vote and never had one that is being taken from it.
    #[must_use]
    pub fn is_learner(&self) -> bool {
        self.seen(|metrics| {
            let membership = metrics.membership_config.membership();
            let is_member = membership.get_node(&metrics.id).is_some();
            is_member && !membership.voter_ids().any(|id| id == metrics.id)
        })
    }

    /// Waits until it has a vote, or has none any more: another answer of [`Group::has_vote`] than `last`. Cancel safe.
    pub async fn vote_changed(&self, last: bool) -> bool {
        // It is not told of each entry, as the other metrics are, and these are written first.
        let mut changes = self.raft.server_metrics();
        loop {
            let has_vote = self.has_vote();
            if has_vote != last {
                return has_vote;
            }
            if changes.changed().await.is_err() {
                // The core has ended, and nothing changes any more.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Those who vote and to whom this member sends its log; none unless it leads.
    #[must_use]
    pub fn followers(&self) -> Vec<Follower> {
        self.seen(|metrics| {
            let end = metrics.last_log_index.map_or(0, |last| last + 1);
            let voters: Vec<MemberId> = metrics.membership_config.voter_ids().collect();
            let sent = metrics.replication.iter().flatten();
            let voting = sent.filter(|(id, _)| **id != metrics.id && voters.contains(id));
            let of = |(id, matched): (&MemberId, &Option<_>)| {
                let next = matched.as_ref().map_or(0, |last: &LogId| last.index + 1);
                let acked = metrics.heartbeat.as_ref().and_then(|acked| *acked.get(id)?);
                let heard = acked.map(|at| at.elapsed());
                Follower { id: *id, next: LogIndex(next), behind: end.saturating_sub(next), heard }
            };
            voting.map(of).collect()
        })
    }

    /// How long ago a majority was last known to follow this member; `None` unless it leads, or if none ever did.
    #[must_use]
    pub fn majority_heard(&self) -> Option<Duration> {
        self.seen(|metrics| metrics.last_quorum_acked.map(|heard| heard.elapsed()))
    }

    /// Whether this member leads, and has not heard of a majority for longer than `limit`: the others may have elected
    /// somebody else.
    #[must_use]
    pub fn is_cut_off(&self, limit: Duration) -> bool {
        self.seen(|metrics| {
            let is_alone = metrics.membership_config.voter_ids().nth(1).is_none();
            let heard = metrics.last_quorum_acked.filter(|_| !is_alone);
            metrics.state.is_leader() && heard.is_some_and(|heard| heard.elapsed() > limit)
        })
    }

    /// As [`Node::found`](crate::Node::found).
    ///
    /// # Errors
    /// [`FoundError`]; nothing is founded then.
    pub async fn found(&self, members: BTreeMap<MemberId, Member>) -> Result<(), FoundError> {
        founding::found(&self.raft, members).await
    }

    /// Takes these into a group of which this member is the only one, it among them: a store that was on its own becomes the first
    /// member, with all that it has. Each of the others must be empty. Returns when all have the log, and a vote; it may be
    /// asked for again after it was given up, and goes on then. Cancel safe.
    ///
    /// # Errors
    /// [`FoundError`].
    ///
    /// # Panics
    /// When this one is not among the members.
    pub async fn grow(&self, members: BTreeMap<MemberId, Member>) -> Result<(), FoundError> {
        growing::grow(&self.raft, members).await
    }

    /// Those whom this member, which alone has a vote, is about to take in: it was interrupted.
    #[must_use]
    pub fn is_taking_in(&self) -> BTreeMap<MemberId, Member> {
        self.seen(growing::is_taking_in)
    }

    /// Asks a follower to lead. Whether it does shows in the role. This cannot be taken back: in this term the member proposes
    /// nothing more and sends no heartbeats, and if the follower is gone, or lacks an entry, the others elect somebody once they have
    /// heard nothing for long enough. So ask first only one that answers and has all of the log ([`Group::followers`]), and finish what
    /// is under way before. If that one does not take over, others that have all of it may be asked in the same term: votes decide.
    ///
    /// # Errors
    /// The core has ended.
    pub async fn hand_over(&self, to: MemberId) -> Result<(), Fatal<Types>> {
        if let (Some(term), _) = self.seen(leading::read) {
            self.role.asks(term);
        }
        self.raft.trigger().transfer_leader(to).await
    }

    /// Makes sure that this member leads, by asking the others: one round on the network. All that was committed before
    /// is applied to the store when it returns.
    ///
    /// # Errors
    /// [`NotConfirmed`]: it does not lead, or a majority cannot be reached.
    pub async fn confirm(&self) -> Result<(), NotConfirmed> {
        let confirmed = self.raft.ensure_linearizable(ReadPolicy::ReadIndex).await;
        let told = |error: RaftError<Types, LinearizableReadError<Types>>| error.to_string();
        confirmed.map(drop).map_err(|error| NotConfirmed(told(error)))
    }

    /// Waits until openraft's core is gone, and says why: it follows and leads no more, whatever the store does. Cancel safe.
    pub async fn ended(&self) -> String {
        // It is not told of each entry, as the other metrics are.
        let mut changes = self.raft.server_metrics();
        while changes.changed().await.is_ok() {}
        self.seen(|metrics| match &metrics.running_state {
            Ok(()) => "it does not say why".to_owned(),
            Err(why) => why.to_string(),
        })
    }

    /// Waits until a snapshot has come that takes the place of this member's log: see
    /// [`Node::wants_restart`](crate::Node::wants_restart). Cancel safe.
    pub async fn restart_wanted(&self) {
        self.staged.raised().await;
    }

    pub(crate) fn seen<T>(&self, read: impl FnOnce(&RaftMetrics<Types>) -> T) -> T {
        let metrics = self.raft.metrics();
        let seen = metrics.borrow_watched();
        read(&seen)
    }
}

type LogId = openraft::type_config::alias::LogIdOf<Types>;

/// Whether this one is among the voters that remain.
fn last_voters(membership: &Membership<MemberId, Member>, id: MemberId) -> bool {
    membership.get_joint_config().last().is_some_and(|voters| voters.contains(&id))
}

/// Whether the store of this member belongs to a group. One that has voted does, though it may not have the group's first
/// entry yet.
pub(crate) fn standing(metrics: &RaftMetrics<Types>) -> Standing {
    let has_group = metrics.membership_config.nodes().next().is_some();
    // Another one's log begins like that, too, and this member may have the beginning of it.
    let alone = membership::alone(metrics.membership_config.membership());
    let is_alone = alone == Some(metrics.id);
    match metrics.last_log_index {
        _ if is_alone => Standing::Alone,
        _ if has_group => Standing::Member,
        Some(_) => Standing::Alone,
        None if metrics.current_term > 0 => Standing::Member,
        None => Standing::Empty,
    }
}
