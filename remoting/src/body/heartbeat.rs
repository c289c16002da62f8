//! Heartbeats and what they say about groups and subscriptions.

use std::fmt;

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::fastjson::lenient;

/// Writes an enum that Java clients send by name and some others by ordinal.
macro_rules! names {
    (
        $(#[$meta:meta])*
        pub enum $kind:ident { $( $(#[$doc:meta])* $variant:ident = $name:literal, )* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $kind { $( $(#[$doc])* $variant, )* }

        impl $kind {
            /// Every value, by ordinal.
            pub const ALL: &[Self] = &[ $( Self::$variant, )* ];

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )* }
            }
        }

        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let all = Self::ALL.iter().map(|value| (value.name(), *value)).collect();
                deserializer.deserialize_any(NameOrOrdinal { kind: stringify!($kind), all })
            }
        }
    };
}

/// Reads a value of an enum by name, in any case as fastjson does, or by ordinal.
struct NameOrOrdinal<T> {
    kind: &'static str,
    all: Vec<(&'static str, T)>,
}

impl<T: Copy> Visitor<'_> for NameOrOrdinal<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} by name or ordinal", self.kind)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        let hit = self.all.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        hit.map(|(_, value)| *value).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_u64<E: Error>(self, ordinal: u64) -> Result<T, E> {
        let hit = usize::try_from(ordinal).ok().and_then(|ordinal| self.all.get(ordinal));
        hit.map(|(_, value)| *value)
            .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(ordinal), &self))
    }
}

names! {
    /// How a consumer gets its messages.
    pub enum ConsumeType {
        /// It pulls when it wants to.
        Actively = "CONSUME_ACTIVELY",
        /// It is a push consumer.
        #[default]
        Passively = "CONSUME_PASSIVELY",
        /// It pops.
        Pop = "CONSUME_POP",
    }
}

names! {
    /// Who of a group gets a message.
    pub enum MessageModel {
        /// Everybody.
        Broadcasting = "BROADCASTING",
        /// One of them.
        #[default]
        Clustering = "CLUSTERING",
        /// One of them, from lite topics of its choice.
        LiteSelective = "LITE_SELECTIVE",
    }
}

names! {
    /// Where a group without progress starts. The ordinals count the deprecated names.
    pub enum ConsumeFromWhere {
        /// At the end.
        #[default]
        LastOffset = "CONSUME_FROM_LAST_OFFSET",
        /// Deprecated, means the end.
        LastOffsetAndMinWhenBootFirst = "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
        /// Deprecated, means the end.
        MinOffset = "CONSUME_FROM_MIN_OFFSET",
        /// Deprecated, means the end.
        MaxOffset = "CONSUME_FROM_MAX_OFFSET",
        /// At the start.
        FirstOffset = "CONSUME_FROM_FIRST_OFFSET",
        /// At a time that the client knows.
        Timestamp = "CONSUME_FROM_TIMESTAMP",
    }
}

/// What a group wants of one topic. Class SubscriptionData.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubscriptionData {
    /// A class filter; no longer used.
    pub class_filter_mode: bool,
    /// Hash codes of the tags.
    #[serde(deserialize_with = "lenient::numbers")]
    pub code_set: Vec<i32>,
    /// `TAG` or `SQL92`.
    pub expression_type: String,
    /// The expression: `*`, `TagA || TagB`, or SQL.
    pub sub_string: String,
    /// When the client made it, in milliseconds since 1970; the larger one holds.
    #[serde(deserialize_with = "lenient::number")]
    pub sub_version: i64,
    /// The tags.
    pub tags_set: Vec<String>,
    /// The topic.
    pub topic: String,
}

impl Default for SubscriptionData {
    fn default() -> Self {
        Self {
            class_filter_mode: false,
            code_set: Vec::new(),
            expression_type: "TAG".to_owned(),
            sub_string: String::new(),
            sub_version: 0,
            tags_set: Vec::new(),
            topic: String::new(),
        }
    }
}

/// A consumer group that a client is in. Class ConsumerData.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerData {
    /// Where the group starts.
    pub consume_from_where: ConsumeFromWhere,
    /// How it gets messages.
    pub consume_type: ConsumeType,
    /// The group.
    pub group_name: String,
    /// Who gets a message.
    pub message_model: MessageModel,
    /// What it wants.
    pub subscription_data_set: Vec<SubscriptionData>,
    /// Set by clients that belong to a unit.
    pub unit_mode: bool,
}

/// A producer group that a client is in. Class ProducerData.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProducerData {
    /// The group.
    pub group_name: String,
}

/// HEART_BEAT (34). Class HeartbeatData.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HeartbeatData {
    /// The client.
    #[serde(rename = "clientID")]
    pub client_id: String,
    /// Its consumer groups.
    pub consumer_data_set: Vec<ConsumerData>,
    /// A hash of the subscriptions; 0 from clients that do not use it.
    pub heartbeat_fingerprint: i32,
    /// Its producer groups.
    pub producer_data_set: Vec<ProducerData>,
    /// Are the subscriptions left out, and only the fingerprint sent?
    pub without_sub: bool,
}

/// CHECK_CLIENT_CONFIG (46). Class CheckClientRequestBody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CheckClientConfig {
    /// The client.
    pub client_id: String,
    /// The consumer group.
    pub group: String,
    /// The client's namespace.
    pub namespace: Option<String>,
    /// The subscription to check.
    pub subscription_data: SubscriptionData,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{Body, assert_json};

    #[test]
    fn a_heartbeat_as_java_writes_it() {
        let subscription = SubscriptionData {
            code_set: vec![2_598_919],
            sub_string: "TagA".to_owned(),
            sub_version: 1_763_000_000_000,
            tags_set: vec!["TagA".to_owned()],
            topic: "T".to_owned(),
            ..SubscriptionData::default()
        };
        let heartbeat = HeartbeatData {
            client_id: "127.0.0.1@1#2".to_owned(),
            consumer_data_set: vec![ConsumerData {
                group_name: "CG".to_owned(),
                subscription_data_set: vec![subscription],
                ..ConsumerData::default()
            }],
            producer_data_set: vec![ProducerData { group_name: "PG".to_owned() }],
            ..HeartbeatData::default()
        };
        let text = r#"{"clientID":"127.0.0.1@1#2","consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"CG","messageModel":"CLUSTERING","subscriptionDataSet":[{"classFilterMode":false,"codeSet":[2598919],"expressionType":"TAG","subString":"TagA","subVersion":1763000000000,"tagsSet":["TagA"],"topic":"T"}],"unitMode":false}],"heartbeatFingerprint":0,"producerDataSet":[{"groupName":"PG"}],"withoutSub":false}"#;
        assert_json(&heartbeat, text);
    }

    #[test]
    fn other_clients_write_ordinals_quoted_numbers_and_less() {
        let text = br#"{"clientID":"c","consumerDataSet":[{"groupName":"g","consumeType":0,"messageModel":"Broadcasting","consumeFromWhere":4,"subscriptionDataSet":[{"topic":"T","subString":"*","subVersion":"7","codeSet":["-1"],"tagsSet":null}]}]}"#;
        let heartbeat = HeartbeatData::decode(text).unwrap();
        let consumer = &heartbeat.consumer_data_set[0];
        assert_eq!(consumer.consume_type, ConsumeType::Actively);
        assert_eq!(consumer.message_model, MessageModel::Broadcasting);
        assert_eq!(consumer.consume_from_where, ConsumeFromWhere::FirstOffset);
        let subscription = &consumer.subscription_data_set[0];
        assert_eq!((subscription.sub_version, subscription.code_set.as_slice()), (7, &[-1][..]));
        assert_eq!(subscription.expression_type, "TAG");
    }

    #[test]
    fn names_and_ordinals_that_do_not_exist_are_errors() {
        for where_from in ["\"CONSUME_FROM_NOWHERE\"", "6", "-1", "{}"] {
            let text = format!(r#"{{"consumerDataSet":[{{"consumeFromWhere":{where_from}}}]}}"#);
            let error = HeartbeatData::decode(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("ConsumeFromWhere"), "{error}");
        }
    }

    #[test]
    fn a_client_check() {
        let text = r#"{"clientId":"c","group":"g","subscriptionData":{"classFilterMode":false,"codeSet":[],"expressionType":"SQL92","subString":"a > 1","subVersion":1,"tagsSet":[],"topic":"T"}}"#;
        let check = CheckClientConfig {
            client_id: "c".to_owned(),
            group: "g".to_owned(),
            namespace: None,
            subscription_data: SubscriptionData {
                expression_type: "SQL92".to_owned(),
                sub_string: "a > 1".to_owned(),
                sub_version: 1,
                topic: "T".to_owned(),
                ..SubscriptionData::default()
            },
        };
        assert_json(&check, text);
    }
}
