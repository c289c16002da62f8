//! Numbers for the tools: offsets of topics and groups, and free tables.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fastjson::MqMap;

/// Names and values: broker runtime info (28), key-value configuration (219), the answer to a
/// registration (103). Class KVTable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KvTable {
    /// The table.
    pub table: BTreeMap<String, String>,
}

/// The bounds of one queue. Class TopicOffset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicOffset {
    /// Store time of its last message, in milliseconds since 1970; 0 if it is empty.
    pub last_update_timestamp: i64,
    /// One more than the largest queue offset.
    pub max_offset: i64,
    /// Smallest queue offset.
    pub min_offset: i64,
}

/// The answer to GET_TOPIC_STATS_INFO (202). Class TopicStatsTable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicStatsTable {
    /// Bounds by queue.
    pub offset_table: MqMap<TopicOffset>,
    /// Messages put into the topic a second.
    pub topic_put_tps: f64,
}

/// A group's progress in one queue. Class OffsetWrapper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupOffset {
    /// One more than the largest queue offset there is.
    pub broker_offset: i64,
    /// What the group has committed.
    pub consumer_offset: i64,
    /// Store time of the last message consumed, in milliseconds since 1970.
    pub last_timestamp: i64,
    /// What the group has pulled.
    pub pull_offset: i64,
}

/// The answer to GET_CONSUME_STATS (208). Class ConsumeStats.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumeStats {
    /// Messages consumed a second.
    pub consume_tps: f64,
    /// Progress by queue.
    pub offset_table: MqMap<GroupOffset>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{Body, assert_json};
    use crate::fastjson::MessageQueue;

    fn queue() -> MessageQueue {
        MessageQueue { topic: "T".to_owned(), broker_name: "b".to_owned(), queue_id: 3 }
    }

    #[test]
    fn topic_stats() {
        let offset = TopicOffset { last_update_timestamp: 5, max_offset: 9, min_offset: 2 };
        let stats =
            TopicStatsTable { offset_table: MqMap::from([(queue(), offset)]), topic_put_tps: 0.0 };
        let text = r#"{"offsetTable":{{"brokerName":"b","queueId":3,"topic":"T"}:{"lastUpdateTimestamp":5,"maxOffset":9,"minOffset":2}},"topicPutTps":0.0}"#;
        assert_json(&stats, text);
    }

    #[test]
    fn consume_stats() {
        let offset =
            GroupOffset { broker_offset: 9, consumer_offset: 4, last_timestamp: 5, pull_offset: 6 };
        let mut stats =
            ConsumeStats { consume_tps: 1.5, offset_table: MqMap::from([(queue(), offset)]) };
        let text = r#"{"consumeTps":1.5,"offsetTable":{{"brokerName":"b","queueId":3,"topic":"T"}:{"brokerOffset":9,"consumerOffset":4,"lastTimestamp":5,"pullOffset":6}}}"#;
        assert_json(&stats, text);
        let text = text.replace("1.5", "NaN");
        stats.consume_tps = 0.0;
        assert_eq!(ConsumeStats::decode(text.as_bytes()).unwrap(), stats);
    }

    #[test]
    fn tables() {
        let table = KvTable { table: BTreeMap::from([("k".to_owned(), "v".to_owned())]) };
        assert_json(&table, r#"{"table":{"k":"v"}}"#);
    }
}
