//! Reading messages: PULL_MESSAGE (11), LITE_PULL_MESSAGE (361), VIEW_MESSAGE_BY_ID (33).

use crate::header::header;

/// Bits of [`PullHeader::sys_flag`]. RocketMQ 5.5.0, class PullSysFlag.
pub mod pull_flag {
    /// Store `commit_offset` for the group.
    pub const COMMIT_OFFSET: i32 = 1;
    /// Hold the request while there is no message.
    pub const SUSPEND: i32 = 2;
    /// Take the subscription from the request instead of the heartbeat.
    pub const SUBSCRIPTION: i32 = 4;
    /// The subscription is a class filter; no longer used.
    pub const CLASS_FILTER: i32 = 8;
    /// The request comes from a lite pull consumer.
    pub const LITE_PULL: i32 = 16;
}

header! {
    /// Asks for messages of one queue.
    pub struct PullHeader<'a> {
        /// The consumer's group.
        pub consumer_group: &'a str = "consumerGroup",
        /// The topic.
        pub topic: &'a str = "topic",
        /// The lite topic under it.
        pub lite_topic: Option<&'a str> = "liteTopic",
        /// The queue.
        pub queue_id: i32 = "queueId",
        /// Queue offset of the first message wanted.
        pub queue_offset: i64 = "queueOffset",
        /// At most this many messages.
        pub max_msg_nums: i32 = "maxMsgNums",
        /// See [`pull_flag`].
        pub sys_flag: i32 = "sysFlag",
        /// The group's progress, if [`pull_flag::COMMIT_OFFSET`] is set.
        pub commit_offset: i64 = "commitOffset",
        /// How long to hold the request, in milliseconds, if [`pull_flag::SUSPEND`] is set.
        pub suspend_timeout_millis: i64 = "suspendTimeoutMillis",
        /// The filter expression, if [`pull_flag::SUBSCRIPTION`] is set.
        pub subscription: Option<&'a str> = "subscription",
        /// Version of the subscription that the consumer works by.
        pub sub_version: i64 = "subVersion",
        /// `TAG` or `SQL92`; absent means `TAG`.
        pub expression_type: Option<&'a str> = "expressionType",
        /// At most this many bytes of records.
        pub max_msg_bytes: Option<i32> = "maxMsgBytes",
        /// Who asks: −1 client, 0 to 2 kinds of proxy.
        pub request_source: Option<i32> = "requestSource",
        /// The client behind a proxy. RocketMQ spells the name this way.
        pub proxy_forward_client_id: Option<&'a str> = "proxyFrowardClientId",
    }
}

header! {
    /// The answer to a pull, found or not.
    pub struct PullReply {
        /// The broker id to ask next; 0 is the master.
        pub suggest_which_broker_id: i64 = "suggestWhichBrokerId",
        /// Queue offset to go on from.
        pub next_begin_offset: i64 = "nextBeginOffset",
        /// Smallest queue offset there is.
        pub min_offset: i64 = "minOffset",
        /// One more than the largest queue offset there is.
        pub max_offset: i64 = "maxOffset",
        /// What to add to offsets in the records; 0 but for static topics.
        pub offset_delta: Option<i64> = "offsetDelta",
        /// System flag of the topic.
        pub topic_sys_flag: Option<i32> = "topicSysFlag",
        /// System flag of the group.
        pub group_sys_flag: Option<i32> = "groupSysFlag",
        /// With code 16, what forbids: 1 broker, 2 group, 3 topic, 4 broadcast, 5 subscription.
        pub forbidden_type: Option<i32> = "forbiddenType",
    }
}

header! {
    /// Asks for the record at a physical offset.
    pub struct ViewMessageHeader<'a> {
        /// The topic, from clients that send it.
        pub topic: Option<&'a str> = "topic",
        /// Physical offset of the record.
        pub offset: i64 = "offset",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::RequestCode;
    use crate::header::{DecodeExt, assert_fields};

    #[test]
    fn pull_round_trips() {
        let header = PullHeader {
            consumer_group: "g",
            topic: "t",
            lite_topic: None,
            queue_id: 3,
            queue_offset: 0,
            max_msg_nums: 32,
            sys_flag: pull_flag::COMMIT_OFFSET | pull_flag::SUSPEND,
            commit_offset: 9,
            suspend_timeout_millis: 15_000,
            subscription: Some(""),
            sub_version: 0,
            expression_type: Some("TAG"),
            max_msg_bytes: Some(i32::MAX),
            request_source: Some(-1),
            proxy_forward_client_id: None,
        };
        let ext = assert_fields(
            &header,
            &[
                ("consumerGroup", "g"),
                ("topic", "t"),
                ("queueId", "3"),
                ("queueOffset", "0"),
                ("maxMsgNums", "32"),
                ("sysFlag", "3"),
                ("commitOffset", "9"),
                ("suspendTimeoutMillis", "15000"),
                ("subscription", ""),
                ("subVersion", "0"),
                ("expressionType", "TAG"),
                ("maxMsgBytes", "2147483647"),
                ("requestSource", "-1"),
            ],
        );
        assert_eq!(PullHeader::decode(RequestCode::PullMessage, &ext), Ok(header));
    }

    #[test]
    fn answers_and_views_round_trip() {
        let reply = PullReply {
            suggest_which_broker_id: 0,
            next_begin_offset: 7,
            min_offset: 1,
            max_offset: 8,
            offset_delta: None,
            topic_sys_flag: Some(0),
            group_sys_flag: Some(0),
            forbidden_type: None,
        };
        let ext = assert_fields(
            &reply,
            &[
                ("suggestWhichBrokerId", "0"),
                ("nextBeginOffset", "7"),
                ("minOffset", "1"),
                ("maxOffset", "8"),
                ("topicSysFlag", "0"),
                ("groupSysFlag", "0"),
            ],
        );
        assert_eq!(PullReply::decode(RequestCode::PullMessage, &ext), Ok(reply));
        let view = ViewMessageHeader { topic: None, offset: 711 };
        let ext = assert_fields(&view, &[("offset", "711")]);
        assert_eq!(ViewMessageHeader::decode(RequestCode::ViewMessageById, &ext), Ok(view));
    }
}
