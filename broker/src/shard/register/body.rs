//! What is registered: topics as NameServers and tools see them.

use std::collections::BTreeMap;

use bytes::Bytes;
use remoting::body::{Body, RegisterBrokerBody, TopicConfigs, body_crc};
use remoting::header::route::RegisterBrokerHeader;
use remoting::{Command, RequestCode};

use super::super::admin::data_version;
use super::super::commands::{TopicConfig, perm};
use super::super::identity::Identity;
use super::super::topics::Topics;

/// Plain bodies above this size are sent compressed: they would come near the largest frame.
const COMPRESS_ABOVE: usize = 4 * 1024 * 1024;

/// A topic as the wire has it.
#[must_use]
pub fn to_body(topic: &TopicConfig) -> remoting::body::TopicConfig {
    let number = |value: u32| i32::try_from(value).expect("queues and bits are few");
    remoting::body::TopicConfig {
        attributes: topic.attributes.iter().cloned().collect(),
        order: topic.order,
        perm: number(topic.perm),
        read_queue_nums: number(topic.read_queues),
        topic_filter_type: if topic.multi_tag { "MULTI_TAG" } else { "SINGLE_TAG" }.to_owned(),
        topic_name: topic.name.clone(),
        topic_sys_flag: topic.sys_flag,
        write_queue_nums: number(topic.write_queues),
    }
}

/// The registration of all topics, or of `only` one. A broker that is not to be read or written says so for
/// each topic.
pub(super) fn registration(
    topics: &Topics,
    only: Option<&TopicConfig>,
    broker_permission: u32,
) -> RegisterBrokerBody {
    let restricted = broker_permission & (perm::READ | perm::WRITE) != perm::READ | perm::WRITE;
    let one = |topic: &TopicConfig| {
        let mut body = to_body(topic);
        if restricted {
            body.perm = i32::try_from(topic.perm & broker_permission).expect("bits are few");
        }
        (topic.name.clone(), body)
    };
    let topic_config_table: BTreeMap<_, _> = match only {
        None => topics.applied().map(|topic| one(topic)).collect(),
        Some(topic) => BTreeMap::from([one(topic)]),
    };
    let version = data_version(topics.version());
    RegisterBrokerBody {
        filter_server_list: Vec::new(),
        topics: TopicConfigs {
            data_version: version,
            mapping_data_version: Some(version),
            topic_config_table,
            ..TopicConfigs::default()
        },
    }
}

/// REGISTER_BROKER (103) with this body.
pub(super) fn register_command(identity: &Identity, body: &RegisterBrokerBody) -> Command {
    let plain = body.encode();
    let compressed = match plain.len() > COMPRESS_ABOVE {
        true => body.encode_compressed().ok(),
        false => None,
    };
    let is_compressed = compressed.is_some();
    let bytes = Bytes::from(compressed.unwrap_or(plain));
    let (addr, ha_addr) = (identity.address.to_string(), ha_addr(identity));
    let header = RegisterBrokerHeader {
        broker_name: &identity.name,
        broker_addr: &addr,
        cluster_name: &identity.cluster,
        ha_server_addr: &ha_addr,
        broker_id: 0,
        heartbeat_timeout_millis: None,
        enable_acting_master: Some(false),
        compressed: Some(is_compressed),
        body_crc32: Some(body_crc(&bytes)),
    };
    Command::request(RequestCode::RegisterBroker).with_ext(&header).with_body(bytes)
}

/// Where replicas would ask. The field is required; nobody listens there, because there are no replicas yet.
fn ha_addr(identity: &Identity) -> String {
    let mut addr = identity.address;
    addr.set_port(addr.port().checked_add(1).unwrap_or(addr.port()));
    addr.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics() -> Topics {
        let mut topics = Topics::default();
        topics.apply(TopicConfig::new("A", 4, 6), true, 10);
        topics.apply(TopicConfig::new("B", 8, 7), true, 11);
        topics
    }

    #[test]
    fn all_topics_or_the_changed_one() {
        let all = registration(&topics(), None, 6);
        assert_eq!(all.topics.topic_config_table.len(), 2);
        assert_eq!(all.topics.topic_config_table["B"].perm, 7);
        assert_eq!((all.topics.data_version.counter, all.topics.data_version.timestamp), (2, 11));
        let topics = topics();
        let one = registration(&topics, topics.find_applied("B").map(AsRef::as_ref), 6);
        assert_eq!(one.topics.topic_config_table.keys().collect::<Vec<_>>(), ["B"]);
    }

    #[test]
    fn a_broker_that_is_read_only_says_so() {
        let body = registration(&topics(), None, 4);
        assert_eq!(body.topics.topic_config_table["A"].perm, 4);
        assert_eq!(body.topics.topic_config_table["B"].perm, 4);
    }
}
