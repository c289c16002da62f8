//! Leading a group: what is appended to the store is proposed, as many entries at a time as wait.
//!
//! More is taken once this member has written what it took before: what is appended meanwhile is one entry then, and
//! one write. It is not waited for that the group commits it; how much may be under way is limited.
//!
//! A leader gives its office up by itself when it has not heard of a majority for so long that the others may have elected
//! somebody else, and when its disk stands still while a follower's does not. openraft lets it lead on until it hears of another one;
//! but whoever waits for it would wait for nothing. It leads again, in the same term, if the majority is back before
//! there is another leader, and all that it took before is applied then.
//!
//! openraft never takes back that somebody was asked to lead: from then on this member takes nothing in its term, and does not lead in
//! it again. A leader whose disk stands still has nothing to lose by that, and asks one that answers, and that has all of the log as
//! long as there is hope for such a one. One whose disk is full, or does not give what a follower lacks, leads on, and says so
//! ([`Watched::burden`]): whoever owns it can finish what is under way before another one leads.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{Either, select};
use model::{LogIndex, Term};
use openraft::async_runtime::{Instant as _, WatchReceiver};
use openraft::errors::{ClientWriteError, ForwardReason};
use openraft::{RaftMetrics, ServerState};
use runtime::channel::Notify;
use runtime::{Instant, now, sleep_until};
use storage::{Store, Unplaced};

use crate::log::{Helm, LogError};
use crate::node::Raft;
use crate::types::{MemberId, Proposal, Share, Types};

/// Bytes of the log that may be written and not committed. Beyond it nothing is proposed, and what is appended waits.
const UNCOMMITTED_MAX: u64 = 64 * 1024 * 1024;
/// Who has asked another one to lead leaves office after this, whoever leads then: openraft takes nothing from it in this term. Less
/// than what whoever asks waits for.
const ASKED: Duration = Duration::from_secs(2);
/// How often a leader looks, within its patience, at whether its disk writes.
const LOOKS: u32 = 4;
/// A disk that has been full for so long does not get room by itself, as it does when a segment has just been trimmed.
const FULL: Duration = Duration::from_secs(10);
/// A leader whose disk has stood still for so many times its patience waits no more for a follower to have all of its log.
const HOPE: u32 = 3;
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
    /// How often this member has begun to lead, and from which entry on it did at last.
    begun: Rc<Cell<(u64, LogIndex)>>,
    /// Why another one should lead.
    burden: Rc<Cell<Option<&'static str>>>,
    /// The term in which this member last asked another one to lead, and when it first did.
    asked: Rc<Cell<Option<(Term, Instant)>>>,
    changed: Rc<Notify>,
}

impl Watched {
    pub(crate) fn new() -> Self {
        let (role, begun) = (Cell::new(Role::Following(None)), Cell::new((0, LogIndex(0))));
        let (role, begun) = (Rc::new(role), Rc::new(begun));
        Self { role, begun, burden: Rc::default(), asked: Rc::default(), changed: Rc::default() }
    }

    pub(crate) fn role(&self) -> Role {
        self.role.get()
    }

    /// How often this member has begun to lead; and the index behind the last entry that was there when it did at last.
    pub(crate) fn begun(&self) -> (u64, LogIndex) {
        self.begun.get()
    }

    /// Why another one should lead, who may be better off; `None` if all is well, or this member does not lead.
    pub(crate) fn burden(&self) -> Option<&'static str> {
        self.burden.get()
    }

    /// Another one is asked to lead by this member, which leads in this term, as openraft has it.
    pub(crate) fn asks(&self, term: Term) {
        if self.asked.get().is_none_or(|(asked, _)| asked < term) {
            self.asked.set(Some((term, now())));
        }
    }

    /// When it first did so in this term.
    fn asked_in(&self, term: Term) -> Option<Instant> {
        self.asked.get().filter(|(asked, _)| *asked == term).map(|(_, at)| at)
    }

    fn begin(&self, term: Term, from: LogIndex) {
        self.begun.set((self.begun.get().0 + 1, from));
        self.set(Role::Leading(term));
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
    /// A leader that has heard of no majority for so long, or written nothing of what waits, gives its office up.
    pub patience: Duration,
    pub burden: Burden,
}

/// What is wrong with a leader that leads on.
#[derive(Default)]
pub(crate) struct Burden {
    full_since: Cell<Option<Instant>>,
}

impl Burden {
    /// Why somebody else should lead now: the disk is full, as it has been for a while, or does not give what a follower lacks.
    fn why(&self, is_full: bool, unreadable_since: Option<Instant>) -> Option<&'static str> {
        let full_since = is_full.then(|| self.full_since.get().unwrap_or_else(now));
        self.full_since.set(full_since);
        match (full_since, unreadable_since) {
            (_, Some(_)) => Some("a follower lacks entries that cannot be read here"),
            (Some(since), None) if since.elapsed() >= FULL => Some("the disk is full"),
            (Some(_) | None, None) => None,
        }
    }
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
            if leads.is_some() {
                runtime::sleep(AGAIN).await; // whoever watches the role sees that it was given up
            }
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }

    /// Leads as long as the term goes on and the office is not given up.
    async fn lead(&self, term: Term) {
        let is_fit = || self.deaf_at() > now() && self.stuck_at() > now();
        // Whom it asked may lead any moment, and until then nobody takes anything in this term.
        if self.deaf_at() <= now() || self.role.asked_in(term).is_some() {
            return;
        }
        // Its disk may not even take its first entry; or it stands still since before the majority was lost, and is back.
        let (stuck, taking) = (pin!(self.stuck(term)), pin!(self.take_helm(term)));
        let takes_it = matches!(select(stuck, taking).await, Either::Right((true, _)));
        if takes_it && is_fit() {
            self.role.begin(term, self.helm.end());
            let (proposing, over) = (pin!(self.propose_all(term)), pin!(self.over(term)));
            select(select(proposing, over), pin!(self.unfit(term))).await;
            self.role.burden.set(None);
        }
        self.helm.follow();
        self.store.refuse_appends();
    }

    /// What operators call a member, and where it is.
    fn name_of(&self, id: MemberId) -> String {
        let metrics = self.raft.metrics();
        let known = metrics.borrow_watched();
        let mut nodes = known.membership_config.nodes();
        match nodes.find(|(other, _)| **other == id) {
            Some((_, member)) => format!("{} ({})", member.label, member.addr),
            None => format!("the store {id}"),
        }
    }

    /// Waits until the office is to be given up.
    async fn unfit(&self, term: Term) {
        loop {
            if self.role.asked_in(term).is_some_and(|at| at.elapsed() >= ASKED) {
                return;
            }
            if self.deaf_at() <= now() {
                tracing::warn!(
                    group = %self.helm.group(), term = term.0, limit = ?self.patience,
                    "a majority of the group has not answered for {:?}: this member leads no more until it does",
                    self.patience
                );
                return;
            }
            if self.makes_place_if_stuck(term).await {
                return;
            }
            let unreadable_since = self.helm.unreadable_since();
            self.role.burden.set(self.burden.why(self.store.stats().full, unreadable_since));
            sleep_until(self.deaf_at().min(now() + (self.patience / LOOKS).min(ASKED / 4))).await;
        }
    }

    /// Waits until the disk has stood still for too long, and somebody else was asked to lead.
    async fn stuck(&self, term: Term) {
        while !self.makes_place_if_stuck(term).await {
            runtime::sleep(self.patience / LOOKS).await;
        }
    }

    /// Asks a follower to lead that has written more, if the disk here has stood still for too long; whether it did.
    async fn makes_place_if_stuck(&self, term: Term) -> bool {
        if self.stuck_at() > now() {
            return false;
        }
        let Some(to) = self.ahead() else { return false };
        tracing::warn!(
            group = %self.helm.group(), term = term.0, to = %self.name_of(to),
            "the disk has written nothing for {:?}, and another member's has: leadership is handed over",
            self.patience
        );
        self.role.asks(term);
        // An error says that the core has ended.
        drop(self.raft.trigger().transfer_leader(to).await);
        true
    }

    /// When the others may have elected somebody else, unless this member hears of a majority before.
    fn deaf_at(&self) -> Instant {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let is_alone = metrics.membership_config.voter_ids().nth(1).is_none();
        let heard = metrics.last_quorum_acked.filter(|_| !is_alone);
        let ago = heard.map_or(Duration::ZERO, |heard| heard.elapsed());
        now() + self.patience - ago.min(self.patience)
    }

    /// When the disk has stood still for too long, unless it writes before.
    fn stuck_at(&self) -> Instant {
        self.helm.waiting_since().unwrap_or_else(now) + self.patience
    }

    /// The follower that is to lead instead of this member, whose disk stands still: one with all of the log; after a while also
    /// one that has what is written here. He may be refused, and the others elect somebody then.
    fn ahead(&self) -> Option<MemberId> {
        let last = self.helm.end().0.saturating_sub(1);
        let has_all = self.most_of_the_log(last.max(self.helm.written_end().0));
        let is_hopeless = self.stuck_at() + self.patience * (HOPE - 1) <= now();
        let has_enough = || self.most_of_the_log(self.helm.written_end().0);
        has_all.or_else(|| is_hopeless.then(has_enough).flatten())
    }

    /// The voter that has the most of the log, if he has the entry at `least`; of those who have answered a while ago at most.
    fn most_of_the_log(&self, least: u64) -> Option<MemberId> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let voters: Vec<MemberId> = metrics.membership_config.voter_ids().collect();
        let heard = metrics.heartbeat.iter().flatten();
        let heard = heard.filter(|(_, at)| at.is_some_and(|at| at.elapsed() <= self.patience));
        let heard: Vec<MemberId> = heard.map(|(id, _)| *id).collect();
        let others = metrics.replication.iter().flatten();
        let others = others
            .filter(|(id, _)| **id != metrics.id && voters.contains(id) && heard.contains(id));
        let (id, matched) = others.max_by_key(|(_, matched)| **matched)?;
        matched.as_ref().is_some_and(|matched| matched.index >= least).then_some(*id)
    }

    /// Waits until this member may lead in `term`, for which all that is in its log has to be applied; false if the term is
    /// over before.
    async fn take_helm(&self, term: Term) -> bool {
        loop {
            let moves = self.store.moves();
            let (asking, over) = (pin!(self.helm.lead(term)), pin!(self.over(term)));
            match select(asking, over).await {
                Either::Left((true, _)) => return true,
                Either::Left((false, _)) => {}
                Either::Right(_) => return false,
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
        let _revoked = Revoked(&share);
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

/// Revokes what the log has not accepted when it is dropped: it may be on its way there.
struct Revoked<'a>(&'a Share);

impl Drop for Revoked<'_> {
    fn drop(&mut self) {
        self.0.revoke();
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
pub(crate) fn read(metrics: &RaftMetrics<Types>) -> (Option<Term>, Option<MemberId>) {
    let leads = metrics.state == ServerState::Leader;
    (leads.then_some(Term(metrics.current_term)), metrics.current_leader)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use runtime::sim::Simulation;
    use runtime::sleep;

    use super::*;

    #[test]
    fn a_leader_says_what_is_wrong_with_it_once_that_has_lasted() {
        let simulation = Simulation::new(1);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        let life = node.start("leader", || async {
            let burden = Burden::default();
            assert_eq!(burden.why(false, None), None);
            assert_eq!(burden.why(true, None), None, "it may get room in a moment");
            sleep(FULL / 2).await;
            assert_eq!(burden.why(false, None), None, "and has");
            sleep(FULL / 2).await;
            assert_eq!(burden.why(true, None), None, "full again, for the first time");
            sleep(FULL).await;
            assert_eq!(burden.why(true, None), Some("the disk is full"));
            let unreadable = burden.why(false, Some(now()));
            assert!(unreadable.is_some_and(|why| why.contains("cannot be read")), "at once");
        });
        simulation.join(life, Duration::from_secs(600)).expect("it ends");
    }
}
