//! A small remoting client of the harness's own: for what a check prepares and looks at itself.

use std::io::Write as _;
use std::net::TcpStream;

use super::cluster::connect;
use super::failure::{Failure, Trying, Verdict};
use crate::frame::{self, Parsed};

/// Request codes (RocketMQ 5.5.0, `RequestCode`).
const PULL_MESSAGE: i32 = 11;
const UPDATE_AND_CREATE_TOPIC: i32 = 17;
const SEND_MESSAGE_V2: i32 = 310;

/// Response codes (RocketMQ 5.5.0, `ResponseCode`).
pub const SUCCESS: i64 = 0;
/// The topic does not exist, or a NameServer knows no route for it.
pub const TOPIC_NOT_EXIST: i64 = 17;

/// Where a body is in a stored record, whose addresses are IPv4: after its length, at this byte.
const RECORD_BODY: usize = 88;
const RECORD_QUEUE_OFFSET: usize = 20;

/// One connection to a broker or NameServer, one request at a time.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    port: u16,
    opaque: i32,
}

/// What a send was answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The id that holds the broker's address and the offset in its log.
    pub offset_id: String,
    /// Place in the queue.
    pub queue_offset: u64,
}

impl Peer {
    /// Connects to a port of this host.
    ///
    /// # Errors
    /// If nobody listens.
    pub fn connect(port: u16) -> Verdict<Self> {
        let stream = connect(port).trying(format!("connecting to port {port}"))?;
        Ok(Self { stream, port, opaque: 0 })
    }

    /// One request and its answer, whatever its code.
    ///
    /// # Errors
    /// If none comes within five seconds, or it answers another request.
    pub fn ask(&mut self, code: i32, ext: &[(&str, &str)], body: &[u8]) -> Verdict<Parsed> {
        self.opaque += 1;
        let what = format!("request {code} to port {}", self.port);
        let request = frame::request(code, 0, self.opaque, ext, body);
        self.stream.write_all(&request).trying(&*what)?;
        let answer = frame::read(&mut self.stream).trying(&*what)?;
        let closed = || Failure::Wrong(format!("{what}: the connection was closed"));
        let answer = Parsed::of(&answer.ok_or_else(closed)?).trying(&*what)?;
        if !answer.is_reply() || answer.opaque != i64::from(self.opaque) {
            return Err(Failure::Wrong(format!("{what}: answered with {answer:?}")));
        }
        Ok(answer)
    }

    fn ask_well(&mut self, code: i32, ext: &[(&str, &str)], body: &[u8]) -> Verdict<Parsed> {
        let answer = self.ask(code, ext, body)?;
        if answer.code == SUCCESS {
            return Ok(answer);
        }
        let Parsed { code: seen, remark, .. } = answer;
        Err(Failure::Wrong(format!("request {code} was answered with {seen}: {remark:?}")))
    }

    /// Creates a topic that can be read and written.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn create_topic(&mut self, topic: &str, queues: u32) -> Verdict {
        let queues = queues.to_string();
        let ext = [
            ("topic", topic),
            ("defaultTopic", "TBW102"),
            ("readQueueNums", &queues),
            ("writeQueueNums", &queues),
            ("perm", "6"),
            ("topicFilterType", "SINGLE_TAG"),
            ("topicSysFlag", "0"),
            ("order", "false"),
        ];
        self.ask_well(UPDATE_AND_CREATE_TOPIC, &ext, b"").map(|_| ())
    }

    /// Sends a message; `properties` as pairs.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn send(
        &mut self,
        topic: &str,
        queue: u32,
        properties: &[(&str, &str)],
        body: &[u8],
    ) -> Verdict<Accepted> {
        let queue = queue.to_string();
        let properties: String =
            properties.iter().map(|(key, value)| format!("{key}\u{1}{value}\u{2}")).collect();
        let ext = [
            ("a", "interop"),
            ("b", topic),
            ("c", "TBW102"),
            ("d", "4"),
            ("e", &*queue),
            ("f", "0"),
            ("g", "1700000000000"),
            ("h", "0"),
            ("i", &*properties),
            ("j", "0"),
            ("k", "false"),
            ("m", "false"),
        ];
        let answer = self.ask_well(SEND_MESSAGE_V2, &ext, body)?;
        let offset = answer.ext.get("queueOffset").and_then(|offset| offset.parse().ok());
        match (answer.ext.get("msgId"), offset) {
            (Some(id), Some(queue_offset)) => Ok(Accepted { offset_id: id.clone(), queue_offset }),
            _ => Err(Failure::Wrong(format!("an acceptance without id or offset: {answer:?}"))),
        }
    }

    /// The body of the message at an offset of a queue.
    ///
    /// # Errors
    /// If there is none.
    pub fn body_at(&mut self, topic: &str, queue: u32, offset: u64) -> Verdict<Vec<u8>> {
        let (queue, wanted) = (queue.to_string(), offset.to_string());
        let ext = [
            ("consumerGroup", "interop"),
            ("topic", topic),
            ("queueId", &*queue),
            ("queueOffset", &*wanted),
            ("maxMsgNums", "1"),
            ("sysFlag", "4"),
            ("commitOffset", "0"),
            ("suspendTimeoutMillis", "0"),
            ("subscription", "*"),
            ("subVersion", "0"),
            ("expressionType", "TAG"),
        ];
        let answer = self.ask_well(PULL_MESSAGE, &ext, b"")?;
        let wrong = || Failure::Wrong(format!("no record of offset {offset} in {answer:?}"));
        let (seen, body) = record(&answer.body).ok_or_else(wrong)?;
        if seen == offset { Ok(body.to_vec()) } else { Err(wrong()) }
    }
}

/// Queue offset and body of the first record of a pull's answer.
fn record(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let number = |at: usize, len: usize| {
        let bytes = bytes.get(at..at + len)?;
        Some(bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)))
    };
    let offset = number(RECORD_QUEUE_OFFSET, 8)?;
    let length = usize::try_from(number(RECORD_BODY - 4, 4)?).ok()?;
    Some((offset, bytes.get(RECORD_BODY..RECORD_BODY.checked_add(length)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_and_a_cut_one_is_not() {
        let mut bytes = vec![0_u8; RECORD_BODY];
        bytes[RECORD_QUEUE_OFFSET + 7] = 9;
        bytes[RECORD_BODY - 1] = 3;
        bytes.extend_from_slice(b"abc and more");
        assert_eq!(record(&bytes), Some((9, &b"abc"[..])));
        assert_eq!(record(&bytes[..RECORD_BODY + 2]), None);
        assert_eq!(record(&bytes[..40]), None);
    }
}
