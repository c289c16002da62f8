//! Messages by key: code 12.

use crate::header::header;

header! {
    /// QUERY_MESSAGE (12): messages of a topic that have a key, or a unique key.
    pub struct QueryMessageHeader<'a> {
        /// The topic.
        pub topic: &'a str = "topic",
        /// One of the message's keys, or its unique key.
        pub key: &'a str = "key",
        /// As many messages at most.
        pub max_num: i32 = "maxNum",
        /// Stored at or after this time, milliseconds since 1970.
        pub begin_timestamp: i64 = "beginTimestamp",
        /// Stored at or before this time, milliseconds since 1970.
        pub end_timestamp: i64 = "endTimestamp",
        /// Which index: `K` keys, `U` unique keys, `T` tags. Older clients say nothing.
        pub index_type: Option<&'a str> = "indexType",
        /// Where an earlier answer ended; only RocketMQ's store in RocksDB reads it.
        pub last_key: Option<&'a str> = "lastKey",
        /// `true` for a unique key. It is no field of RocketMQ's header class: clients add it to the request.
        pub unique_key: Option<&'a str> = "_UNIQUE_KEY_QUERY",
    }
}

header! {
    /// The answer; its body is the records, one behind the other.
    pub struct QueryMessageReply {
        /// Store time of the newest message that can be found, milliseconds since 1970.
        pub index_last_update_timestamp: i64 = "indexLastUpdateTimestamp",
        /// Up to here in the log messages can be found.
        pub index_last_update_phyoffset: i64 = "indexLastUpdatePhyoffset",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::RequestCode;
    use crate::header::{DecodeExt, assert_fields};

    #[test]
    fn questions_and_answers_round_trip() {
        let header = QueryMessageHeader {
            topic: "t",
            key: "k",
            max_num: 32,
            begin_timestamp: 0,
            end_timestamp: i64::MAX,
            index_type: Some("K"),
            last_key: None,
            unique_key: Some("false"),
        };
        let fields = [
            ("topic", "t"),
            ("key", "k"),
            ("maxNum", "32"),
            ("beginTimestamp", "0"),
            ("endTimestamp", "9223372036854775807"),
            ("indexType", "K"),
            ("_UNIQUE_KEY_QUERY", "false"),
        ];
        let ext = assert_fields(&header, &fields);
        assert_eq!(QueryMessageHeader::decode(RequestCode::QueryMessage, &ext), Ok(header));
        let reply =
            QueryMessageReply { index_last_update_timestamp: 5, index_last_update_phyoffset: 6 };
        let fields = [("indexLastUpdateTimestamp", "5"), ("indexLastUpdatePhyoffset", "6")];
        let ext = assert_fields(&reply, &fields);
        assert_eq!(QueryMessageReply::decode(RequestCode::QueryMessage, &ext), Ok(reply));
    }
}
