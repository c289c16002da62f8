//! A group of one, which a store on its own is, takes others in: all it has stays where it is, and is the beginning of the
//! group's log.
//!
//! The others get the log first, without a vote; they have one when they have all of it, so that no majority ever waits for
//! somebody who copies. Both steps are entries of the log. Whoever begins anew after a crash goes on where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::{ChangeMembers, RaftMetrics, ServerState};
use runtime::sleep;

use crate::founding::{FoundError, check_labels};
use crate::node::Raft;
use crate::types::{Member, MemberId, Types};

/// Entries that one may lack at most who gets a vote: fewer than an operator may promote with, because nobody looks on.
const NEARLY_ALL: u64 = 100;
const _: () = assert!(NEARLY_ALL <= crate::changing::MOST_BEHIND);
/// Between two looks at how far the others are.
const LOOK: Duration = Duration::from_millis(20);

/// Takes these in, this member among them, see [`crate::Group::grow`].
pub(crate) async fn grow(
    raft: &Raft,
    members: BTreeMap<MemberId, Member>,
) -> Result<(), FoundError> {
    check_labels(&members)?;
    let own = raft.metrics().borrow_watched().id;
    assert!(members.contains_key(&own), "a member takes others in, and is one of them");
    let others: BTreeSet<MemberId> = members.keys().copied().filter(|id| *id != own).collect();
    let (mine, theirs) = members.into_iter().partition(|(id, _)| *id == own);
    let names =
        ChangeMembers::Batch(vec![ChangeMembers::SetNodes(mine), ChangeMembers::AddNodes(theirs)]);
    change(raft, names).await?;
    while !have_all(&raft.metrics().borrow_watched(), &others) {
        is_alive(raft)?;
        sleep(LOOK).await;
    }
    change(raft, ChangeMembers::AddVoterIds(others)).await
}

/// Those whom a group of one is about to take in: it alone has a vote, and they do not yet.
pub(crate) fn is_taking_in(metrics: &RaftMetrics<Types>) -> BTreeMap<MemberId, Member> {
    let group = metrics.membership_config.membership();
    if *group.get_joint_config() != [BTreeSet::from([metrics.id])] {
        return BTreeMap::new();
    }
    let nodes = group.nodes().filter(|(id, _)| **id != metrics.id);
    nodes.map(|(id, member)| (*id, member.clone())).collect()
}

/// Who alone has a vote in this member's log, if that is another one.
pub(crate) fn copy_of(metrics: &RaftMetrics<Types>) -> Option<MemberId> {
    let mut voters = metrics.membership_config.voter_ids();
    let only = voters.next().filter(|_| voters.next().is_none());
    only.filter(|id| *id != metrics.id)
}

/// Whether all of them have the log, or as good as that.
fn have_all(metrics: &RaftMetrics<Types>, others: &BTreeSet<MemberId>) -> bool {
    let end = metrics.last_log_index.map_or(0, |last| last + 1);
    let Some(sent) = &metrics.replication else { return false };
    others.iter().all(|id| {
        let next = sent.get(id).and_then(Option::as_ref).map_or(0, |last| last.index + 1);
        next > 0 && end.saturating_sub(next) <= NEARLY_ALL
    })
}

/// Commits a change, as soon as this member leads: nobody else can.
async fn change(raft: &Raft, change: ChangeMembers<MemberId, Member>) -> Result<(), FoundError> {
    loop {
        if raft.metrics().borrow_watched().state == ServerState::Leader {
            match raft.change_membership(change.clone(), true).await {
                Ok(_) => return Ok(()),
                Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => {}
                Err(error) => return Err(error.into()),
            }
        }
        is_alive(raft)?;
        sleep(LOOK).await;
    }
}

fn is_alive(raft: &Raft) -> Result<(), FoundError> {
    let state = raft.metrics().borrow_watched().running_state.clone();
    state.map_err(|_| FoundError::Ended)
}
