//! The messages of a history: each is a number, and all else about it follows from that.

use std::net::SocketAddr;

use model::{Draft, QueueId, UnixMillis};

pub const TOPIC: &str = "T";
pub const QUEUES: u32 = 3;

pub fn queue_of(number: u32) -> QueueId {
    QueueId(number % QUEUES)
}

/// Mostly small ones, and some that fill a segment soon.
pub fn body(number: u32) -> Vec<u8> {
    let len = if number.is_multiple_of(5) { 60_000 } else { 1 + number as usize % 7 * 500 };
    number.to_le_bytes().into_iter().cycle().take(len.max(4)).collect()
}

/// The number of a message, all of which is as it was sent.
pub fn number(bytes: &[u8]) -> u32 {
    let number = u32::from_le_bytes(bytes[..4].try_into().unwrap());
    assert_eq!(bytes, body(number), "the body of {number} was changed");
    number
}

pub fn draft(number: u32, body: &[u8]) -> Draft<'_> {
    Draft {
        topic: TOPIC,
        queue_id: queue_of(number),
        flag: 0,
        sys_flag: 0,
        born_time: UnixMillis(1),
        born_host: SocketAddr::from(([10, 0, 0, 9], 1)),
        store_host: SocketAddr::from(([10, 0, 0, 1], 10911)),
        reconsume_times: 0,
        prepared_offset: 0,
        body,
        properties: b"",
        more_properties: b"",
    }
}
