//! Typed JSON bodies, by subject. RocketMQ 5.5.0, package remoting.protocol.body and its neighbours.
//!
//! Reading is tolerant: members nobody knows are ignored, and absent or `null` ones take the value
//! that Java's class gives them. Writing leaves out what is `None`; members come in alphabetical
//! order, as Java writes them.

mod client;
mod cluster;
mod group;
mod heartbeat;
mod lock;
mod raft;
mod register;
mod register_writer;
mod stats;
mod topic;

pub use client::{ConsumerConnection, ConsumerIds, GroupList, PeerConnection};
pub use cluster::{
    BrokerData, BrokerMemberGroup, ClusterInfo, MemberGroupReply, QueueData, TopicRouteData,
};
pub use group::{GroupRetryPolicy, SubscriptionGroupConfig};
pub use heartbeat::{
    CheckClientConfig, ConsumeFromWhere, ConsumeType, ConsumerData, HeartbeatData, MessageModel,
    ProducerData, SubscriptionData,
};
pub use lock::{LockReply, LockRequest};
pub use raft::{RaftGroupState, RaftMember, RaftRecovery, RaftRecoveryMember};
pub use register::{RegisterBrokerBody, RegisterError, body_crc};
pub use register_writer::{RegisterWriter, SQUEEZE_STEP, Squeeze};
pub use stats::{ConsumeStats, GroupOffset, KvTable, TopicOffset, TopicStatsTable};
pub use topic::{DataVersion, TopicConfig, TopicConfigs, TopicList};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fastjson::{self, JsonError};
use crate::limits::{MAX_CLIENT_BODY, MAX_INFLATED};

/// A body that cannot be read. Answer with code 1 and this text.
#[derive(Debug, thiserror::Error)]
#[error("{body} body: {problem}")]
pub struct BodyError {
    /// Which body was expected, by RocketMQ's name.
    pub body: &'static str,
    /// What is wrong with it.
    #[source]
    pub problem: JsonError,
}

/// A body that is one JSON value.
pub trait Body: Serialize + DeserializeOwned {
    /// RocketMQ's name of it.
    const NAME: &'static str;
    /// Bytes that it may have: [`MAX_CLIENT_BODY`] if any client may send it to a server,
    /// [`MAX_INFLATED`] if only servers send it.
    const MAX_BYTES: usize;

    /// Reads the body.
    ///
    /// # Errors
    /// [`BodyError`] if it is too long, no JSON, or does not have the shape.
    fn decode(bytes: &[u8]) -> Result<Self, BodyError> {
        let read = if bytes.len() > Self::MAX_BYTES {
            Err(JsonError::TooLong { bytes: bytes.len(), max: Self::MAX_BYTES })
        } else {
            fastjson::from_slice(bytes)
        };
        read.map_err(|problem| BodyError { body: Self::NAME, problem })
    }

    /// Writes the body.
    ///
    /// # Panics
    /// Never for the bodies of this crate: their keys are text, integers or queues.
    fn encode(&self) -> Vec<u8> {
        fastjson::to_vec(self).expect("bodies are made of what the writer supports")
    }
}

/// Names the bodies and says how long they may be.
macro_rules! bodies {
    ($( $body:ident = $name:literal, $max:ident; )*) => {
        $( impl Body for $body {
            const NAME: &'static str = $name;
            const MAX_BYTES: usize = $max;
        } )*
    };
}

bodies! {
    BrokerMemberGroup = "BrokerMemberGroup", MAX_INFLATED;
    CheckClientConfig = "CheckClientRequestBody", MAX_CLIENT_BODY;
    ClusterInfo = "ClusterInfo", MAX_INFLATED;
    ConsumeStats = "ConsumeStats", MAX_INFLATED;
    ConsumerConnection = "ConsumerConnection", MAX_INFLATED;
    ConsumerIds = "GetConsumerListByGroupResponseBody", MAX_INFLATED;
    DataVersion = "DataVersion", MAX_CLIENT_BODY;
    GroupList = "GroupList", MAX_INFLATED;
    HeartbeatData = "HeartbeatData", MAX_CLIENT_BODY;
    KvTable = "KVTable", MAX_INFLATED;
    LockReply = "LockBatchResponseBody", MAX_INFLATED;
    LockRequest = "LockBatchRequestBody", MAX_CLIENT_BODY;
    MemberGroupReply = "GetBrokerMemberGroupResponseBody", MAX_INFLATED;
    RaftGroupState = "RaftGroupState", MAX_INFLATED;
    RaftRecovery = "RaftRecovery", MAX_INFLATED;
    RegisterBrokerBody = "RegisterBrokerBody", MAX_INFLATED;
    SubscriptionGroupConfig = "SubscriptionGroupConfig", MAX_CLIENT_BODY;
    TopicConfig = "TopicConfig", MAX_CLIENT_BODY;
    TopicConfigs = "TopicConfigSerializeWrapper", MAX_INFLATED;
    TopicList = "TopicList", MAX_INFLATED;
    TopicRouteData = "TopicRouteData", MAX_INFLATED;
    TopicStatsTable = "TopicStatsTable", MAX_INFLATED;
}

/// Reads `text`, expects `body`, and that writing it gives `text` again.
#[cfg(test)]
fn assert_json<B: Body + PartialEq + std::fmt::Debug>(body: &B, text: &str) {
    assert_eq!(&B::decode(text.as_bytes()).unwrap(), body);
    assert_eq!(String::from_utf8(body.encode()).unwrap(), text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_body() {
        let error = TopicList::decode(b"{").unwrap_err();
        assert_eq!(error.to_string(), "TopicList body: not JSON: expected a key at byte 1");
        let error = TopicList::decode(br#"{"topicList":7}"#).unwrap_err();
        assert!(matches!(error.problem, JsonError::Shape { .. }));
        assert!(error.to_string().starts_with("TopicList body: JSON does not have the shape"));
    }

    #[test]
    fn what_clients_send_is_limited_before_it_grows() {
        let mut text = b"{\"consumerDataSet\":[{}".to_vec();
        while text.len() <= MAX_CLIENT_BODY {
            text.extend_from_slice(b",{}");
        }
        let error = HeartbeatData::decode(&text).unwrap_err();
        let max = MAX_CLIENT_BODY;
        assert!(matches!(error.problem, JsonError::TooLong { max: got, .. } if got == max));
    }

    #[test]
    fn absence_null_and_nothing_are_the_same() {
        let text = br#"{"table":null,"x":{"y":[null]}}"#;
        assert_eq!(KvTable::decode(text).unwrap(), KvTable::default());
        assert_eq!(KvTable::decode(b"{}").unwrap(), KvTable::default());
        assert!(KvTable::decode(b"").is_err());
    }
}
