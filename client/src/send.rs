//! Sending messages.

use remoting::batch::{self, BatchMessage};
use remoting::command::{EncodeExt, ExtSink};
use remoting::header::send::{SendHeader, SendReply};
use remoting::{Command, RequestCode, ResponseCode};

use crate::client::{Client, header, refused};
use crate::error::ClientError;

/// Ends the name of a property.
const NAME_END: char = '\u{1}';
/// Ends the value of a property.
const VALUE_END: char = '\u{2}';

/// A message to send.
#[derive(Debug, Clone, Copy, Default)]
pub struct Message<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The queue; `None` lets the broker choose.
    pub queue: Option<i32>,
    /// Properties; `TAGS` and `KEYS` are the tag and the keys.
    pub properties: &'a [(&'a str, &'a str)],
    /// The body, as it shall be stored.
    pub body: &'a [u8],
    /// The application's flag.
    pub flag: i32,
    /// The system flag, such as compression bits.
    pub sys_flag: i32,
}

/// How a send is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// Code 310 with short names, as Java clients do.
    #[default]
    Short,
    /// Code 10 with long names, as Go clients do.
    Long,
}

/// What became of a message that was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendStatus {
    /// Stored as durably as the broker is configured to.
    Ok,
    /// Stored, but the flush took too long (code 10).
    FlushDiskTimeout,
    /// Stored, but there is no replica to copy it (code 11).
    SlaveNotAvailable,
    /// Stored, but the replica took too long (code 12).
    FlushSlaveTimeout,
}

/// The receipt of a message, or of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// How durably.
    pub status: SendStatus,
    /// Message id with the address of the broker; comma-joined for a batch.
    pub message_id: String,
    /// The queue.
    pub queue_id: i32,
    /// Queue offset of the (first) message.
    pub queue_offset: i64,
}

impl Client {
    /// Sends one message to a broker.
    ///
    /// # Errors
    /// Not stored as far as the broker says, or no answer: then it may be stored.
    pub async fn send(
        &self,
        addr: &str,
        group: &str,
        message: &Message<'_>,
        form: Form,
    ) -> Result<Sent, ClientError> {
        let properties = properties(message.properties)?;
        let header = send_header(group, message, &properties, false);
        let answer = match form {
            Form::Short => {
                self.exchange(addr, RequestCode::SendMessageV2, &header, message.body).await?
            }
            Form::Long => {
                self.exchange(addr, RequestCode::SendMessage, &LongNames(&header), message.body)
                    .await?
            }
        };
        receipt(addr, RequestCode::SendMessageV2, answer)
    }

    /// Sends messages as one batch (code 320): all are stored or none. They go to the topic and queue of the first.
    ///
    /// # Errors
    /// As [`send`](Self::send), or the batch cannot be written.
    pub async fn send_batch(
        &self,
        addr: &str,
        group: &str,
        messages: &[Message<'_>],
    ) -> Result<Sent, ClientError> {
        let mut body = Vec::new();
        for message in messages {
            let properties = properties(message.properties)?;
            let part = BatchMessage {
                flag: message.flag,
                body: message.body,
                properties: properties.as_bytes(),
            };
            batch::append(&mut body, &part)?;
        }
        let first = messages.first().copied().unwrap_or_default();
        let header = send_header(group, &first, "", true);
        let code = RequestCode::SendBatchMessage;
        let answer = self.exchange(addr, code, &header, &body).await?;
        receipt(addr, code, answer)
    }
}

fn send_header<'a>(
    group: &'a str,
    message: &Message<'a>,
    properties: &'a str,
    batch: bool,
) -> SendHeader<'a> {
    SendHeader {
        producer_group: group,
        topic: message.topic,
        default_topic: "TBW102",
        default_topic_queue_nums: 4,
        queue_id: message.queue.unwrap_or(-1),
        sys_flag: message.sys_flag,
        born_timestamp: i64::try_from(runtime::unix_millis()).expect("the clock is in this era"),
        flag: message.flag,
        properties: Some(properties),
        reconsume_times: 0,
        unit_mode: false,
        max_reconsume_times: None,
        batch,
        broker_name: None,
    }
}

fn properties(pairs: &[(&str, &str)]) -> Result<String, ClientError> {
    let mut text = String::new();
    for (name, value) in pairs {
        if [name, value].iter().any(|part| part.contains([NAME_END, VALUE_END])) {
            return Err(ClientError::Property { name: (*name).to_owned() });
        }
        text.push_str(name);
        text.push(NAME_END);
        text.push_str(value);
        text.push(VALUE_END);
    }
    Ok(text)
}

fn receipt(addr: &str, request: RequestCode, answer: Command) -> Result<Sent, ClientError> {
    let status = match ResponseCode::from_code(answer.code) {
        Some(ResponseCode::Success) => SendStatus::Ok,
        Some(ResponseCode::FlushDiskTimeout) => SendStatus::FlushDiskTimeout,
        Some(ResponseCode::SlaveNotAvailable) => SendStatus::SlaveNotAvailable,
        Some(ResponseCode::FlushSlaveTimeout) => SendStatus::FlushSlaveTimeout,
        _ => return Err(refused(addr, request, answer)),
    };
    let reply: SendReply<'_> = header(addr, request, &answer)?;
    Ok(Sent {
        status,
        message_id: reply.msg_id.to_owned(),
        queue_id: reply.queue_id,
        queue_offset: reply.queue_offset,
    })
}

/// The same fields under the names of code 10.
struct LongNames<'a>(&'a SendHeader<'a>);

impl EncodeExt for LongNames<'_> {
    fn encode_ext(&self, sink: &mut dyn ExtSink) {
        let header = self.0;
        sink.text("producerGroup", header.producer_group);
        sink.text("topic", header.topic);
        sink.text("defaultTopic", header.default_topic);
        sink.number("defaultTopicQueueNums", header.default_topic_queue_nums.into());
        sink.number("queueId", header.queue_id.into());
        sink.number("sysFlag", header.sys_flag.into());
        sink.number("bornTimestamp", header.born_timestamp);
        sink.number("flag", header.flag.into());
        sink.text("properties", header.properties.unwrap_or_default());
        sink.number("reconsumeTimes", header.reconsume_times.into());
        sink.text("unitMode", "false");
        sink.text("batch", "false");
    }
}
