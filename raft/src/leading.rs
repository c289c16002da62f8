//! Leading a group: what is appended to the store is proposed, as many entries at a time as wait.
//!
//! More is taken once this member has written what it took before: what is appended meanwhile is one entry then, and
//! one write. It is not waited for that the group commits it; how much may be under way is limited.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{Either, select};
use model::Term;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, ForwardReason};
use openraft::{RaftMetrics, ServerState};
use runtime::channel::Notify;
use storage::{Store, Unplaced};

use crate::log::{Helm, LogError};
use crate::node::Raft;
use crate::types::{MemberId, Proposal, Share, Types};

/// Bytes of the log that may be written and not committed. Beyond it nothing is proposed, and what is appended waits.
const UNCOMMITTED_MAX: u64 = 64 * 1024 * 1024;
/// Time until a leader proposes again that was not sure for a moment whether it leads.
const AGAIN: Duration = Duration::from_millis(1);

/// Who leads the group, as far as this member knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// This member, in this term: its store takes appends.
    Leading(Term),
    /// Another member, or nobody that this one knows of.
    Following(Option<MemberId>),
}

/// What a member makes of its role. Clones are the same.
#[derive(Clone)]
pub(crate) struct Watched {
    role: Rc<Cell<Role>>,
    changed: Rc<Notify>,
}

impl Watched {
    pub(crate) fn new() -> Self {
        Self { role: Rc::new(Cell::new(Role::Following(None))), changed: Rc::default() }
    }

    pub(crate) fn role(&self) -> Role {
        self.role.get()
    }

    /// Waits until it is another one than `last`. Cancel safe.
    pub(crate) async fn changed(&self, last: Role) -> Role {
        loop {
            let changed = self.changed.notified();
            let role = self.role.get();
            if role != last {
                return role;
            }
            changed.await;
        }
    }

    fn set(&self, role: Role) {
        if self.role.replace(role) != role {
            self.changed.notify_all();
        }
    }
}

/// The one who leads whenever openraft says so.
pub(crate) struct Leading {
    pub raft: Raft,
    pub store: Store,
    pub helm: Helm,
    pub role: Watched,
}

impl Leading {
    /// Leads and follows until the group's core is gone.
    pub(crate) async fn run(self) {
        let mut metrics = self.raft.metrics();
        loop {
            let (leads, leader) = read(&metrics.borrow_watched());
            if let Some(term) = leads {
                self.lead(term).await;
            }
            self.role.set(Role::Following(leader.filter(|_| leads.is_none())));
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }

    /// Leads as long as the term goes on.
    async fn lead(&self, term: Term) {
        if !self.take_helm(term).await {
            return;
        }
        self.role.set(Role::Leading(term));
        let (proposing, over) = (Box::pin(self.propose_all(term)), Box::pin(self.over(term)));
        select(proposing, over).await;
        self.helm.follow();
        self.store.refuse_appends();
    }

    /// Waits until this member may lead in `term`, for which all that is in its log has to be applied; false if the term is
    /// over before.
    async fn take_helm(&self, term: Term) -> bool {
        loop {
            let moves = self.store.moves();
            if self.helm.lead(term).await {
                return true;
            }
            let (moved, over) = (Box::pin(self.store.moved(moves)), Box::pin(self.over(term)));
            if let Either::Right(_) = select(moved, over).await {
                return false;
            }
        }
    }

    /// Waits until the term is over.
    async fn over(&self, term: Term) {
        let mut metrics = self.raft.metrics();
        while read(&metrics.borrow_watched()).0 == Some(term) {
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }

    /// Proposes what is appended, until that does not go any more.
    async fn propose_all(&self, term: Term) -> Result<(), Refused> {
        loop {
            let unplaced = self.store.next_unplaced().await;
            self.propose(unplaced, term).await?;
            self.helm.drained().await?;
            self.room().await;
        }
    }

    /// Waits until more may be proposed.
    async fn room(&self) {
        loop {
            let moves = self.store.moves();
            if self.store.written().since(self.store.stats().max) <= UNCOMMITTED_MAX {
                return;
            }
            self.store.moved(moves).await;
        }
    }

    /// Proposes these entries; when this returns the log has accepted it.
    async fn propose(&self, unplaced: Unplaced, term: Term) -> Result<(), Refused> {
        let (share, count) = Share::of_all(unplaced, term);
        loop {
            let proposals = vec![Proposal::Share(share.clone()); count];
            let answers = self.raft.client_write_many(proposals).await;
            let mut answers = answers.map_err(|_| Refused)?;
            let accepted = Box::pin(share.accepted());
            match select(accepted, answers.next()).await {
                Either::Left(_) => return Ok(()),
                Either::Right((Some(Ok(Ok(_))), _)) => return Ok(()),
                Either::Right((Some(Ok(Err(error))), _)) if passes(&error) => {
                    runtime::sleep(AGAIN).await;
                }
                Either::Right(_) => return Err(Refused),
            }
        }
    }
}

/// This member cannot propose any more in its term.
struct Refused;

impl From<LogError> for Refused {
    fn from(_: LogError) -> Self {
        Self // the store has failed, and told its owner why
    }
}

/// Whether the leader refuses for a moment only, and leads still: it has not heard of enough members for a while, or is
/// handing over, which may not succeed.
fn passes(error: &ClientWriteError<Types>) -> bool {
    let ClientWriteError::ForwardToLeader(forward) = error else { return false };
    matches!(forward.reason, ForwardReason::LeaseExpired | ForwardReason::LeadershipTransfer)
}

/// The term in which this member leads, and else who does.
fn read(metrics: &RaftMetrics<Types>) -> (Option<Term>, Option<MemberId>) {
    let leads = metrics.state == ServerState::Leader;
    (leads.then_some(Term(metrics.current_term)), metrics.current_leader)
}
