//! Going into office and leaving it.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::future::{Either, select};
use model::{LogIndex, Term};
use raft::{Group, Role};
use remoting::ResponseCode;
use runtime::Instant;
use storage::Applied;

use super::super::apply::{Source, give_up};
use super::super::refusals::MAKES_PLACE;
use super::super::register::{self, Office};
use super::super::reply::Refusal;
use super::super::{Phase, Shard, offset_questions, start};
use super::Replica;

/// Pause before the system topics are tried again.
const SEED_AGAIN: Duration = Duration::from_millis(100);

impl Shard {
    /// Whether this shard is the one that takes what is to be appended: it has no group, or leads it.
    ///
    /// # Errors
    /// Code 14, which sends a producer to another broker, or to the leader once the client has asked a NameServer again.
    pub fn check_office(&self) -> Result<(), Refusal> {
        let Some(replica) = &self.replica else { return Ok(()) };
        let office = replica.in_office();
        if office.is_some_and(|term| replica.role() == Role::Leading(term)) {
            return Ok(());
        }
        let (name, group) = (&self.identity.name, &replica.layout.name);
        let who = match replica.role() {
            Role::Leading(_) => "this node was elected just now".to_owned(),
            Role::Following(Some(leader)) => format!("{} leads", replica.name_of(leader)),
            Role::Following(None) if replica.is_cut_off(self) => {
                "a majority of the members does not answer it".to_owned()
            }
            Role::Following(None) => "no leader is known at the moment".to_owned(),
        };
        let remark = format!(
            "service not available now. This node of broker {name} does not lead the group {group}: {who}. Send to the \
             leader, which registers as broker id 0"
        );
        Err(Refusal::new(ResponseCode::ServiceNotAvailable, remark))
    }

    /// Whether something may be appended now: as [`Shard::check_office`], and nobody was asked to lead with the log as it is. To be asked
    /// before each append, with nothing awaited in between.
    ///
    /// # Errors
    /// Code 14.
    pub fn check_append(&self) -> Result<(), Refusal> {
        self.check_office()?;
        if !self.replica.as_ref().is_some_and(Replica::is_closed) {
            return Ok(());
        }
        let name = &self.identity.name;
        let remark =
            format!("service not available now. broker {name} takes nothing: {MAKES_PLACE}");
        Err(Refusal::new(ResponseCode::ServiceNotAvailable, remark))
    }

    /// Makes sure that nobody else takes anything: the shard has no group, or leads it, and a majority of the others says so, asked after
    /// this was. All that was committed before is applied here then. One round on the network; false if it is not over by `end`, or
    /// the office is: what others have committed may never come to be applied by a leader whose disk stands still.
    pub async fn is_certain(&self, end: Instant) -> bool {
        let Some(replica) = &self.replica else { return true };
        let (Some(group), Some(office)) = (replica.group(), replica.in_office()) else {
            return false;
        };
        let (confirming, deposed) =
            (pin!(group.confirm()), pin!(group.role_changed(Role::Leading(office))));
        let left = end.saturating_since(runtime::now());
        let confirmed = runtime::timeout(left, select(confirming, deposed)).await;
        let is_confirmed = matches!(confirmed, Ok(Either::Left((Ok(()), _))));
        is_confirmed && replica.in_office() == Some(office) && self.check_office().is_ok()
    }

    /// Where something that is committed comes from. What was appended here counts as such only in the office in which it
    /// was: nobody waits for it later.
    pub(in crate::shard) fn source_of(&self, applied: &Applied) -> Source {
        let in_office = |replica: &Replica| replica.in_office() == Some(applied.term);
        match &self.replica {
            _ if applied.replayed => Source::Replayed,
            Some(replica) if !applied.here || !in_office(replica) => Source::Elsewhere,
            Some(_) | None => Source::Here,
        }
    }

    /// As which replica the shard registers; not at all without a vote in its group: it has no part of the group's log, or only the
    /// beginning, or gets no more of it, and consumers are not to come to it.
    #[must_use]
    pub fn register_as(&self) -> Option<Office> {
        let has_vote = |replica: &Replica| replica.group().is_some_and(Group::has_vote);
        let is_to_be_found = self.replica.as_ref().is_none_or(has_vote);
        is_to_be_found.then(|| self.present_office())
    }

    /// As which replica it would register if it has a vote. One that was elected and has heard of no majority for so long that
    /// somebody else may lead by now says that it follows: NameServers of 4.9.8 believe whoever said last that he is broker 0.
    #[must_use]
    pub fn present_office(&self) -> Office {
        let Some(replica) = &self.replica else { return Office { broker_id: 0, term: 0 } };
        match replica.office.get() {
            Some(Term(term)) if !replica.is_cut_off(self) => {
                Office { broker_id: 0, term: i64::try_from(term).unwrap_or(i64::MAX) }
            }
            Some(_) | None => {
                Office { broker_id: replica.layout.own().follower_id.into(), term: 0 }
            }
        }
    }

    /// Whether it is in office, and has heard of no majority for that long.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        let in_doubt =
            |replica: &Replica| replica.office.get().is_some() && replica.is_cut_off(self);
        self.replica.as_ref().is_some_and(in_doubt)
    }
}

/// The shard has taken in this entry.
pub fn took_in(shard: &Rc<Shard>, term: Term, index: LogIndex) {
    let Some(replica) = &shard.replica else { return };
    let before = replica.taken_in.replace((term, index.next()));
    assert!(before.0 <= term && before.1 <= index, "terms never fall along the log");
    let waits = || replica.in_office().is_none() && matches!(replica.role(), Role::Leading(_));
    if before.0 < term || waits() {
        settle(shard);
    }
}

/// Goes into office or leaves it, as the role and what was taken in have it.
pub fn settle(shard: &Rc<Shard>) {
    let Some(replica) = &shard.replica else { return };
    let role = if replica.retired.get() { Role::Following(None) } else { replica.role() };
    let (stint, from) = replica.group().map_or((0, LogIndex(0)), Group::begun);
    let (now, due) = (replica.office.get(), office(role, from, replica.taken_in.get()));
    if now == due && (now.is_none() || stint == replica.stint.get()) {
        return;
    }
    if let Some(term) = now {
        leave(shard, replica, term);
    }
    if let Some(term) = due {
        enter(shard, replica, (term, stint));
    }
}

/// Leaves office, for good: the shard is being stopped, or has failed.
pub fn retire(shard: &Rc<Shard>) {
    if let Some(replica) = &shard.replica {
        replica.retired.set(true);
        settle(shard);
    }
}

/// The office of one in this role who leads from the entry `from` on, and has taken in entries up to that term and index. A
/// leader's first entry comes behind all that was committed before, so whoever has taken that in knows all there is. And what was
/// appended in an earlier office of the same term is taken in before the next one begins.
fn office(role: Role, from: LogIndex, taken_in: (Term, LogIndex)) -> Option<Term> {
    match role {
        Role::Leading(term) if taken_in.0 == term && taken_in.1 >= from => Some(term),
        Role::Leading(_) | Role::Following(_) => None,
    }
}

fn enter(shard: &Rc<Shard>, replica: &Replica, (term, stint): (Term, u64)) {
    // Again in the same term, if it was given up in between.
    assert!(term >= replica.last_office.get(), "terms never fall");
    assert!(shard.completions.borrow().is_empty(), "nobody waits before an office begins");
    replica.last_office.set(term);
    replica.stint.set(stint);
    replica.office.set(Some(term));
    register::entered_office(shard);
    shard.siblings.look_again();
    tracing::debug!(shard = %shard.identity.name, %term, "in office: messages are taken");
    runtime::spawn(seed(Rc::clone(shard), term)).detach();
}

/// Whoever waits is told; what was appended and is committed all the same comes back as somebody else's.
fn leave(shard: &Rc<Shard>, replica: &Replica, term: Term) {
    replica.office.set(None);
    let unknown = shard.completions.borrow().messages();
    replica.tally.unknown.add(unknown as u64);
    let refusal = lost(shard, replica);
    let why = "This node leads its group no more; whether the change was stored is unknown. Look, and make it again";
    give_up(shard, &refusal, why);
    offset_questions::hold(shard);
    shard.topics.borrow_mut().forget_appended();
    shard.groups.borrow_mut().forget_appended();
    let pending = shard.offsets.borrow().pending();
    replica.tally.commits_dropped.add(pending as u64);
    shard.offsets.borrow_mut().forget_pending();
    shard.locks.borrow_mut().forget_appended();
    register::left_office(shard);
    let name = &shard.identity.name;
    match unknown {
        0 => tracing::debug!(shard = %name, %term, "out of office"),
        _ => tracing::info!(
            shard = %name, group = %replica.layout.name, %term, unknown,
            "this node leads no more, and so many messages were under way: their senders are told that nobody knows whether they are \
             stored. Those that are, and are sent again, are there twice"
        ),
    }
}

/// What a sender gets whose message was under way when the office ended.
fn lost(shard: &Shard, replica: &Replica) -> Refusal {
    let (name, group) = (&shard.identity.name, &replica.layout.name);
    let remark = format!(
        "service not available now. This node of broker {name} leads the group {group} no more; whether the message was \
         stored is unknown. Send it again, to the leader or to another broker"
    );
    Refusal::new(ResponseCode::ServiceNotAvailable, remark)
}

/// Creates the system topics that are missing, while this office lasts.
async fn seed(shard: Rc<Shard>, term: Term) {
    let in_office = || {
        let office = shard.replica.as_ref().and_then(|replica| replica.office.get());
        office == Some(term) && shard.phase.get() == Phase::Serving
    };
    while in_office() {
        let Err(refusal) = start::put_system_topics(&shard) else { return };
        tracing::debug!(shard = %shard.identity.name, reason = %refusal.remark, "system topics not created yet");
        runtime::sleep(SEED_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_office_begins_when_all_that_was_before_is_taken_in() {
        let of = |role, term, index| office(role, LogIndex(7), (Term(term), LogIndex(index)));
        assert_eq!(of(Role::Leading(Term(3)), 2, 7), None);
        assert_eq!(of(Role::Leading(Term(3)), 3, 6), None, "what it took before comes first");
        assert_eq!(of(Role::Leading(Term(3)), 3, 7), Some(Term(3)));
        assert_eq!(of(Role::Leading(Term(3)), 4, 9), None, "somebody else leads by now");
        assert_eq!(of(Role::Following(None), 3, 9), None);
    }
}
