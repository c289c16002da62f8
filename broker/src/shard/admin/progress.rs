//! How far topics (202) and groups (208) have come, and which groups consume a topic (300).

use std::collections::BTreeSet;
use std::rc::Rc;

use bytes::Bytes;
use model::{QueueId, QueueOffset};
use remoting::CommandRef;
use remoting::body::{Body, ConsumeStats, GroupList, GroupOffset, TopicOffset, TopicStatsTable};
use remoting::fastjson::{MessageQueue, MqMap};
use remoting::header::DecodeExt;
use remoting::header::topic::{ConsumeStatsHeader, TopicHeader};
use transport::Connection;

use super::super::refusals::{code_of, no_topic};
use super::super::reply::{Caller, Refusal};
use super::super::{Shard, view};
use super::answer;

/// GET_TOPIC_STATS_INFO (202). Answered when the last message of each queue has been read.
pub fn topic(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    let topic = match TopicHeader::decode(code_of(request), &request.ext) {
        Ok(header) => header.topic.to_owned(),
        Err(error) => return Refusal::from(error).send(&caller),
    };
    let (at, to) = (Rc::clone(shard), caller.clone());
    view::in_disk_read(shard, &caller, async move {
        answer(&to, topic_stats(&at, &topic).await);
    });
}

async fn topic_stats(shard: &Shard, topic: &str) -> Result<Vec<u8>, Refusal> {
    let queues = queues_of(shard, topic).ok_or_else(|| no_topic(topic))?;
    let mut offset_table = MqMap::new();
    for number in 0..queues {
        let Some(range) = shard.store.queue(topic, QueueId(number)) else { continue };
        let last = range.max.0.checked_sub(1).filter(|last| *last >= range.min.0);
        let offset = TopicOffset {
            last_update_timestamp: stored_at(shard, topic, number, last).await,
            max_offset: signed(range.max.0),
            min_offset: signed(range.min.0),
        };
        offset_table.insert(message_queue(shard, topic, number), offset);
    }
    let topic_put_tps = shard.stats.topic_rate(topic);
    Ok(TopicStatsTable { offset_table, topic_put_tps }.encode())
}

/// GET_CONSUME_STATS (208). Answered when the message before each committed offset has been read.
pub fn group(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    let header = match ConsumeStatsHeader::decode(code_of(request), &request.ext) {
        Ok(header) => header,
        Err(error) => return Refusal::from(error).send(&caller),
    };
    let group = header.consumer_group.to_owned();
    let topics = wanted_topics(shard, &header);
    let (at, to) = (Rc::clone(shard), caller.clone());
    view::in_disk_read(shard, &caller, async move {
        let stats = group_stats(&at, &group, topics).await;
        to.body(&(), &stats.encode());
    });
}

/// The topics that the request names, or all that the group has an offset in.
fn wanted_topics(shard: &Shard, header: &ConsumeStatsHeader<'_>) -> BTreeSet<String> {
    let named =
        [header.topic, header.topic_list].into_iter().flatten().flat_map(|list| list.split(';'));
    let named: BTreeSet<String> =
        named.map(str::trim).filter(|topic| !topic.is_empty()).map(str::to_owned).collect();
    if !named.is_empty() {
        return named;
    }
    let offsets = shard.offsets.borrow();
    offsets.of_group(header.consumer_group).map(|(topic, ..)| topic.to_owned()).collect()
}

async fn group_stats(shard: &Shard, group: &str, topics: BTreeSet<String>) -> ConsumeStats {
    let mut stats = ConsumeStats::default();
    for topic in topics {
        let Some(queues) = queues_of(shard, &topic) else { continue };
        if !consumes(shard, group, &topic) {
            continue;
        }
        for number in 0..queues {
            let Some(range) = shard.store.queue(&topic, QueueId(number)) else { continue };
            let committed = shard.offsets.borrow().find(group, &topic, QueueId(number));
            let committed = committed.map_or(0, |offset| offset.0);
            let last = committed.checked_sub(1).filter(|last| *last >= range.min.0);
            let offset = GroupOffset {
                broker_offset: signed(range.max.0),
                consumer_offset: signed(committed),
                last_timestamp: stored_at(shard, &topic, number, last).await,
                // What was pulled and not committed is the client's business.
                pull_offset: signed(committed),
            };
            stats.offset_table.insert(message_queue(shard, &topic, number), offset);
        }
        stats.consume_tps += shard.stats.group_rate(group, &topic);
    }
    stats
}

/// False for a topic that a connected group no longer subscribes to: its old offsets say nothing.
fn consumes(shard: &Shard, group: &str, topic: &str) -> bool {
    let clients = shard.clients.borrow();
    clients.consumers(group).is_none_or(|group| {
        group.subscriptions().is_empty() || group.subscriptions().contains_key(topic)
    })
}

/// QUERY_TOPIC_CONSUME_BY_WHO (300): groups that subscribe to the topic now, and groups with an offset in it.
pub fn groups_of_topic(
    shard: &Rc<Shard>,
    connection: &Connection,
    request: &CommandRef<'_>,
    _: Bytes,
) {
    let caller = Caller::of(connection, request);
    let header = match TopicHeader::decode(code_of(request), &request.ext) {
        Ok(header) => header,
        Err(error) => return Refusal::from(error).send(&caller),
    };
    let (clients, offsets) = (shard.clients.borrow(), shard.offsets.borrow());
    let connected = clients
        .consumer_groups()
        .filter(|(_, group)| group.subscriptions().contains_key(header.topic))
        .map(|(name, _)| name);
    let groups: BTreeSet<&str> = connected.chain(offsets.groups_of(header.topic)).collect();
    let group_list = groups.into_iter().map(str::to_owned).collect();
    caller.body(&(), &GroupList { group_list }.encode());
}

/// Queues of a topic; `None` when there is no such topic.
fn queues_of(shard: &Shard, topic: &str) -> Option<u32> {
    shard.topics.borrow().find_applied(topic).map(|topic| topic.queues())
}

/// When the message at `offset` was stored, milliseconds since 1970; 0 for no message. Also for one that cannot be
/// read, which the log says: the other queues are to be seen all the same.
async fn stored_at(shard: &Shard, topic: &str, queue: u32, offset: Option<u64>) -> i64 {
    let Some(offset) = offset else { return 0 };
    match shard.store.store_time(topic, QueueId(queue), QueueOffset(offset)).await {
        Ok(time) => time.map_or(0, |time| signed(time.0)),
        Err(error) => {
            if let Some(unreported) = shard.read_failures.may_say(runtime::now()) {
                let shard = &shard.identity.name;
                tracing::error!(
                    %shard, topic, queue, offset, %error, unreported,
                    "the time of a message cannot be read"
                );
            }
            0
        }
    }
}

fn message_queue(shard: &Shard, topic: &str, number: u32) -> MessageQueue {
    MessageQueue {
        topic: topic.to_owned(),
        broker_name: shard.identity.name.clone(),
        queue_id: i32::try_from(number).expect("topics have fewer queues"),
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
