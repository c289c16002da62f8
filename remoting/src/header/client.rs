//! Clients and the groups they are in: codes 34, 35, 38, 40, 203.

use crate::header::header;

header! {
    /// UNREGISTER_CLIENT (35).
    pub struct UnregisterClientHeader<'a> {
        /// The client.
        pub client_id: &'a str = "clientID",
        /// The producer group that it leaves.
        pub producer_group: Option<&'a str> = "producerGroup",
        /// The consumer group that it leaves.
        pub consumer_group: Option<&'a str> = "consumerGroup",
    }
}

header! {
    /// Just a consumer group: GET_CONSUMER_LIST_BY_GROUP (38), NOTIFY_CONSUMER_IDS_CHANGED (40,
    /// sent by the broker), GET_CONSUMER_CONNECTION_LIST (203).
    pub struct ConsumerGroupHeader<'a> {
        /// The group.
        pub consumer_group: &'a str = "consumerGroup",
    }
}

header! {
    /// The answer to HEART_BEAT (34).
    pub struct HeartbeatReply {
        /// Does the broker take heartbeats that carry a fingerprint instead of subscriptions?
        pub supports_v2: Option<bool> = "IS_SUPPORT_HEART_BEAT_V2",
        /// Does the fingerprint differ, so that the client shall send everything?
        pub subscription_changed: Option<bool> = "IS_SUB_CHANGE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::RequestCode;
    use crate::header::{DecodeExt, assert_fields};

    #[test]
    fn clients_round_trip() {
        let header = UnregisterClientHeader {
            client_id: "127.0.0.1@1#2",
            producer_group: None,
            consumer_group: Some("g"),
        };
        let ext = assert_fields(&header, &[("clientID", "127.0.0.1@1#2"), ("consumerGroup", "g")]);
        assert_eq!(UnregisterClientHeader::decode(RequestCode::UnregisterClient, &ext), Ok(header));
        let group = ConsumerGroupHeader { consumer_group: "g" };
        let code = RequestCode::GetConsumerListByGroup;
        assert_eq!(ConsumerGroupHeader::decode(code, &ext), Ok(group));

        let reply = HeartbeatReply { supports_v2: Some(true), subscription_changed: Some(false) };
        let ext = assert_fields(
            &reply,
            &[("IS_SUPPORT_HEART_BEAT_V2", "true"), ("IS_SUB_CHANGE", "false")],
        );
        assert_eq!(HeartbeatReply::decode(RequestCode::HeartBeat, &ext), Ok(reply));
    }
}
