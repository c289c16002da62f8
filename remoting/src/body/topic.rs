//! Topics: their settings, lists of them, and the version of a broker's settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of a table. Two tables are the same if all three numbers are; a change sets the time
/// and adds one to the counter. Class DataVersion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DataVersion {
    /// Changes so far.
    pub counter: i64,
    /// The epoch of the broker's master; 0 without a controller.
    pub state_version: i64,
    /// When it changed last, in milliseconds since 1970.
    pub timestamp: i64,
}

/// The settings of one topic. Class TopicConfig.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicConfig {
    /// Attributes, for example `message.type`.
    pub attributes: BTreeMap<String, String>,
    /// Keep the order even while a broker is away.
    pub order: bool,
    /// Permission bits, see [`crate::route::Perm`].
    pub perm: i32,
    /// Queues that consumers see.
    pub read_queue_nums: i32,
    /// `SINGLE_TAG` or `MULTI_TAG`.
    pub topic_filter_type: String,
    /// The topic.
    pub topic_name: String,
    /// System flag.
    pub topic_sys_flag: i32,
    /// Queues that producers see.
    pub write_queue_nums: i32,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            attributes: BTreeMap::new(),
            order: false,
            perm: crate::route::Perm::READ_WRITE.0,
            read_queue_nums: 16,
            topic_filter_type: "SINGLE_TAG".to_owned(),
            topic_name: String::new(),
            topic_sys_flag: 0,
            write_queue_nums: 16,
        }
    }
}

/// All topics of a broker, with their version. Class TopicConfigAndMappingSerializeWrapper.
///
/// The static topic mappings are carried as JSON: nothing here reads them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicConfigs {
    /// The version of the table.
    pub data_version: DataVersion,
    /// The version of the mappings.
    pub mapping_data_version: Option<DataVersion>,
    /// Settings by topic.
    pub topic_config_table: BTreeMap<String, TopicConfig>,
    /// Static topic mappings in full, by topic.
    pub topic_queue_mapping_detail_map: BTreeMap<String, serde_json::Value>,
    /// Static topic mappings in short, by topic.
    pub topic_queue_mapping_info_map: BTreeMap<String, serde_json::Value>,
}

/// Names of topics. Class TopicList.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicList {
    /// A broker's address, in the answer to GET_SYSTEM_TOPIC_LIST_FROM_NS (304).
    pub broker_addr: Option<String>,
    /// The topics.
    pub topic_list: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{Body, assert_json};

    #[test]
    fn a_topic_as_java_writes_it() {
        let config = TopicConfig {
            attributes: BTreeMap::from([("message.type".to_owned(), "FIFO".to_owned())]),
            read_queue_nums: 4,
            write_queue_nums: 4,
            topic_name: "T".to_owned(),
            ..TopicConfig::default()
        };
        let text = r#"{"attributes":{"message.type":"FIFO"},"order":false,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":0,"writeQueueNums":4}"#;
        assert_json(&config, text);
    }

    #[test]
    fn javas_defaults_stand_in() {
        let config = TopicConfig::decode(br#"{"topicName":"T","attributes":null}"#).unwrap();
        assert_eq!((config.read_queue_nums, config.write_queue_nums), (16, 16));
        assert_eq!((config.perm, config.topic_filter_type.as_str()), (6, "SINGLE_TAG"));
    }

    #[test]
    fn lists_and_versions() {
        let list = TopicList { broker_addr: None, topic_list: vec!["A".into(), "B".into()] };
        assert_json(&list, r#"{"topicList":["A","B"]}"#);
        let version = DataVersion { counter: 1, state_version: 0, timestamp: 1_763_000_000_000 };
        assert_json(&version, r#"{"counter":1,"stateVersion":0,"timestamp":1763000000000}"#);
    }
}
