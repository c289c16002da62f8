//! Bodies by code.

use remoting::body::{
    Body, CheckClientConfig, ClusterInfo, ConsumeStats, ConsumerConnection, ConsumerIds,
    DataVersion, GroupList, HeartbeatData, KvTable, LockReply, LockRequest, MemberGroupReply,
    RegisterBrokerBody, SubscriptionGroupConfig, TopicConfig, TopicList, TopicRouteData,
    TopicStatsTable, body_crc,
};
use remoting::header::{DecodeExt, route::RegisterBrokerHeader};
use remoting::{Command, RequestCode, batch, fastjson};
use serde_json::Value;

use super::{Finding, Typed};

/// Reads a body, writes it, and compares: nothing may be lost.
fn check<B: Body + PartialEq>(bytes: &[u8]) -> Result<Typed, Finding> {
    let body = B::decode(bytes).map_err(|error| error.to_string())?;
    let again = body.encode();
    if B::decode(&again).map_err(|error| error.to_string())? != body {
        return Err(format!("{} does not survive writing", B::NAME));
    }
    let value = |text: &[u8]| fastjson::from_slice::<Value>(text).map_err(|e| e.to_string());
    lost(&value(bytes)?, &value(&again)?, B::NAME).map(|()| Typed::Yes)
}

/// The first place where `left` has a member or item that `right` lacks or has differently.
fn lost(left: &Value, right: &Value, path: &str) -> Result<(), Finding> {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            for (name, value) in left {
                let path = format!("{path}.{name}");
                match right.get(&same_key(name)).or_else(|| right.get(name)) {
                    Some(other) => lost(value, other, &path)?,
                    None => return Err(format!("{path} = {value} is lost")),
                }
            }
            Ok(())
        }
        // Java's sets have no order, ours that are sorted have another.
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            left.iter().try_for_each(|item| {
                let hit = right.iter().any(|other| lost(item, other, path).is_ok());
                if hit { Ok(()) } else { Err(format!("{path} lacks {item}")) }
            })
        }
        (left, right) if plain(left) == plain(right) => Ok(()),
        _ => Err(format!("{path} is {right}, was {left}")),
    }
}

/// A key that is a queue, with its members in our order.
fn same_key(name: &str) -> String {
    match serde_json::from_str::<fastjson::MessageQueue>(name) {
        Ok(queue) => serde_json::to_string(&queue).expect("a queue is JSON"),
        Err(_) => name.to_owned(),
    }
}

/// Numbers may have been quoted, names may have been in another case.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned).to_ascii_uppercase()
}

/// The body of a request.
pub fn request(code: RequestCode, command: &Command) -> Result<Typed, Finding> {
    use RequestCode as Q;
    let body = &command.body[..];
    match code {
        Q::SendBatchMessage => batch_messages(body),
        Q::HeartBeat => check::<HeartbeatData>(body),
        Q::LockBatchMq | Q::UnlockBatchMq => check::<LockRequest>(body),
        Q::CheckClientConfig => check::<CheckClientConfig>(body),
        Q::UpdateAndCreateSubscriptiongroup => check::<SubscriptionGroupConfig>(body),
        Q::RegisterBroker => registration(command),
        Q::QueryDataVersion => check::<DataVersion>(body),
        Q::SendMessage | Q::SendMessageV2 => Ok(Typed::Yes),
        _ => nothing(body),
    }
}

/// The body of an answer that succeeded.
pub fn reply(code: RequestCode, command: &Command) -> Result<Typed, Finding> {
    use RequestCode as Q;
    let body = &command.body[..];
    match code {
        Q::PullMessage | Q::LitePullMessage | Q::ViewMessageById => Ok(Typed::Yes),
        Q::GetRouteinfoByTopic => check::<TopicRouteData>(body),
        Q::GetBrokerClusterInfo => check::<ClusterInfo>(body),
        Q::GetAllTopicListFromNameserver | Q::GetTopicsByCluster | Q::GetSystemTopicListFromNs => {
            check::<TopicList>(body)
        }
        Q::GetBrokerRuntimeInfo | Q::GetKvlistByNamespace => check::<KvTable>(body),
        Q::RegisterBroker if !body.is_empty() => check::<KvTable>(body),
        Q::GetConsumerListByGroup => check::<ConsumerIds>(body),
        Q::LockBatchMq => check::<LockReply>(body),
        Q::GetTopicConfig => check::<TopicConfig>(body),
        Q::GetSubscriptiongroupConfig => check::<SubscriptionGroupConfig>(body),
        Q::GetTopicStatsInfo => check::<TopicStatsTable>(body),
        Q::GetConsumeStats => check::<ConsumeStats>(body),
        Q::GetConsumerConnectionList => check::<ConsumerConnection>(body),
        Q::QueryTopicConsumeByWho => check::<GroupList>(body),
        Q::QueryDataVersion => check::<DataVersion>(body),
        Q::GetBrokerMemberGroup => check::<MemberGroupReply>(body),
        _ => nothing(body),
    }
}

fn nothing(body: &[u8]) -> Result<Typed, Finding> {
    Ok(if body.is_empty() { Typed::Yes } else { Typed::No })
}

fn batch_messages(body: &[u8]) -> Result<Typed, Finding> {
    let mut again = Vec::new();
    for message in batch::messages(body) {
        let message = message.map_err(|error| error.to_string())?;
        batch::append(&mut again, &message).map_err(|error| error.to_string())?;
    }
    if again == body {
        Ok(Typed::Yes)
    } else {
        Err("the batch does not survive writing".to_owned())
    }
}

fn registration(command: &Command) -> Result<Typed, Finding> {
    let code = RequestCode::RegisterBroker;
    let header = RegisterBrokerHeader::decode(code, &command.ext).map_err(|e| e.to_string())?;
    let crc = header.body_crc32.unwrap_or_default();
    if crc != 0 && crc != body_crc(&command.body) {
        return Err(format!("the body's checksum is {}, not {crc}", body_crc(&command.body)));
    }
    if header.compressed != Some(true) {
        return check::<RegisterBrokerBody>(&command.body);
    }
    let read = |bytes: &[u8], version| {
        RegisterBrokerBody::decode_compressed(bytes, version).map_err(|error| error.to_string())
    };
    let body = read(&command.body, command.version)?;
    let again = body.encode_compressed().map_err(|error| error.to_string())?;
    if read(&again, remoting::command::version::OURS)? == body {
        Ok(Typed::Yes)
    } else {
        Err("the registration does not survive writing".to_owned())
    }
}
