//! HEART_BEAT (34): a client says that it is alive, which groups it is in and what it subscribes to.

use std::rc::Rc;

use bytes::Bytes;
use remoting::body::{Body, ConsumerData, HeartbeatData, SubscriptionData};
use remoting::header::client::HeartbeatReply;
use remoting::{CommandRef, ResponseCode};
use runtime::channel::oneshot;
use transport::Connection;

use super::super::completions::{Afterwards, Completion};
use super::super::reply::{Caller, Refusal};
use super::super::subscription::Subscription;
use super::super::{Shard, groups, topic_rules, topics};
use super::table::{Client, Mode, Subscribed, Subscriptions};
use crate::limits::{
    MAX_CLIENT_ID, MAX_GROUP_NAME, MAX_GROUPS_A_CLIENT, MAX_HEARTBEAT_TEXT, MAX_SUBSCRIPTIONS,
};

/// Heartbeats with a fingerprint in place of the subscriptions are not served, and the reply says so, so
/// that clients send everything each time.
const REPLY: HeartbeatReply =
    HeartbeatReply { supports_v2: Some(false), subscription_changed: None };

/// Handles the request. Consumer groups that are unknown are created, with their retry topics; the answer then
/// waits until they are committed, so that whoever asks for them next finds them.
pub fn heartbeat(
    shard: &Rc<Shard>,
    connection: &Connection,
    request: &CommandRef<'_>,
    body: Bytes,
) {
    let caller = Caller::of(connection, request);
    match beat(shard, connection, request, &body) {
        Ok(Created(false)) => caller.ok(&REPLY),
        Ok(Created(true)) if caller.is_oneway() => {}
        Ok(Created(true)) => {
            let (done, committed) = oneshot();
            shard.afterwards(Afterwards::Wake(done));
            runtime::spawn(async move {
                if committed.await.is_err() {
                    tracing::debug!("the log failed; the client is a member all the same");
                }
                caller.ok(&REPLY);
            })
            .detach();
        }
        Err(refusal) => refusal.send(&caller),
    }
}

/// Whether a heartbeat has created something.
#[derive(Clone, Copy)]
struct Created(bool);

fn beat(
    shard: &Rc<Shard>,
    connection: &Connection,
    request: &CommandRef<'_>,
    body: &[u8],
) -> Result<Created, Refusal> {
    let data = HeartbeatData::decode(body)
        .map_err(|error| Refusal::new(ResponseCode::SystemError, error.to_string()))?;
    check_sizes(&data)?;
    let client = Client {
        id: Rc::from(data.client_id.as_str()),
        connection: connection.clone(),
        language: request.language,
        version: request.version,
        seen: runtime::now(),
        seen_at: runtime::unix_millis(),
    };
    let mut created = false;
    for consumer in data.consumer_data_set {
        created |= consumer_beat(shard, &client, consumer, data.without_sub)?.0;
    }
    for producer in data.producer_data_set {
        let mut clients = shard.clients.borrow_mut();
        clients.producer_seen(&producer.group_name, client.clone()).map_err(full)?;
    }
    Ok(Created(created))
}

fn full(error: super::Full) -> Refusal {
    Refusal::new(ResponseCode::SystemError, error.to_string())
}

fn consumer_beat(
    shard: &Rc<Shard>,
    client: &Client,
    consumer: ConsumerData,
    without_subscriptions: bool,
) -> Result<Created, Refusal> {
    let group = consumer.group_name.as_str();
    let retry = model::topic::retry_topic(group);
    let known = shard.groups.borrow().find_applied(group).is_some()
        && shard.topics.borrow().find_applied(&retry).is_some();
    // While the log takes nothing the client is a member all the same: its next heartbeat comes in half a minute.
    let Some(settings) = groups::find_or_create(shard, group) else {
        // The pulls of the group say what is wrong: code 26.
        tracing::debug!(group, "heartbeat of a group that does not exist and may not be created");
        return Ok(Created(false));
    };
    let retry = topic_rules::retry_topic(&retry, settings.retry_queue_nums);
    if let Err(refusal) = topics::ensure(shard, retry, Completion::Silent) {
        tracing::debug!(group, reason = %refusal.remark, "retry topic not created");
    }
    let mode = Mode {
        consume_type: consumer.consume_type,
        message_model: consumer.message_model,
        from_where: consumer.consume_from_where,
    };
    let subscriptions =
        (!without_subscriptions).then(|| subscribed(consumer.subscription_data_set));
    let mut clients = shard.clients.borrow_mut();
    let changed =
        clients.consumer_seen(group, client.clone(), mode, subscriptions).map_err(full)?;
    if changed {
        shard.group_changes.note(group);
    }
    Ok(Created(!known))
}

fn subscribed(list: Vec<SubscriptionData>) -> Subscriptions {
    let one = |data: SubscriptionData| {
        let kind = Some(data.expression_type.as_str());
        let subscription =
            Subscription::listed(&data.sub_string, kind, data.sub_version, &data.code_set);
        let subscribed = Subscribed { subscription: Rc::new(subscription), data };
        (subscribed.data.topic.clone(), Rc::new(subscribed))
    };
    list.into_iter().map(one).collect()
}

/// Refuses what would make the table grow beyond measure.
fn check_sizes(data: &HeartbeatData) -> Result<(), Refusal> {
    let too_many = |what: &str, found: usize, max: usize| {
        Err(Refusal::parameter(format!(
            "{found} {what} in one heartbeat, at most {max} are possible"
        )))
    };
    if data.client_id.is_empty() {
        return Err(Refusal::parameter("the heartbeat has no clientID"));
    }
    if data.client_id.len() > MAX_CLIENT_ID {
        return too_many("bytes of clientID", data.client_id.len(), MAX_CLIENT_ID);
    }
    let producers = data.producer_data_set.iter().map(|producer| producer.group_name.len());
    if let Some(longest) = producers.max()
        && longest > MAX_GROUP_NAME
    {
        return too_many("bytes of a producer group", longest, MAX_GROUP_NAME);
    }
    let groups = data.consumer_data_set.len() + data.producer_data_set.len();
    if groups > MAX_GROUPS_A_CLIENT {
        return too_many("groups", groups, MAX_GROUPS_A_CLIENT);
    }
    for consumer in &data.consumer_data_set {
        let subscriptions = &consumer.subscription_data_set;
        if subscriptions.len() > MAX_SUBSCRIPTIONS {
            return too_many("subscriptions of a group", subscriptions.len(), MAX_SUBSCRIPTIONS);
        }
        let longest = subscriptions.iter().map(|one| {
            let tags: usize = one.tags_set.iter().map(String::len).sum();
            one.topic.len() + one.sub_string.len() + tags + one.expression_type.len()
        });
        if let Some(longest) = longest.max()
            && longest > MAX_HEARTBEAT_TEXT
        {
            return too_many("bytes of a subscription", longest, MAX_HEARTBEAT_TEXT);
        }
    }
    Ok(())
}
