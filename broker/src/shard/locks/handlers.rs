//! LOCK_BATCH_MQ (41) and UNLOCK_BATCH_MQ (42).

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bytes::Bytes;
use remoting::body::{Body, LockRequest};
use remoting::fastjson::MessageQueue;
use remoting::{CommandRef, ResponseCode};
use transport::Connection;

use super::super::Shard;
use super::super::apply::Source;
use super::super::commands::{CommandError, QUEUE_LOCKS, QueueLocks};
use super::super::completions::Completion;
use super::super::refusals::check_phase;
use super::super::reply::{Caller, Refusal};
use super::Queue;
use crate::limits::{MAX_CLIENT_ID, MAX_GROUP_NAME, MAX_LOCKS_A_COMMAND};

/// LOCK_BATCH_MQ (41): takes or renews the locks of some queues. The answer names those that the client has
/// now; queues of another broker or of an unknown topic are not among them.
pub fn lock(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, body: Bytes) {
    let caller = Caller::of(connection, request);
    let wanted = match decode(&body) {
        Ok(wanted) => wanted,
        Err(refusal) => return refusal.send(&caller),
    };
    if let Err(refusal) = check_phase(shard) {
        return refusal.send(&caller);
    }
    let now = runtime::now();
    let (mut locked, mut queues) = (Vec::new(), Queues::new());
    for queue in wanted.mq_set {
        if let Some(ours) = ours(shard, &queue)
            && shard.locks.borrow_mut().may_lock(
                (&wanted.consumer_group, &wanted.client_id),
                &ours,
                locked.len(),
                now,
            )
            && queues.entry(ours.0).or_default().insert(ours.1)
        {
            locked.push(queue);
        }
    }
    let done = Completion::Locked(caller.clone(), locked);
    let who = (wanted.consumer_group, wanted.client_id);
    if let Err(refusal) = change(shard, who, true, queues, done) {
        refusal.send(&caller);
    }
}

/// UNLOCK_BATCH_MQ (42): gives locks back.
pub fn unlock(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, body: Bytes) {
    let caller = Caller::of(connection, request);
    let wanted = match decode(&body) {
        Ok(wanted) => wanted,
        Err(refusal) => return refusal.send(&caller),
    };
    if let Err(refusal) = check_phase(shard) {
        return refusal.send(&caller);
    }
    let mut queues = Queues::new();
    for queue in wanted.mq_set {
        let Ok(number) = u32::try_from(queue.queue_id) else { continue };
        let ours = (queue.topic, number);
        let locks = shard.locks.borrow();
        if locks.may_unlock(&wanted.consumer_group, &wanted.client_id, &ours) {
            queues.entry(ours.0).or_default().insert(number);
        }
    }
    let who = (wanted.consumer_group, wanted.client_id);
    let done = Completion::Answer(caller.clone());
    if let Err(refusal) = change(shard, who, false, queues, done) {
        refusal.send(&caller);
    }
}

/// Queues by topic.
type Queues = BTreeMap<String, BTreeSet<u32>>;

/// Appends a change of locks; `done` once all of it is committed, or at once if nothing changes.
///
/// # Errors
/// The log does not take it. What it has taken before of a large change stands: a lock that its client was not told of ends by itself.
fn change(
    shard: &Rc<Shard>,
    (group, client): (String, String),
    taken: bool,
    queues: Queues,
    done: Completion,
) -> Result<(), Refusal> {
    let all: Vec<Queue> = queues
        .into_iter()
        .flat_map(|(topic, numbers)| numbers.into_iter().map(move |number| (topic.clone(), number)))
        .collect();
    let mut parts = all.chunks(MAX_LOCKS_A_COMMAND).peekable();
    if parts.peek().is_none() {
        done.run_now();
        return Ok(());
    }
    let mut done = Some(done);
    while let Some(part) = parts.next() {
        let change = QueueLocks::new((&group, &client), taken, part);
        shard.store.append_command(QUEUE_LOCKS, &change.to_bytes())?;
        shard.locks.borrow_mut().appended(&change);
        let is_last = parts.peek().is_none();
        let completion = done.take_if(|_| is_last).unwrap_or(Completion::Silent);
        shard.completions.borrow_mut().push(completion);
    }
    Ok(())
}

/// A change of locks is committed.
///
/// # Errors
/// The bytes are of another version.
pub fn applied(shard: &Shard, payload: &[u8], source: Source) -> Result<(), CommandError> {
    let change = QueueLocks::from_bytes(payload)?;
    let here = !source.is_foreign();
    shard.locks.borrow_mut().applied(&change, here, runtime::now());
    Ok(())
}

fn decode(body: &[u8]) -> Result<LockRequest, Refusal> {
    let wanted = LockRequest::decode(body)
        .map_err(|error| Refusal::new(ResponseCode::SystemError, error.to_string()))?;
    if wanted.consumer_group.is_empty() || wanted.client_id.is_empty() {
        return Err(Refusal::parameter("the request names no consumerGroup or no clientId"));
    }
    let (group, client) = (wanted.consumer_group.len(), wanted.client_id.len());
    if group > MAX_GROUP_NAME || client > MAX_CLIENT_ID {
        let remark = format!(
            "consumerGroup is {group} bytes long and clientId {client}, at most {MAX_GROUP_NAME} and \
             {MAX_CLIENT_ID} are possible"
        );
        return Err(Refusal::parameter(remark));
    }
    Ok(wanted)
}

/// The queue, if this shard has it.
fn ours(shard: &Shard, queue: &MessageQueue) -> Option<Queue> {
    let number = u32::try_from(queue.queue_id).ok()?;
    let topics = shard.topics.borrow();
    let topic = topics.find_applied(&queue.topic)?;
    let ours = queue.broker_name == shard.identity.name && number < topic.queues();
    ours.then(|| (queue.topic.clone(), number))
}
