//! The apply loop: what comes back from the log, in its order.
//!
//! There is one path for what has just been committed and for what the log held at start; the only
//! difference is that nobody waits for the latter.

use std::rc::Rc;

use remoting::ResponseCode;
use storage::{Applied, AppliedRecord, Event, Events, Recovery, StoreError, Warning, What};

use super::commands::{CONSUMER_OFFSETS, CommandError, SUBSCRIPTION_GROUP};
use super::completions::{Afterwards, Completion};
use super::recovery::{self, Progress};
use super::reply::{Caller, Refusal};
use super::send::{answer_refused, lost};
use super::start::StartError;
use super::{Phase, Shard, groups, offsets, pull, register, state, topics};

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
                committed(&shard, applied).expect("a shard reads what it has just written");
            }
            Event::Failed(error) => return failed(&shard, &error),
            Event::Stopped => {
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
    let replayed = applied.replayed;
    match applied.what {
        What::Messages(records) => {
            if !replayed {
                messages(shard, &records);
            }
        }
        What::TopicPut { payload, .. } => {
            topics::applied(shard, &payload, replayed)?;
            command_done(shard, replayed);
        }
        What::TopicDeleted { name } => {
            topics::applied_delete(shard, &name, replayed);
            command_done(shard, replayed);
        }
        What::Command { kind, payload } => {
            match kind {
                SUBSCRIPTION_GROUP => groups::applied(shard, &payload, replayed)?,
                CONSUMER_OFFSETS => offsets::applied(shard, &payload, replayed)?,
                kind => return Err(CommandError::Kind(kind)),
            }
            command_done(shard, replayed);
        }
        What::Membership => {}
        What::Trimmed { .. } => command_done(shard, replayed),
    }
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
            Completion::Answer(_) | Completion::Announce(_) | Completion::Silent => {
                panic!("a message was committed where a command was appended")
            }
        };
        shard.stats.stored(&record.topic, record.size, now - since);
        let mut polls = shard.long_polls.borrow_mut();
        polls.arrived(&record.topic, record.queue, record.tag_hash, &mut woken);
        drop(polls);
        what_is_due(shard);
    }
    pull::resume(shard, woken);
}

/// A topic or a command is committed.
fn command_done(shard: &Rc<Shard>, replayed: bool) {
    if replayed {
        return;
    }
    let completion = shard.completions.borrow_mut().committed();
    match completion {
        Completion::Answer(caller) => caller.ok(&()),
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
            Self::Offset(question) => question.answer(shard),
            // Whoever waited may have gone.
            Self::Wake(waiting) => drop(waiting.send(())),
        }
    }
}

/// The log has failed: everything that waits for it is told, nothing more is taken, reads go on. The NameServers hear
/// at once that the shard takes no messages, so that producers go elsewhere.
fn failed(shard: &Rc<Shard>, error: &StoreError) {
    shard.phase.set(Phase::Failed);
    let (appends, then) = shard.completions.borrow_mut().fail();
    tracing::error!(
        shard = %shard.identity.name, %error, unanswered = appends.len(),
        "the log has failed: no more messages are taken, messages can still be read"
    );
    // NameServers look at permissions only when the version of the topics has changed.
    shard.topics.borrow_mut().changed(runtime::unix_millis());
    register::permission_changed(shard);
    let lost = lost(shard);
    for completion in appends {
        match completion {
            Completion::Message(sender) => answer_refused(shard, &sender.caller, &lost),
            Completion::InBatch(sender) => {
                if let Some(caller) = sender.give_up() {
                    answer_refused(shard, caller, &lost);
                }
            }
            Completion::Answer(caller) => refuse_command(&caller),
            Completion::OnewayMessage(_) => shard.stats.refused(),
            Completion::Announce(_) | Completion::Silent => {}
        }
    }
    for then in then {
        match then {
            Afterwards::Answer(caller) => refuse_command(&caller),
            Afterwards::Offset(question) => question.answer(shard),
            Afterwards::Wake(waiting) => drop(waiting),
        }
    }
}

fn refuse_command(caller: &Caller) {
    let remark = "service not available now. The log failed before the change was stored";
    Refusal::new(ResponseCode::ServiceNotAvailable, remark).send(caller);
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
