//! Topics and groups: codes 17, 202, 208, 215, 300, 351, 352.

use crate::header::header;

header! {
    /// UPDATE_AND_CREATE_TOPIC (17).
    pub struct CreateTopicHeader<'a> {
        /// The topic to create or change.
        pub topic: &'a str = "topic",
        /// Sent by every client, of no use for this request.
        pub default_topic: &'a str = "defaultTopic",
        /// Queues that consumers see.
        pub read_queue_nums: i32 = "readQueueNums",
        /// Queues that producers see.
        pub write_queue_nums: i32 = "writeQueueNums",
        /// Permission bits, see [`crate::route::Perm`].
        pub perm: i32 = "perm",
        /// `SINGLE_TAG` or `MULTI_TAG`.
        pub topic_filter_type: &'a str = "topicFilterType",
        /// System flag; absent means 0.
        pub topic_sys_flag: Option<i32> = "topicSysFlag",
        /// Keep the order even while a broker is away.
        pub order: bool = "order",
        /// Attributes to set or drop, `+key=value,-key`.
        pub attributes: Option<&'a str> = "attributes",
        /// Only for static topics; absent means false.
        pub force: Option<bool> = "force",
    }
}

header! {
    /// Just a topic: DELETE_TOPIC_IN_BROKER (215), GET_TOPIC_CONFIG (351), GET_TOPIC_STATS_INFO
    /// (202), QUERY_TOPIC_CONSUME_BY_WHO (300).
    pub struct TopicHeader<'a> {
        /// The topic.
        pub topic: &'a str = "topic",
    }
}

header! {
    /// GET_CONSUME_STATS (208).
    pub struct ConsumeStatsHeader<'a> {
        /// The group.
        pub consumer_group: &'a str = "consumerGroup",
        /// Only this topic; absent or empty means all that the group consumes.
        pub topic: Option<&'a str> = "topic",
        /// Only these topics.
        pub topic_list: Option<&'a str> = "topicList",
    }
}

header! {
    /// GET_SUBSCRIPTIONGROUP_CONFIG (352).
    pub struct GroupHeader<'a> {
        /// The group.
        pub group: &'a str = "group",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::RequestCode;
    use crate::header::{DecodeExt, assert_fields};

    #[test]
    fn create_round_trips() {
        let header = CreateTopicHeader {
            topic: "t",
            default_topic: "TBW102",
            read_queue_nums: 8,
            write_queue_nums: 4,
            perm: 6,
            topic_filter_type: "SINGLE_TAG",
            topic_sys_flag: Some(0),
            order: false,
            attributes: Some("+message.type=NORMAL"),
            force: None,
        };
        let ext = assert_fields(
            &header,
            &[
                ("topic", "t"),
                ("defaultTopic", "TBW102"),
                ("readQueueNums", "8"),
                ("writeQueueNums", "4"),
                ("perm", "6"),
                ("topicFilterType", "SINGLE_TAG"),
                ("topicSysFlag", "0"),
                ("order", "false"),
                ("attributes", "+message.type=NORMAL"),
            ],
        );
        let code = RequestCode::UpdateAndCreateTopic;
        assert_eq!(CreateTopicHeader::decode(code, &ext), Ok(header));
        let topic = TopicHeader { topic: "t" };
        assert_eq!(TopicHeader::decode(RequestCode::DeleteTopicInBroker, &ext), Ok(topic));
    }

    #[test]
    fn groups_round_trip() {
        let header = ConsumeStatsHeader { consumer_group: "g", topic: Some("t"), topic_list: None };
        let ext = assert_fields(&header, &[("consumerGroup", "g"), ("topic", "t")]);
        assert_eq!(ConsumeStatsHeader::decode(RequestCode::GetConsumeStats, &ext), Ok(header));
        let header = GroupHeader { group: "g" };
        let ext = assert_fields(&header, &[("group", "g")]);
        let code = RequestCode::GetSubscriptiongroupConfig;
        assert_eq!(GroupHeader::decode(code, &ext), Ok(header));
    }
}
