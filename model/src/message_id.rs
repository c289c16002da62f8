//! The offset message id: the store host and the physical offset, in upper-case hex.
//!
//! RocketMQ 5.5.0, `MessageDecoder.createMessageId`: 32 characters with an IPv4 host, 56 with IPv6.
//! A client that views a message by this id dials the host in it.

use std::net::{IpAddr, SocketAddr};

use crate::ids::PhysicalOffset;

/// The id of the record at `offset` on the broker that clients reach at `host`.
#[must_use]
pub fn message_id(host: SocketAddr, offset: PhysicalOffset) -> String {
    let mut id = String::with_capacity(56);
    match host.ip() {
        IpAddr::V4(ip) => hex(&mut id, &ip.octets()),
        IpAddr::V6(ip) => hex(&mut id, &ip.octets()),
    }
    hex(&mut id, &u32::from(host.port()).to_be_bytes());
    hex(&mut id, &offset.0.to_be_bytes());
    id
}

fn hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_rocketmqs() {
        let host = "127.0.0.1:30911".parse().expect("an address");
        assert_eq!(message_id(host, PhysicalOffset(711)), "7F000001000078BF00000000000002C7");
        let host = "[::1]:1".parse().expect("an address");
        assert_eq!(message_id(host, PhysicalOffset(0)).len(), 56);
    }
}
