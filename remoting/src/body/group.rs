//! Consumer groups: their settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The settings of a consumer group: UPDATE_AND_CREATE_SUBSCRIPTIONGROUP (200), the answer to
/// GET_SUBSCRIPTIONGROUP_CONFIG (352). Class SubscriptionGroupConfig.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubscriptionGroupConfig {
    /// Attributes.
    pub attributes: BTreeMap<String, String>,
    /// The broker id that the group reads from.
    pub broker_id: i64,
    /// May the group broadcast?
    pub consume_broadcast_enable: bool,
    /// May the group consume at all?
    pub consume_enable: bool,
    /// May a new group start at the smallest offset?
    pub consume_from_min_enable: bool,
    /// Does the group consume in order?
    pub consume_message_orderly: bool,
    /// Minutes until an unanswered message is delivered again.
    pub consume_timeout_minute: i32,
    /// The group.
    pub group_name: String,
    /// When a failed message comes back.
    pub group_retry_policy: GroupRetryPolicy,
    /// System flag.
    pub group_sys_flag: i32,
    /// Are its members told when one joins or leaves?
    pub notify_consumer_ids_changed_enable: bool,
    /// How often a message may fail before it goes to the dead letter topic.
    pub retry_max_times: i32,
    /// Queues of its retry topic.
    pub retry_queue_nums: i32,
    /// What the group reads, where it is fixed beforehand; carried as JSON.
    pub subscription_data_set: Option<serde_json::Value>,
    /// The broker id to read from when the group lags far behind.
    pub which_broker_when_consume_slowly: i64,
}

impl Default for SubscriptionGroupConfig {
    fn default() -> Self {
        Self {
            attributes: BTreeMap::new(),
            broker_id: 0,
            consume_broadcast_enable: true,
            consume_enable: true,
            consume_from_min_enable: true,
            consume_message_orderly: false,
            consume_timeout_minute: 15,
            group_name: String::new(),
            group_retry_policy: GroupRetryPolicy::default(),
            group_sys_flag: 0,
            notify_consumer_ids_changed_enable: true,
            retry_max_times: 16,
            retry_queue_nums: 1,
            subscription_data_set: None,
            which_broker_when_consume_slowly: 1,
        }
    }
}

/// When a failed message comes back. The two policies are carried as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupRetryPolicy {
    /// Delays one by one.
    pub customized_retry_policy: Option<serde_json::Value>,
    /// Delays that double.
    pub exponential_retry_policy: Option<serde_json::Value>,
    /// `CUSTOMIZED` or `EXPONENTIAL`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Default for GroupRetryPolicy {
    fn default() -> Self {
        Self {
            customized_retry_policy: None,
            exponential_retry_policy: None,
            kind: "CUSTOMIZED".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{Body, assert_json};

    #[test]
    fn a_group_as_java_writes_it() {
        let group = SubscriptionGroupConfig { group_name: "G".to_owned(), ..Default::default() };
        let text = r#"{"attributes":{},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"consumeMessageOrderly":false,"consumeTimeoutMinute":15,"groupName":"G","groupRetryPolicy":{"type":"CUSTOMIZED"},"groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}"#;
        assert_json(&group, text);
    }

    #[test]
    fn javas_defaults_stand_in() {
        let group = SubscriptionGroupConfig::decode(br#"{"groupName":"G"}"#).unwrap();
        let want = SubscriptionGroupConfig { group_name: "G".to_owned(), ..Default::default() };
        assert_eq!(group, want);
    }
}
