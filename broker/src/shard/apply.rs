//! The apply loop: what comes back from the log, in its order.
//!
//! There is one path for what has just been committed, for what the log held at start, and for what another member of
//! the group has appended; the only difference is who waits for it.

use std::rc::Rc;

use remoting::ResponseCode;
use storage::{Applied, AppliedRecord, Event, Events, Recovery, StoreError, Warning, What};

use super::commands::{
    CONSUMER_OFFSETS, CommandError, QUEUE_LOCKS, SUBSCRIPTION_GROUP, TOPIC_ANNOUNCED,
};
use super::completions::{Afterwards, Completion};
use super::long_poll::LongPolls;
use super::offset_questions::Mark;
use super::pull::PullRequest;
use super::recovery::{self, Progress};
use super::reply::{Caller, Refusal};
use super::send::{answer_refused, lost};
use super::start::StartError;
use super::{
    Phase, Shard, groups, locks, offset_questions, offsets, pull, register, replica, siblings,
    state, topics,
};

/// Where something that is committed comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The log held it at the start.
    Replayed,
    /// It was appended here, and somebody waits for it, or would.
    Here,
    /// It was appended by another member of the group, or here when this one led for the last time: nobody waits any more.
    Elsewhere,
}

impl Source {
    /// Whether the views of what is appended do not have it yet.
    #[must_use]
    pub fn is_foreign(self) -> bool {
        self != Self::Here
    }

    /// Whether it was not there at the start.
    #[must_use]
    pub fn is_news(self) -> bool {
        self != Self::Replayed
    }
}

/// Builds the shard's state from what the log holds.
///
/// # Errors
/// The log is damaged, or was written by another version.
pub async fn recover(shard: &Rc<Shard>, events: &mut Events) -> Result<Recovery, StartError> {
    let mut progress = Progress::new(runtime::now());
    loop {
        match events.next().await {
            Event::Committed(applied) => {
                assert!(applied.replayed, "nothing is appended before recovery has ended");
                progress.applied(&applied);
                if let Some(step) = progress.step(runtime::now()) {
                    recovery::tell(shard, &step).await;
                }
                committed(shard, applied)?;
            }
            Event::Restored(bytes) => state::restore(shard, &bytes)?,
            Event::StateWanted(wanted) => wanted.give(state::of(shard).to_bytes()),
            Event::Warned(warning) => warned(shard, &warning),
            Event::Recovered(recovery) => return Ok(recovery),
            Event::Failed(error) => return Err(error.into()),
            Event::Stopped => panic!("a store is stopped by its shard, which has not started"),
        }
    }
}

/// Takes what is committed, until the log is stopped or fails.
pub async fn run(shard: Rc<Shard>, mut events: Events) {
    loop {
        match events.next().await {
            Event::Committed(applied) => {
                assert!(!applied.replayed, "recovery has ended");
                if let Err(error) = committed(&shard, applied) {
                    return outdated(&shard, events, &error).await;
                }
            }
            Event::Failed(error) => return failed(&shard, &error),
            Event::Stopped => {
                // A member that is stopped has left office before.
                assert!(shard.completions.borrow().is_empty(), "a log stops when all is committed");
                return;
            }
            Event::StateWanted(wanted) => wanted.give(state::of(&shard).to_bytes()),
            Event::Warned(warning) => warned(&shard, &warning),
            Event::Recovered(_) | Event::Restored(_) => panic!("recovery ends once"),
        }
    }
}

fn warned(shard: &Shard, warning: &Warning) {
    tracing::warn!(shard = %shard.identity.name, "{warning}");
}

fn committed(shard: &Rc<Shard>, applied: Applied) -> Result<(), CommandError> {
    let (source, when) = (shard.source_of(&applied), applied.timestamp);
    let (term, index) = (applied.term, applied.index);
    match applied.what {
        What::Messages(records) => match source {
            Source::Replayed => {}
            Source::Here => messages(shard, &records),
            Source::Elsewhere => arrived(shard, &records),
        },
        What::TopicPut { payload, .. } => {
            topics::applied(shard, &payload, (source, when))?;
            command_done(shard, source);
        }
        What::TopicDeleted { name } => {
            topics::applied_delete(shard, &name, (source, when));
            command_done(shard, source);
        }
        What::Command { kind, payload } => {
            match kind {
                SUBSCRIPTION_GROUP => groups::applied(shard, &payload, (source, when))?,
                CONSUMER_OFFSETS => offsets::applied(shard, &payload, source)?,
                TOPIC_ANNOUNCED => siblings::applied(shard, &payload, source, (when, index))?,
                QUEUE_LOCKS => locks::applied(shard, &payload, source)?,
                kind => return Err(CommandError::Kind(kind)),
            }
            command_done(shard, source);
        }
        What::Membership => {}
        What::Trimmed { .. } => command_done(shard, source),
    }
    replica::office::took_in(shard, term, index);
    Ok(())
}

/// Messages are committed: their senders get their answers, and the pulls that wait for them too.
fn messages(shard: &Rc<Shard>, records: &[AppliedRecord]) {
    let (mut woken, now) = (Vec::new(), runtime::now());
    for record in records {
        let completion = shard.completions.borrow_mut().committed();
        let since = match completion {
            Completion::Message(sender) => {
                sender.stored(shard, record);
                sender.since
            }
            Completion::InBatch(sender) => {
                sender.stored(shard, record);
                sender.since
            }
            Completion::OnewayMessage(since) => since,
            Completion::Answer(_)
            | Completion::Locked(..)
            | Completion::Announce(_)
            | Completion::Silent => {
                panic!("a message was committed where a command was appended")
            }
        };
        shard.stats.stored(&record.topic, record.size, now - since);
        arrived_in(&mut shard.long_polls.borrow_mut(), record, &mut woken);
        what_is_due(shard);
    }
    pull::resume(shard, woken);
}

/// Messages that another member took are committed: the pulls that wait for them get their answers.
fn arrived(shard: &Rc<Shard>, records: &[AppliedRecord]) {
    let mut woken = Vec::new();
    let mut polls = shard.long_polls.borrow_mut();
    records.iter().for_each(|record| arrived_in(&mut polls, record, &mut woken));
    drop(polls);
    pull::resume(shard, woken);
}

#[expect(clippy::vec_box, reason = "held pulls are boxed, and answered so")]
fn arrived_in(polls: &mut LongPolls, record: &AppliedRecord, woken: &mut Vec<Box<PullRequest>>) {
    let (queue, message) = ((&*record.topic, record.queue), (record.queue_offset, record.tag_hash));
    polls.arrived(queue, message, woken);
}

/// A topic or a command is committed.
fn command_done(shard: &Rc<Shard>, source: Source) {
    if source != Source::Here {
        return;
    }
    let completion = shard.completions.borrow_mut().committed();
    match completion {
        Completion::Answer(_) | Completion::Locked(..) => completion.run_now(),
        // In a group the log has told them.
        Completion::Announce(_) if shard.replica.is_some() => {}
        Completion::Announce(topic) => shard.siblings.announce(&shard.identity.name, topic),
        Completion::Silent => {}
        Completion::Message(_) | Completion::InBatch(_) | Completion::OnewayMessage(_) => {
            panic!("a command was committed where a message was appended")
        }
    }
    what_is_due(shard);
}

fn what_is_due(shard: &Shard) {
    loop {
        let due = shard.completions.borrow_mut().due();
        match due {
            Some(then) => then.run(shard),
            None => return,
        }
    }
}

impl Afterwards {
    /// Does it.
    pub fn run(self, shard: &Shard) {
        match self {
            Self::Answer(caller) => caller.ok(&()),
            Self::Offsets(mark) => offset_questions::answer_until(shard, mark),
            // Whoever waited may have gone.
            Self::Wake(waiting) => drop(waiting.send(())),
        }
    }
}

/// The log has failed: everything that waits for it is told, nothing more is taken, reads go on. The NameServers hear
/// at once that the shard takes no messages, so that producers go elsewhere.
fn failed(shard: &Rc<Shard>, error: &StoreError) {
    if shard.phase.get() == Phase::Failed {
        return; // what its member came to was told before
    }
    tracing::error!(
        shard = %shard.identity.name, %error, unanswered = shard.completions.borrow().len(),
        "the log has failed: no more messages are taken, messages can still be read"
    );
    fail_stop(shard);
}

/// A leader of a newer release has written what this one does not know. What it comes to would be missing in all that is built on it,
/// so that nothing more is applied, no checkpoint is made, and the member takes part in the group no more: it must not lead it.
async fn outdated(shard: &Rc<Shard>, mut events: Events, error: &CommandError) {
    let replica = shard.replica.as_ref();
    let replica = replica.expect("a shard on its own reads what it has just written");
    tracing::error!(
        shard = %shard.identity.name, group = %replica.layout.name, %error,
        unanswered = shard.completions.borrow().len(),
        "the group's log has something that this release does not know: its leader runs a newer one. This member takes part in the \
         group no more, and takes no messages; its log is well. Install the release of the leader here, and start it again"
    );
    fail_stop(shard);
    if let Some(group) = replica.group().cloned() {
        runtime::spawn(async move { group.resign().await }).detach();
    }
    // What was under way to be applied is in nobody's way meanwhile, and a checkpoint that is due is given up with the event.
    while !matches!(events.next().await, Event::Stopped | Event::Failed(_)) {}
}

/// The member of the group is no more, though its log is well: the same as a log that has failed.
pub fn member_failed(shard: &Rc<Shard>, why: &str) {
    if shard.phase.get() == Phase::Failed {
        return;
    }
    tracing::error!(
        shard = %shard.identity.name, why, unanswered = shard.completions.borrow().len(),
        "this member of the Raft group has ended by itself, which it never should: no more messages are taken or received from \
         the leader, messages can still be read. Its log is well; start the broker again, and report this line"
    );
    fail_stop(shard);
}

/// Nothing is appended any more. One of a group leaves office as well, before anything else can happen: what was appended may
/// still be committed and come back, and nobody here waits for it any more.
fn fail_stop(shard: &Rc<Shard>) {
    shard.phase.set(Phase::Failed);
    replica::office::retire(shard);
    // NameServers look at permissions only when the version of the topics has changed.
    shard.topics.borrow_mut().changed(runtime::unix_millis());
    register::permission_changed(shard);
    let why = "The log failed before the change was stored";
    give_up(shard, &lost(shard), why);
    match &shard.replica {
        // The others may have told more than is applied here.
        Some(_) => offset_questions::hold(shard),
        None => offset_questions::answer_until(shard, Mark::LAST),
    }
}

/// Nobody here learns any more what became of what was appended: all who wait are told, senders with `lost`, others
/// `why`. Questions for offsets that were to be answered afterwards are the caller's to see to.
pub fn give_up(shard: &Shard, lost: &Refusal, why: &str) {
    let (appends, then) = shard.completions.borrow_mut().fail();
    let refuse_command = |caller: &Caller| {
        let remark = format!("service not available now. {why}");
        Refusal::new(ResponseCode::ServiceNotAvailable, remark).send(caller);
    };
    for completion in appends {
        match completion {
            Completion::Message(sender) => answer_refused(shard, &sender.caller, lost),
            Completion::InBatch(sender) => {
                if let Some(caller) = sender.give_up() {
                    answer_refused(shard, caller, lost);
                }
            }
            Completion::Answer(caller) | Completion::Locked(caller, _) => refuse_command(&caller),
            Completion::OnewayMessage(_) => shard.stats.refused(),
            Completion::Announce(_) | Completion::Silent => {}
        }
    }
    for then in then {
        match then {
            Afterwards::Answer(caller) => refuse_command(&caller),
            Afterwards::Offsets(_) => {}
            Afterwards::Wake(waiting) => drop(waiting),
        }
    }
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
