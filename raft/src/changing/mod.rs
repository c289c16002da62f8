//! Changing who belongs to a group, by its leader: one change at a time, from its plan until it is committed.
//!
//! A change of those who vote is two entries of the log: one under which the old and the new voters both count, and one with
//! the new ones alone. A leader that is lost between the two leaves the group in the middle, where it goes on, and needs both
//! majorities. Whoever changes anything next ends that change first, and if nobody does whoever leads then ends it by itself
//! ([`unfinished`]).

mod plan;
pub(crate) mod unfinished;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use openraft::errors::{ChangeMembershipError, ClientWriteError, ForwardReason, RaftError};
use openraft::{ChangeMembers, Precondition};

use crate::group::Group;
use crate::types::Types;
use crate::view::View;
pub use plan::{Change, ChangeError, Changed, MOST_BEHIND};
use plan::{Proposed, plan};

/// How often it is looked, within its patience, whether a member has answered.
const GLANCES: u32 = 20;

type LogId = openraft::type_config::alias::LogIdOf<Types>;

/// Whether a change is being made by this member. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Busy(Rc<Cell<bool>>);

/// As long as this lives nobody else changes anything here.
struct Turn(Busy);

impl Busy {
    fn take(&self) -> Option<Turn> {
        (!self.0.replace(true)).then(|| Turn(self.clone()))
    }

    fn is_taken(&self) -> bool {
        self.0.get()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.0.set(false);
    }
}

impl Group {
    /// Makes a change, if this member leads, and waits until it is committed. A change that a leader before has begun is
    /// ended first. A member counts as one that answers if it did within `patience`.
    ///
    /// Dropped early, the change may be made or not, and perhaps is left in the middle.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn change(
        &self,
        change: &Change,
        patience: Duration,
    ) -> Result<Changed, ChangeError> {
        let _turn = self.busy.take().ok_or(ChangeError::UnderWay)?;
        self.settle().await?;
        let begun = runtime::now();
        loop {
            let (view, at) = self.leading()?;
            match plan(&view, change, patience) {
                // Who leads for a moment only has not heard of all that answer.
                Err(ChangeError::Silent { .. }) if begun.elapsed() < patience => {
                    runtime::sleep(patience / GLANCES).await;
                }
                Err(error) => return Err(error),
                Ok(None) => return Ok(Changed::Already),
                Ok(Some(proposed)) => {
                    return self.commit(proposed, at).await.map(|()| Changed::Done);
                }
            }
        }
    }

    /// Ends a change that was left in the middle.
    async fn settle(&self) -> Result<(), ChangeError> {
        let (view, at) = self.leading()?;
        match view.voters.len() {
            0 | 1 => Ok(()),
            // Nobody more: the second set is what remains.
            _ => self.commit(ChangeMembers::AddVoterIds(BTreeSet::new()), at).await,
        }
    }

    /// What a leader decides from, and where the entry is that made the members what they are.
    fn leading(&self) -> Result<(View, Option<LogId>), ChangeError> {
        let (view, at) = self.seen(|metrics| {
            (
                View::of(metrics, crate::group::standing(metrics)),
                *metrics.membership_config.log_id(),
            )
        });
        match (view.leader == Some(view.own), view.settled) {
            (true, true) => Ok((view, at)),
            (true, false) => Err(ChangeError::UnderWay),
            (false, _) => Err(ChangeError::NotLeading),
        }
    }

    /// Proposes it, if nobody has changed anything since the entry at `at`.
    async fn commit(&self, proposed: Proposed, at: Option<LogId>) -> Result<(), ChangeError> {
        let unchanged = Precondition::LastMembershipLogId { last_membership_log_id: at };
        let committed = self.raft.change_membership_if(proposed, false, [unchanged]).await;
        committed.map(drop).map_err(reason)
    }
}

fn reason(error: RaftError<Types, ClientWriteError<Types>>) -> ChangeError {
    let RaftError::APIError(error) = error else { return ChangeError::Ended };
    match error {
        ClientWriteError::ForwardToLeader(forward) => match forward.reason {
            ForwardReason::LeaseExpired => ChangeError::Unsure,
            ForwardReason::NotLeader | ForwardReason::LeadershipTransfer => ChangeError::NotLeading,
        },
        ClientWriteError::LogEntryDiscarded(_) => ChangeError::Lost,
        ClientWriteError::PreconditionFailed(_) => ChangeError::UnderWay,
        ClientWriteError::ChangeMembershipError(error) => match error {
            ChangeMembershipError::LearnerNotFound(unknown) => {
                ChangeError::Unknown(unknown.node_id)
            }
            ChangeMembershipError::UncommittedLeaderLog(_) => ChangeError::Unsure,
            // The rest is refused by the plan, unless somebody was faster.
            _ => ChangeError::UnderWay,
        },
    }
}
