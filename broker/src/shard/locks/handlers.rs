//! LOCK_BATCH_MQ (41) and UNLOCK_BATCH_MQ (42).

use std::rc::Rc;

use bytes::Bytes;
use remoting::body::{Body, LockReply, LockRequest};
use remoting::fastjson::MessageQueue;
use remoting::{CommandRef, ResponseCode};
use transport::Connection;

use super::super::Shard;
use super::super::reply::{Caller, Refusal};
use super::Queue;
use crate::limits::{MAX_CLIENT_ID, MAX_GROUP_NAME};

/// LOCK_BATCH_MQ (41): takes or renews the locks of some queues. The answer names those that the client has
/// now; queues of another broker or of an unknown topic are not among them.
pub fn lock(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, body: Bytes) {
    let caller = Caller::of(connection, request);
    let wanted = match decode(&body) {
        Ok(wanted) => wanted,
        Err(refusal) => return refusal.send(&caller),
    };
    if let Err(refusal) = shard.check_office() {
        return refusal.send(&caller);
    }
    let now = runtime::now();
    let mut locks = shard.locks.borrow_mut();
    let mut locked = Vec::with_capacity(wanted.mq_set.len());
    for queue in wanted.mq_set {
        if let Some(ours) = ours(shard, &queue)
            && locks.lock(&wanted.consumer_group, &wanted.client_id, ours, now)
        {
            locked.push(queue);
        }
    }
    drop(locks);
    caller.body(&(), &LockReply { locked }.encode());
}

/// UNLOCK_BATCH_MQ (42): gives locks back.
pub fn unlock(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, body: Bytes) {
    let caller = Caller::of(connection, request);
    let wanted = match decode(&body) {
        Ok(wanted) => wanted,
        Err(refusal) => return refusal.send(&caller),
    };
    if let Err(refusal) = shard.check_office() {
        return refusal.send(&caller);
    }
    let mut locks = shard.locks.borrow_mut();
    for queue in wanted.mq_set {
        if let Ok(number) = u32::try_from(queue.queue_id) {
            locks.unlock(&wanted.consumer_group, &wanted.client_id, &(queue.topic, number));
        }
    }
    drop(locks);
    caller.ok(&());
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
