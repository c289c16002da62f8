//! Sending: SEND_MESSAGE (10), SEND_MESSAGE_V2 (310), SEND_BATCH_MESSAGE (320).

use crate::codes::RequestCode;
use crate::command::{EncodeExt, ExtRef, ExtSink};
use crate::header::{DecodeExt, Field, HeaderError, header};

/// Number of fields, and of letters `a` to `n`.
const FIELDS: usize = 14;

/// Long names, in the order of their letters. RocketMQ 5.5.0, class SendMessageRequestHeaderV2.
const LONG: [&str; FIELDS] = [
    "producerGroup",
    "topic",
    "defaultTopic",
    "defaultTopicQueueNums",
    "queueId",
    "sysFlag",
    "bornTimestamp",
    "flag",
    "properties",
    "reconsumeTimes",
    "unitMode",
    "maxReconsumeTimes",
    "batch",
    "brokerName",
];

/// Short names, in the same order.
const SHORT: [&str; FIELDS] =
    ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"];

/// What comes with a message or a batch of them. It is read from long names (code 10) and from
/// short ones (310, 320) alike, since clients mix them, and written with short ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendHeader<'a> {
    /// The producer's group.
    pub producer_group: &'a str,
    /// Where the message goes.
    pub topic: &'a str,
    /// The topic whose settings a topic that does not exist yet inherits.
    pub default_topic: &'a str,
    /// How many queues such a topic gets at most.
    pub default_topic_queue_nums: i32,
    /// The queue; negative lets the broker choose.
    pub queue_id: i32,
    /// The message's system flag bits.
    pub sys_flag: i32,
    /// When the message was made, in milliseconds since 1970 by the producer's clock.
    pub born_timestamp: i64,
    /// The application's own flag.
    pub flag: i32,
    /// The properties in wire form; absent means none.
    pub properties: Option<&'a str>,
    /// How often the message has been consumed in vain; 0 when absent.
    pub reconsume_times: i32,
    /// Set by producers that belong to a unit; false when absent.
    pub unit_mode: bool,
    /// How often it may be; absent leaves it to the group's settings.
    pub max_reconsume_times: Option<i32>,
    /// True if the body is a batch; false when absent.
    pub batch: bool,
    /// The broker that the producer means.
    pub broker_name: Option<&'a str>,
}

/// The raw values, by letter.
struct Raw<'a> {
    code: RequestCode,
    values: [Option<&'a str>; FIELDS],
}

impl<'a> Raw<'a> {
    /// One pass over the fields: this is the hottest header.
    fn collect(code: RequestCode, ext: &'a ExtRef<'_>) -> Self {
        let mut values = [None; FIELDS];
        for (name, value) in ext.iter() {
            let index = match name.as_bytes() {
                [letter @ b'a'..=b'n'] => Some(usize::from(letter - b'a')),
                _ => LONG.iter().position(|long| *long == name),
            };
            if let Some(index) = index {
                values[index] = Some(value);
            }
        }
        Self { code, values }
    }

    fn field<T: Field<'a>>(&self, index: usize) -> Result<T, HeaderError> {
        T::read(self.code, LONG[index], self.values[index])
    }

    fn field_or_default<T: Field<'a> + Default>(&self, index: usize) -> Result<T, HeaderError> {
        Ok(self.field::<Option<T>>(index)?.unwrap_or_default())
    }
}

impl<'a> DecodeExt<'a> for SendHeader<'a> {
    fn decode(code: RequestCode, ext: &'a ExtRef<'_>) -> Result<Self, HeaderError> {
        let raw = Raw::collect(code, ext);
        Ok(Self {
            producer_group: raw.field(0)?,
            topic: raw.field(1)?,
            default_topic: raw.field(2)?,
            default_topic_queue_nums: raw.field(3)?,
            queue_id: raw.field(4)?,
            sys_flag: raw.field(5)?,
            born_timestamp: raw.field(6)?,
            flag: raw.field(7)?,
            properties: raw.field(8)?,
            reconsume_times: raw.field_or_default(9)?,
            unit_mode: raw.field_or_default(10)?,
            max_reconsume_times: raw.field(11)?,
            batch: raw.field_or_default(12)?,
            broker_name: raw.field(13)?,
        })
    }
}

impl EncodeExt for SendHeader<'_> {
    fn encode_ext(&self, sink: &mut dyn ExtSink) {
        self.producer_group.write(SHORT[0], sink);
        self.topic.write(SHORT[1], sink);
        self.default_topic.write(SHORT[2], sink);
        self.default_topic_queue_nums.write(SHORT[3], sink);
        self.queue_id.write(SHORT[4], sink);
        self.sys_flag.write(SHORT[5], sink);
        self.born_timestamp.write(SHORT[6], sink);
        self.flag.write(SHORT[7], sink);
        self.properties.write(SHORT[8], sink);
        self.reconsume_times.write(SHORT[9], sink);
        self.unit_mode.write(SHORT[10], sink);
        self.max_reconsume_times.write(SHORT[11], sink);
        self.batch.write(SHORT[12], sink);
        self.broker_name.write(SHORT[13], sink);
    }
}

header! {
    /// The answer to a send that was stored; codes 10, 11 and 12 carry it as 0 does.
    pub struct SendReply<'a> {
        /// Offset message ids, comma-joined for a batch.
        pub msg_id: &'a str = "msgId",
        /// The queue that was written.
        pub queue_id: i32 = "queueId",
        /// Queue offset of the (first) message.
        pub queue_offset: i64 = "queueOffset",
        /// The client's unique key of the message.
        pub transaction_id: Option<&'a str> = "transactionId",
        /// Unique keys of a batch stored as one record.
        pub batch_uniq_id: Option<&'a str> = "batchUniqId",
        /// By which a timed message can be called back.
        pub recall_handle: Option<&'a str> = "recallHandle",
        /// The broker's region, for trace messages.
        pub region: Option<&'a str> = "MSG_REGION",
        /// Whether the client may send trace messages.
        pub trace_on: Option<bool> = "TRACE_ON",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::ExtFields;
    use crate::header::assert_fields;

    const HEADER: SendHeader<'static> = SendHeader {
        producer_group: "pg",
        topic: "t",
        default_topic: "TBW102",
        default_topic_queue_nums: 4,
        queue_id: -1,
        sys_flag: 0x301,
        born_timestamp: 1_763_000_000_000,
        flag: 7,
        properties: Some("KEYS\u{1}k\u{2}"),
        reconsume_times: 2,
        unit_mode: true,
        max_reconsume_times: Some(16),
        batch: true,
        broker_name: Some("b"),
    };

    const VALUES: [&str; FIELDS] = [
        "pg",
        "t",
        "TBW102",
        "4",
        "-1",
        "769",
        "1763000000000",
        "7",
        "KEYS\u{1}k\u{2}",
        "2",
        "true",
        "16",
        "true",
        "b",
    ];

    fn fields(names: [&'static str; FIELDS]) -> Vec<(&'static str, &'static str)> {
        names.into_iter().zip(VALUES).collect()
    }

    #[test]
    fn short_names_round_trip() {
        let ext = assert_fields(&HEADER, &fields(SHORT));
        assert_eq!(SendHeader::decode(RequestCode::SendMessageV2, &ext), Ok(HEADER));
    }

    #[test]
    fn long_names_mean_the_same() {
        let mut ext = ExtFields::new();
        fields(LONG).as_slice().encode_ext(&mut ext);
        assert_eq!(SendHeader::decode(RequestCode::SendMessage, &ext), Ok(HEADER));
    }

    #[test]
    fn what_old_producers_leave_out_has_defaults() {
        let mut ext = ExtFields::new();
        fields(SHORT)[..8].encode_ext(&mut ext);
        let want = SendHeader {
            properties: None,
            reconsume_times: 0,
            unit_mode: false,
            max_reconsume_times: None,
            batch: false,
            broker_name: None,
            ..HEADER
        };
        assert_eq!(SendHeader::decode(RequestCode::SendBatchMessage, &ext), Ok(want));
    }

    #[test]
    fn each_required_field_is_missed_by_its_long_name() {
        let code = RequestCode::SendMessageV2;
        for (index, &field) in LONG.iter().enumerate().take(8) {
            let mut ext = ExtFields::new();
            for (name, value) in fields(SHORT) {
                if name != SHORT[index] {
                    ext.insert(name, value);
                }
            }
            let error = HeaderError::Missing { code, field };
            assert_eq!(SendHeader::decode(code, &ext), Err(error));
        }
    }

    #[test]
    fn an_answer_round_trips() {
        let reply = SendReply {
            msg_id: "7F000001000078BF00000000000002C7",
            queue_id: 3,
            queue_offset: 12,
            transaction_id: Some("U"),
            batch_uniq_id: None,
            recall_handle: None,
            region: Some("DefaultRegion"),
            trace_on: Some(true),
        };
        let ext = assert_fields(
            &reply,
            &[
                ("msgId", "7F000001000078BF00000000000002C7"),
                ("queueId", "3"),
                ("queueOffset", "12"),
                ("transactionId", "U"),
                ("MSG_REGION", "DefaultRegion"),
                ("TRACE_ON", "true"),
            ],
        );
        assert_eq!(SendReply::decode(RequestCode::SendMessageV2, &ext), Ok(reply));
    }
}
