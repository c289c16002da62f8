//! Settings of topics (351, 21, 305) and of groups (352, 201).

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use remoting::body::{Body, DataVersion, SubscriptionGroupConfig, TopicConfigs, TopicList};
use remoting::header::DecodeExt;
use remoting::header::topic::{GroupHeader, TopicHeader};
use remoting::{CommandRef, ResponseCode};
use serde::Serialize;
use transport::Connection;

use super::super::refusals::code_of;
use super::super::reply::{Caller, Refusal};
use super::super::topics::Version;
use super::super::{Shard, groups, register, topic_rules};
use super::answer;

/// GET_TOPIC_CONFIG (351).
pub fn topic(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    let body = TopicHeader::decode(code_of(request), &request.ext).map_err(Refusal::from).and_then(
        |header| {
            let topics = shard.topics.borrow();
            let topic = topics.find_applied(header.topic).ok_or_else(|| {
                let remark = format!("No topic in this broker. topic: {}", header.topic);
                Refusal::new(ResponseCode::TopicNotExist, remark)
            })?;
            Ok(register::to_body(topic).encode())
        },
    );
    answer(&caller, body);
}

/// GET_ALL_TOPIC_CONFIG (21), in pages when the request asks for them.
pub fn all_topics(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    let topics = shard.topics.borrow();
    let total = topics.applied_len().to_string();
    let wanted = paged(topics.applied_after(None), request, "topicSeq", "maxTopicNum");
    let page = TopicConfigs {
        data_version: data_version(topics.version()),
        topic_config_table: wanted
            .map(|topic| (topic.name.clone(), register::to_body(topic)))
            .collect(),
        ..TopicConfigs::default()
    };
    caller.body(&[("totalTopicNum", total.as_str())], &page.encode());
}

/// GET_SYSTEM_TOPIC_LIST_FROM_BROKER (305).
pub fn system_topics(
    shard: &Rc<Shard>,
    connection: &Connection,
    request: &CommandRef<'_>,
    _: Bytes,
) {
    let caller = Caller::of(connection, request);
    let topics = shard.topics.borrow();
    let identity = &shard.identity;
    let names = topics.applied().map(|topic| topic.name.as_str());
    let system =
        names.filter(|name| topic_rules::is_system(name, &identity.cluster, &identity.name));
    let mut topic_list: Vec<String> = system.map(str::to_owned).collect();
    topic_list.sort();
    caller.body(&(), &TopicList { broker_addr: None, topic_list }.encode());
}

/// GET_SUBSCRIPTIONGROUP_CONFIG (352). As with RocketMQ, asking for a group creates it where groups are
/// created automatically.
pub fn group(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    let body = GroupHeader::decode(code_of(request), &request.ext).map_err(Refusal::from).and_then(
        |header| {
            let group = groups::find_or_create(shard, header.group).ok_or_else(|| {
                let remark = format!("No group in this broker. group: {}", header.group);
                Refusal::new(ResponseCode::SubscriptionGroupNotExist, remark)
            })?;
            Ok(groups::to_body(&group).encode())
        },
    );
    answer(&caller, body);
}

/// The answer to 201 (RocketMQ 5.5.0, class SubscriptionGroupWrapper).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AllGroups {
    data_version: DataVersion,
    /// Nobody here is forbidden to read a topic group by group.
    forbidden_table: BTreeMap<String, BTreeMap<String, i32>>,
    subscription_group_table: BTreeMap<String, SubscriptionGroupConfig>,
}

/// GET_ALL_SUBSCRIPTIONGROUP_CONFIG (201), in pages when the request asks for them.
pub fn all_groups(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    let groups = shard.groups.borrow();
    let total = groups.applied().len().to_string();
    let wanted = paged(groups.applied(), request, "groupSeq", "maxGroupNum");
    let page = AllGroups {
        data_version: data_version(groups.version()),
        forbidden_table: BTreeMap::new(),
        subscription_group_table: wanted
            .map(|group| (group.name.clone(), groups::to_body(group)))
            .collect(),
    };
    let body = serde_json::to_vec(&page).expect("its keys are text");
    caller.body(&[("totalGroupNum", total.as_str())], &body);
}

/// A version as the wire has it.
#[must_use]
pub fn data_version(version: Version) -> DataVersion {
    let number = |value| i64::try_from(value).unwrap_or(i64::MAX);
    DataVersion {
        counter: number(version.counter),
        state_version: 0,
        timestamp: number(version.timestamp),
    }
}

/// The part of a table that the request asks for: from the entry at `from` on, as many as `max` says. Without
/// those fields it is the whole table.
fn paged<T>(
    all: impl Iterator<Item = T>,
    request: &CommandRef<'_>,
    from: &str,
    max: &str,
) -> impl Iterator<Item = T> {
    let number = |name| request.ext.get(name).and_then(|text| text.parse::<usize>().ok());
    let (from, max) = match number(max) {
        Some(max) if max > 0 => (number(from).unwrap_or(0), max),
        _ => (0, usize::MAX),
    };
    all.skip(from).take(max)
}

#[cfg(test)]
mod tests {
    use remoting::{Flags, Language};

    use super::*;

    #[test]
    fn pages_follow_each_other() {
        let page = |fields: &[(&'static str, &'static str)]| {
            let mut request = CommandRef {
                code: 21,
                flag: Flags::REQUEST,
                opaque: 1,
                version: 0,
                language: Language::default(),
                remark: None,
                ext: remoting::ExtRef::new(),
            };
            for (name, value) in fields {
                request.ext.insert(*name, *value);
            }
            paged(0..5, &request, "topicSeq", "maxTopicNum").collect::<Vec<u32>>()
        };
        assert_eq!(page(&[]), [0, 1, 2, 3, 4]);
        assert_eq!(page(&[("topicSeq", "0"), ("maxTopicNum", "2")]), [0, 1]);
        assert_eq!(page(&[("topicSeq", "4"), ("maxTopicNum", "2")]), [4]);
        assert_eq!(page(&[("topicSeq", "5"), ("maxTopicNum", "2")]), Vec::<u32>::new());
    }
}
