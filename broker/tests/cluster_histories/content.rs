//! What is sent, and where to.

use std::net::Ipv4Addr;

/// Topics that come to be when something is sent to them.
pub const TOPICS: [&str; 2] = ["A", "B"];
/// Bytes of a message beside its number, at most; and of a large one, which is one in [`ONE_LARGE_IN`].
const USUAL: u64 = 3_000;
const LARGE: usize = 60_000;
const ONE_LARGE_IN: u64 = 12;
/// In the number of a message of a crowd, each of which is large.
pub const HEAVY: u64 = 1 << 62;
/// The broker name of shard 0.
pub const BROKER: &str = "broker-a";
pub const PORT: u16 = 10_911;
/// Distance between the ports of two shards, as it is if nothing is configured.
pub const STRIDE: u16 = 100;

/// A queue of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Queue {
    pub shard: u32,
    pub topic: &'static str,
    pub id: i32,
}

/// The shard with this broker name.
pub fn shard_of(name: &str) -> u32 {
    let rest = name.strip_prefix(BROKER).expect("there are no other brokers");
    match rest.strip_prefix('-') {
        Some(number) => number.parse().expect("a number"),
        None => 0,
    }
}

/// The broker name of a shard.
pub fn name_of(shard: u32) -> String {
    match shard {
        0 => BROKER.to_owned(),
        shard => format!("{BROKER}-{shard}"),
    }
}

/// Where clients reach a shard of a node.
pub fn addr_of(ip: Ipv4Addr, shard: u32) -> String {
    format!("{ip}:{}", PORT + STRIDE * u16::try_from(shard).expect("few"))
}

/// The message with this number.
pub fn body(number: u64) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    let len = match number % ONE_LARGE_IN {
        _ if number & HEAVY != 0 => LARGE,
        7 => LARGE,
        _ => (number * 37 % USUAL) as usize,
    };
    body.resize(8 + len, 0xAB);
    body
}

/// The number that a message has.
pub fn number_of(bytes: &[u8]) -> u64 {
    let number = bytes.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
    number.expect("a message has at least its number")
}
