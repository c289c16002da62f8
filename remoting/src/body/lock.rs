//! Queue locks of orderly consumers.

use serde::{Deserialize, Serialize};

use crate::fastjson::MessageQueue;

/// LOCK_BATCH_MQ (41) and UNLOCK_BATCH_MQ (42).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LockRequest {
    /// The client that shall hold the locks.
    pub client_id: String,
    /// The group that the locks belong to.
    pub consumer_group: String,
    /// The queues.
    pub mq_set: Vec<MessageQueue>,
    /// Set when one replica asks another: do not ask on.
    pub only_this_broker: bool,
}

/// The answer to 41.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockReply {
    /// The queues that the client holds now.
    #[serde(rename = "lockOKMQSet")]
    pub locked: Vec<MessageQueue>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::assert_json;

    #[test]
    fn locks() {
        let queue =
            MessageQueue { topic: "T".to_owned(), broker_name: "b".to_owned(), queue_id: 1 };
        let request = LockRequest {
            client_id: "c".to_owned(),
            consumer_group: "g".to_owned(),
            mq_set: vec![queue.clone()],
            only_this_broker: false,
        };
        let text = r#"{"clientId":"c","consumerGroup":"g","mqSet":[{"brokerName":"b","queueId":1,"topic":"T"}],"onlyThisBroker":false}"#;
        assert_json(&request, text);
        let text = r#"{"lockOKMQSet":[{"brokerName":"b","queueId":1,"topic":"T"}]}"#;
        assert_json(&LockReply { locked: vec![queue] }, text);
    }
}
