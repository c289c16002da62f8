//! Clients and the groups they are in: heartbeats (34), good-byes (35), member lists (38), checks of a
//! subscription (46), and telling members that their group has changed (40).

mod heartbeat;
mod notify;
mod table;

use std::rc::Rc;

use bytes::Bytes;
use remoting::body::{Body, CheckClientConfig, ConsumerIds};
use remoting::header::DecodeExt;
use remoting::header::client::{ConsumerGroupHeader, UnregisterClientHeader};
use remoting::{CommandRef, ResponseCode};
use transport::Connection;

pub use heartbeat::heartbeat;
pub use notify::{Changes, run};
pub use table::{Client, Clients, ConsumerGroup, Full, Mode, Subscribed, Subscriptions};

use super::Shard;
use super::refusals::code_of;
use super::reply::{Caller, Refusal};
use super::subscription::Subscription;

/// UNREGISTER_CLIENT (35): the client leaves a producer group, a consumer group, or one of each.
pub fn unregister(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    match UnregisterClientHeader::decode(code_of(request), &request.ext) {
        Ok(header) => {
            let id = connection.id();
            if let Some(group) = header.producer_group {
                shard.clients.borrow_mut().producer_left(group, id);
            }
            if let Some(group) = header.consumer_group
                && shard.clients.borrow_mut().consumer_left(group, id)
            {
                shard.group_changes.note(group);
            }
            caller.ok(&());
        }
        Err(error) => Refusal::from(error).send(&caller),
    }
}

/// GET_CONSUMER_LIST_BY_GROUP (38): the ids of the members, sorted. Every member sees the same list at
/// the same time; clients share out the queues by it.
pub fn consumer_list(
    shard: &Rc<Shard>,
    connection: &Connection,
    request: &CommandRef<'_>,
    _: Bytes,
) {
    let caller = Caller::of(connection, request);
    let header = match ConsumerGroupHeader::decode(code_of(request), &request.ext) {
        Ok(header) => header,
        Err(error) => return Refusal::from(error).send(&caller),
    };
    let clients = shard.clients.borrow();
    let Some(group) = clients.consumers(header.consumer_group) else {
        let remark = format!("no consumer for this group, {}", header.consumer_group);
        return Refusal::new(ResponseCode::SystemError, remark).send(&caller);
    };
    let ids = group.ids().into_iter().map(str::to_owned).collect();
    caller.body(&(), &ConsumerIds { consumer_id_list: ids }.encode());
}

/// CHECK_CLIENT_CONFIG (46): whether this broker can serve a subscription.
pub fn check_config(_: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, body: Bytes) {
    let caller = Caller::of(connection, request);
    match check(&body) {
        Ok(()) => caller.ok(&()),
        Err(refusal) => refusal.send(&caller),
    }
}

fn check(body: &[u8]) -> Result<(), Refusal> {
    if body.is_empty() {
        return Ok(());
    }
    let wanted = CheckClientConfig::decode(body)
        .map_err(|error| Refusal::new(ResponseCode::SystemError, error.to_string()))?
        .subscription_data;
    let kind = wanted.expression_type.as_str();
    if !matches!(kind, "" | "TAG") {
        let remark = format!(
            "The broker does not support consumer to filter message by {kind}: subscribe with tags"
        );
        return Err(Refusal::new(ResponseCode::SystemError, remark));
    }
    Subscription::parse(&wanted.sub_string, Some(kind), wanted.sub_version)
        .map(drop)
        .map_err(|error| Refusal::new(ResponseCode::SubscriptionParseFailed, error.to_string()))
}

/// The connection is gone: its client leaves all its groups.
pub fn connection_closed(shard: &Rc<Shard>, connection: &Connection) {
    let changed = shard.clients.borrow_mut().connection_closed(connection.id());
    for group in &changed {
        shard.group_changes.note(group);
    }
}
