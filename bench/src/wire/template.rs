//! Send requests that are written once and stamped for each message.

use remoting::header::send::SendHeader;
use remoting::{RequestCode, RequestHead, encode_request};

use super::body;
use crate::wire::OPAQUE_BASE;

/// A born time in milliseconds with the 13 digits that such times have from 2001 to 2286.
const BORN: i64 = 1_111_111_111_111;
/// Stands where the second half of the unique key goes: the message's number in hex.
const NUMBER: &str = "NNNNNNNNNNNNNNNN";

/// Length prefix and header of a send to one topic, for queue numbers of so many digits. From one message to the next only
/// the request's number, the queue, the born time and the unique key differ, all of them of fixed width: stamping them costs
/// a tenth of encoding. Queues share a template, so that a load on many queues stays in the cache.
#[derive(Clone, Debug)]
pub struct SendTemplate {
    bytes: Vec<u8>,
    at_opaque: usize,
    at_born: usize,
    at_number: usize,
    at_queue: usize,
    queue_digits: usize,
    body_len: usize,
}

/// What all sends of a lane share.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// Producer group.
    pub group: &'a str,
    /// Topic.
    pub topic: &'a str,
    /// Queues that the topic gets if the first send creates it.
    pub topic_queues: i32,
    /// First half of the unique keys, as 16 hex digits: differs from lane to lane and from run to run.
    pub key: u64,
    /// Bytes of each body.
    pub body_len: usize,
}

impl SendTemplate {
    /// The request of `sender` for queues of the broker named `broker` whose numbers have as many digits as `queue_id`.
    ///
    /// # Panics
    /// When the body is too long for a frame; the command line does not allow that.
    #[must_use]
    pub fn new(sender: &Sender<'_>, broker: &str, queue_id: i32) -> SendTemplate {
        assert!(queue_id >= 0, "queues are counted from 0");
        let properties = format!("UNIQ_KEY\u{1}{:016X}{NUMBER}\u{2}WAIT\u{1}true\u{2}", sender.key);
        let header = SendHeader {
            producer_group: sender.group,
            topic: sender.topic,
            default_topic: model::topic::AUTO_CREATE,
            default_topic_queue_nums: sender.topic_queues,
            queue_id,
            sys_flag: 0,
            born_timestamp: BORN,
            flag: 0,
            properties: Some(&properties),
            reconsume_times: 0,
            unit_mode: false,
            max_reconsume_times: None,
            batch: false,
            broker_name: Some(broker),
        };
        let code = RequestCode::SendMessageV2.code();
        let head = RequestHead { code, opaque: OPAQUE_BASE, oneway: false, ext: &header };
        let mut bytes = Vec::new();
        encode_request(&mut bytes, &head, sender.body_len).expect("the body fits a frame");
        SendTemplate {
            at_opaque: after(&bytes, "\"opaque\":", &OPAQUE_BASE.to_string()),
            at_born: after(&bytes, "\"g\":\"", &BORN.to_string()),
            at_number: after(&bytes, &format!("{:016X}", sender.key), NUMBER),
            at_queue: after(&bytes, "\"e\":\"", &queue_id.to_string()),
            queue_digits: queue_id.to_string().len(),
            body_len: sender.body_len,
            bytes,
        }
    }

    /// Bytes of a whole frame, body included.
    #[must_use]
    pub fn frame_len(&self) -> usize {
        self.bytes.len() + self.body_len
    }

    /// Appends the frame of one message. Its number is written over the beginning of its body, too, where that has room for it.
    pub fn append(&self, out: &mut Vec<u8>, stamp: &Stamp<'_>, unnumbered: &[u8]) {
        assert_eq!(unnumbered.len(), self.body_len, "the frame's length says how long the body is");
        let Stamp { opaque, queue_id, born, number } = *stamp;
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        out.extend_from_slice(unnumbered);
        let frame = &mut out[start..];
        decimal(&mut frame[self.at_opaque..][..7], u64::try_from(opaque).expect("from a slot"));
        frame[self.at_born..][..13].copy_from_slice(born);
        hex(&mut frame[self.at_number..][..16], number);
        let queue = u64::try_from(queue_id).expect("queues are counted from 0");
        decimal(&mut frame[self.at_queue..][..self.queue_digits], queue);
        body::number(&mut frame[self.bytes.len()..], number);
    }
}

/// What differs from one message to the next.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// Number of the request.
    pub opaque: i32,
    /// The queue, with as many digits as the template is for.
    pub queue_id: i32,
    /// [`born_digits`].
    pub born: &'a [u8; 13],
    /// Makes the unique key unique.
    pub number: u64,
}

/// Where `value` stands behind `name`; it must stand there once.
fn after(bytes: &[u8], name: &str, value: &str) -> usize {
    let whole = format!("{name}{value}");
    let mut places = bytes.windows(whole.len()).enumerate();
    let mut next = || places.find(|(_, window)| *window == whole.as_bytes()).map(|(at, _)| at);
    let (first, second) = (next(), next());
    assert!(second.is_none(), "what is stamped stands in the header once");
    first.expect("the header was written with it") + name.len()
}

/// The digits of a time in milliseconds since 1970.
///
/// # Panics
/// Before 2001 and after 2286.
#[must_use]
pub fn born_digits(unix_millis: u64) -> [u8; 13] {
    let mut digits = [0; 13];
    decimal(&mut digits, unix_millis);
    assert!(digits[0] != b'0', "the clock of this machine is set to before 2001");
    digits
}

/// Writes `number` with leading zeros.
fn decimal(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).expect("a digit");
        number /= 10;
    }
    assert!(number == 0, "the number fits its digits");
}

/// Writes `number` in hex with leading zeros.
pub(super) fn hex(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789ABCDEF"[usize::try_from(number % 16).expect("a digit")];
        number /= 16;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use remoting::header::DecodeExt;
    use remoting::{Command, MAX_FRAME, frame};

    use super::*;

    fn decode(bytes: &[u8]) -> (Command, usize) {
        let range = frame::split(bytes, MAX_FRAME).unwrap().unwrap();
        (Command::from_frame(&Bytes::copy_from_slice(bytes), &range).unwrap(), range.end())
    }

    #[test]
    fn a_stamped_frame_says_what_an_encoded_one_would() {
        // A topic and a group that look like what is stamped.
        let topic = "opaque1000000";
        let sender =
            Sender { group: "1111111111111", topic, topic_queues: 8, key: 0xABCD, body_len: 5 };
        let template = SendTemplate::new(&sender, "b-0", 100);
        let mut out = b"before".to_vec();
        let stamp = |opaque, queue_id, born, number| Stamp { opaque, queue_id, born, number };
        let born = [born_digits(1_735_689_600_123), born_digits(1_735_689_600_124)];
        template.append(&mut out, &stamp(1_065_535, 123, &born[0], u64::MAX), b"hello");
        assert_eq!(out.len(), 6 + template.frame_len());
        template.append(&mut out, &stamp(1_000_007, 999, &born[1], 10), b"world");
        let (first, end) = decode(&out[6..]);
        let (second, last) = decode(&out[6 + end..]);
        assert_eq!(6 + end + last, out.len());
        assert_eq!((first.opaque, second.opaque), (1_065_535, 1_000_007));
        assert_eq!((&first.body[..], &second.body[..]), (&b"hello"[..], &b"world"[..]));
        let code = RequestCode::SendMessageV2;
        assert_eq!((first.code, second.code), (310, 310));
        let first = SendHeader::decode(code, &first.ext).unwrap();
        assert_eq!((first.producer_group, first.topic), ("1111111111111", topic));
        assert_eq!(first.queue_id, 123);
        assert_eq!((first.born_timestamp, first.broker_name), (1_735_689_600_123, Some("b-0")));
        assert_eq!((first.default_topic, first.default_topic_queue_nums), ("TBW102", 8));
        let key = "UNIQ_KEY\u{1}000000000000ABCDFFFFFFFFFFFFFFFF\u{2}WAIT\u{1}true\u{2}";
        assert_eq!(first.properties, Some(key));
        let second = SendHeader::decode(code, &second.ext).unwrap();
        assert!(second.properties.unwrap().contains("ABCD000000000000000A"));
        assert_eq!((second.queue_id, second.born_timestamp), (999, 1_735_689_600_124));
    }

    #[test]
    #[should_panic(expected = "before 2001")]
    fn a_clock_without_thirteen_digits_is_noticed() {
        let _digits = born_digits(999_999_999_999);
    }
}
