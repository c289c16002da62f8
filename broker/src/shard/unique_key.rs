//! The unique key of a message whose client gave it none.
//!
//! RocketMQ 5.5.0, class MessageClientIDSetter: address, process, a number for the sender, time and a
//! counter, in upper-case hex. Readers treat it as opaque text.

use std::cell::Cell;
use std::fmt::Write;
use std::net::IpAddr;

/// Makes keys that differ from each other, from those of other shards and from those of clients.
pub struct UniqueKeys {
    prefix: String,
    next: Cell<u16>,
}

/// RocketMQ counts from the first of the month; the last 32 bits of the milliseconds do as well: they
/// come again after 49 days.
const TIME_MASK: u64 = 0xFFFF_FFFF;

impl UniqueKeys {
    /// Keys of the shard at `ip`; `salt` differs between the shards and starts of a host.
    #[must_use]
    pub fn new(ip: IpAddr, pid: u32, salt: u32) -> Self {
        let mut prefix = String::new();
        let octets: &[u8] = match &ip {
            IpAddr::V4(ip) => &ip.octets(),
            IpAddr::V6(ip) => &ip.octets(),
        };
        for byte in octets {
            write!(prefix, "{byte:02X}").expect("a string takes any text");
        }
        write!(prefix, "{:04X}{salt:08X}", pid & 0xFFFF).expect("a string takes any text");
        Self { prefix, next: Cell::new(0) }
    }

    /// A key for a message that arrived at `now`, milliseconds since 1970.
    #[must_use]
    pub fn next(&self, now: u64) -> String {
        let count = self.next.get();
        self.next.set(count.wrapping_add(1));
        format!("{}{:08X}{count:04X}", self.prefix, now & TIME_MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_and_look_like_rocketmqs() {
        let keys = UniqueKeys::new("127.0.0.1".parse().expect("an address"), 70_000, 7);
        let (first, second) = (keys.next(1), keys.next(1));
        assert_eq!(first, "7F000001117000000007000000010000");
        assert_ne!(first, second);
        assert_eq!(UniqueKeys::new("::1".parse().expect("an address"), 1, 1).next(0).len(), 56);
    }
}
