//! Who is in a group.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::body::{ConsumeFromWhere, ConsumeType, MessageModel, SubscriptionData};
use crate::command::Language;

impl Serialize for Language {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Language {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_name(&String::deserialize(deserializer)?))
    }
}

/// The answer to GET_CONSUMER_LIST_BY_GROUP (38).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerIds {
    /// Client ids of the group. Clients sort them before they share out the queues.
    pub consumer_id_list: Vec<String>,
}

/// The answer to QUERY_TOPIC_CONSUME_BY_WHO (300).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupList {
    /// Consumer groups of the topic.
    pub group_list: Vec<String>,
}

/// One client of a group. Class Connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PeerConnection {
    /// `ip:port` of its end of the connection.
    pub client_addr: String,
    /// Its id.
    pub client_id: String,
    /// The language that it claims.
    pub language: Language,
    /// Its version, see [`crate::command::version`].
    pub version: i32,
}

/// The answer to GET_CONSUMER_CONNECTION_LIST (203). Class ConsumerConnection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerConnection {
    /// The clients of the group.
    pub connection_set: Vec<PeerConnection>,
    /// Where the group starts.
    pub consume_from_where: ConsumeFromWhere,
    /// How it gets messages.
    pub consume_type: ConsumeType,
    /// Who gets a message.
    pub message_model: MessageModel,
    /// What it wants, by topic.
    pub subscription_table: BTreeMap<String, SubscriptionData>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::assert_json;

    #[test]
    fn lists() {
        let ids = ConsumerIds { consumer_id_list: vec!["a@1".to_owned(), "b@2".to_owned()] };
        assert_json(&ids, r#"{"consumerIdList":["a@1","b@2"]}"#);
        let groups = GroupList { group_list: vec!["g".to_owned()] };
        assert_json(&groups, r#"{"groupList":["g"]}"#);
    }

    #[test]
    fn connections() {
        let peer = PeerConnection {
            client_addr: "h:1".to_owned(),
            client_id: "c".to_owned(),
            language: Language::Go,
            version: 317,
        };
        let connection = ConsumerConnection {
            connection_set: vec![peer],
            subscription_table: BTreeMap::from([("T".to_owned(), SubscriptionData::default())]),
            ..ConsumerConnection::default()
        };
        let text = r#"{"connectionSet":[{"clientAddr":"h:1","clientId":"c","language":"GO","version":317}],"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","subscriptionTable":{"T":{"classFilterMode":false,"codeSet":[],"expressionType":"TAG","subString":"","subVersion":0,"tagsSet":[],"topic":""}}}"#;
        assert_json(&connection, text);
    }
}
