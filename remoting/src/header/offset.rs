//! Queue offsets and consumer progress: codes 14, 15, 29, 30, 31, 32.

use crate::codes::RequestCode;
use crate::command::ExtSink;
use crate::header::{Field, HeaderError, header};

/// Which message a search by time means when several, or none, have that time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Boundary {
    /// The first one stored at or after the time. What clients that say nothing get.
    #[default]
    Lower,
    /// The last one stored at or before the time.
    Upper,
}

/// As RocketMQ reads it: `UPPER` in any case, and everything else is `LOWER`.
impl Field<'_> for Boundary {
    fn read(_: RequestCode, _: &'static str, raw: Option<&str>) -> Result<Self, HeaderError> {
        let upper = raw.is_some_and(|raw| raw.eq_ignore_ascii_case("upper"));
        Ok(if upper { Self::Upper } else { Self::Lower })
    }

    fn write(&self, name: &'static str, sink: &mut dyn ExtSink) {
        sink.text(
            name,
            match self {
                Self::Lower => "LOWER",
                Self::Upper => "UPPER",
            },
        );
    }
}

header! {
    /// QUERY_CONSUMER_OFFSET (14): a group's progress in one queue.
    pub struct QueryOffsetHeader<'a> {
        /// The group.
        pub consumer_group: &'a str = "consumerGroup",
        /// The topic.
        pub topic: &'a str = "topic",
        /// The queue.
        pub queue_id: i32 = "queueId",
        /// May the answer be 0 if the group has none yet? Absent means yes.
        pub set_zero_if_not_found: Option<bool> = "setZeroIfNotFound",
    }
}

header! {
    /// UPDATE_CONSUMER_OFFSET (15).
    pub struct UpdateOffsetHeader<'a> {
        /// The group.
        pub consumer_group: &'a str = "consumerGroup",
        /// The topic.
        pub topic: &'a str = "topic",
        /// The queue.
        pub queue_id: i32 = "queueId",
        /// Queue offset of the first message not consumed yet.
        pub commit_offset: i64 = "commitOffset",
    }
}

header! {
    /// GET_MAX_OFFSET (30).
    pub struct MaxOffsetHeader<'a> {
        /// The topic.
        pub topic: &'a str = "topic",
        /// The queue.
        pub queue_id: i32 = "queueId",
        /// Count only what is committed? Absent means yes.
        pub committed: Option<bool> = "committed",
    }
}

header! {
    /// GET_MIN_OFFSET (31) and GET_EARLIEST_MSG_STORETIME (32).
    pub struct QueueHeader<'a> {
        /// The topic.
        pub topic: &'a str = "topic",
        /// The queue.
        pub queue_id: i32 = "queueId",
    }
}

header! {
    /// SEARCH_OFFSET_BY_TIMESTAMP (29).
    pub struct SearchOffsetHeader<'a> {
        /// The topic.
        pub topic: &'a str = "topic",
        /// The lite topic under it.
        pub lite_topic: Option<&'a str> = "liteTopic",
        /// The queue.
        pub queue_id: i32 = "queueId",
        /// Store time, in milliseconds since 1970.
        pub timestamp: i64 = "timestamp",
        /// Which side of the time.
        pub boundary: Boundary = "boundaryType",
    }
}

header! {
    /// The answer to 14, 29, 30 and 31.
    pub struct OffsetReply {
        /// A queue offset.
        pub offset: i64 = "offset",
    }
}

header! {
    /// The answer to 32.
    pub struct StoreTimeReply {
        /// Store time in milliseconds since 1970; −1 if the queue is empty.
        pub timestamp: i64 = "timestamp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::{DecodeExt, assert_fields};

    #[test]
    fn progress_round_trips() {
        let header = QueryOffsetHeader {
            consumer_group: "g",
            topic: "t",
            queue_id: 0,
            set_zero_if_not_found: Some(false),
        };
        let fields = [
            ("consumerGroup", "g"),
            ("topic", "t"),
            ("queueId", "0"),
            ("setZeroIfNotFound", "false"),
        ];
        let ext = assert_fields(&header, &fields);
        assert_eq!(QueryOffsetHeader::decode(RequestCode::QueryConsumerOffset, &ext), Ok(header));

        let header =
            UpdateOffsetHeader { consumer_group: "g", topic: "t", queue_id: 1, commit_offset: 5 };
        let fields =
            [("consumerGroup", "g"), ("topic", "t"), ("queueId", "1"), ("commitOffset", "5")];
        let ext = assert_fields(&header, &fields);
        assert_eq!(UpdateOffsetHeader::decode(RequestCode::UpdateConsumerOffset, &ext), Ok(header));
    }

    #[test]
    fn queue_questions_round_trip() {
        let header = MaxOffsetHeader { topic: "t", queue_id: 2, committed: None };
        let ext = assert_fields(&header, &[("topic", "t"), ("queueId", "2")]);
        assert_eq!(MaxOffsetHeader::decode(RequestCode::GetMaxOffset, &ext), Ok(header));
        let same = QueueHeader { topic: "t", queue_id: 2 };
        assert_eq!(QueueHeader::decode(RequestCode::GetMinOffset, &ext), Ok(same));

        let ext = assert_fields(&OffsetReply { offset: -1 }, &[("offset", "-1")]);
        let reply = OffsetReply::decode(RequestCode::GetMinOffset, &ext);
        assert_eq!(reply, Ok(OffsetReply { offset: -1 }));
        let ext = assert_fields(&StoreTimeReply { timestamp: 1 }, &[("timestamp", "1")]);
        let reply = StoreTimeReply::decode(RequestCode::GetEarliestMsgStoretime, &ext);
        assert_eq!(reply, Ok(StoreTimeReply { timestamp: 1 }));
    }

    #[test]
    fn the_side_of_a_time_defaults_to_lower() {
        let code = RequestCode::SearchOffsetByTimestamp;
        let header = SearchOffsetHeader {
            topic: "t",
            lite_topic: None,
            queue_id: 2,
            timestamp: 3,
            boundary: Boundary::Upper,
        };
        let fields =
            [("topic", "t"), ("queueId", "2"), ("timestamp", "3"), ("boundaryType", "UPPER")];
        let mut ext = assert_fields(&header, &fields);
        assert_eq!(SearchOffsetHeader::decode(code, &ext), Ok(header));
        for raw in ["lower", "sideways", ""] {
            ext.insert("boundaryType", raw);
            let header = SearchOffsetHeader::decode(code, &ext).unwrap();
            assert_eq!(header.boundary, Boundary::Lower);
        }
    }
}
