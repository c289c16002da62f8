//! Who is connected: consumers (203) and producers (204) of a group.

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use remoting::body::{Body, ConsumerConnection, PeerConnection};
use remoting::header::DecodeExt;
use remoting::header::client::ConsumerGroupHeader;
use remoting::{CommandRef, ResponseCode};
use serde::Serialize;
use transport::Connection;

use super::super::Shard;
use super::super::clients::Client;
use super::super::refusals::code_of;
use super::super::reply::{Caller, Refusal};
use super::answer;

/// GET_CONSUMER_CONNECTION_LIST (203).
pub fn consumers(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    let body = ConsumerGroupHeader::decode(code_of(request), &request.ext)
        .map_err(Refusal::from)
        .and_then(|header| consumers_of(shard, header.consumer_group));
    answer(&caller, body);
}

fn consumers_of(shard: &Shard, group: &str) -> Result<Vec<u8>, Refusal> {
    let clients = shard.clients.borrow();
    let members = clients.consumers(group).ok_or_else(|| {
        let remark = format!("the consumer group[{group}] not online");
        Refusal::new(ResponseCode::ConsumerNotOnline, remark)
    })?;
    let subscriptions = members.subscriptions().iter();
    let subscription_table: BTreeMap<_, _> =
        subscriptions.map(|(topic, subscribed)| (topic.clone(), subscribed.data.clone())).collect();
    let mode = members.mode();
    let body = ConsumerConnection {
        connection_set: members.members().map(peer).collect(),
        consume_from_where: mode.from_where,
        consume_type: mode.consume_type,
        message_model: mode.message_model,
        subscription_table,
    };
    Ok(body.encode())
}

/// The answer to 204 (RocketMQ 5.5.0, class ProducerConnection).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Producers {
    connection_set: Vec<PeerConnection>,
}

/// GET_PRODUCER_CONNECTION_LIST (204).
pub fn producers(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    let group = request.ext.get("producerGroup").unwrap_or("");
    let connection_set: Vec<_> = shard.clients.borrow().producers(group).map(peer).collect();
    let body = if connection_set.is_empty() {
        let remark = format!("the producer group[{group}] not exist");
        Err(Refusal::new(ResponseCode::SystemError, remark))
    } else {
        Ok(serde_json::to_vec(&Producers { connection_set }).expect("its keys are text"))
    };
    answer(&caller, body);
}

fn peer(client: &Client) -> PeerConnection {
    PeerConnection {
        client_addr: client.connection.peer().to_string(),
        client_id: client.id.to_string(),
        language: client.language,
        version: client.version,
    }
}
