//! The ports that the kernel takes for connections that go out.

use std::fs;
use std::ops::RangeInclusive;

use crate::context;

/// Ports of which the kernel gives one to each connection that goes out. Who wants to listen on one of them finds it taken
/// now and then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EphemeralPorts {
    /// First and last.
    pub range: RangeInclusive<u16>,
    /// Those that are left out, with first and last of each stretch.
    pub reserved: Vec<RangeInclusive<u16>>,
}

impl EphemeralPorts {
    /// Whether a connection that goes out can have `port`.
    pub fn contains(&self, port: u16) -> bool {
        self.range.contains(&port) && !self.reserved.iter().any(|range| range.contains(&port))
    }

    /// From what the kernel writes: two numbers, and stretches such as `8080,40911-40913`.
    fn parse(range: &str, reserved: &str) -> Option<EphemeralPorts> {
        let (first, last) = range.trim().split_once(char::is_whitespace)?;
        let stretch = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            Some(first.parse().ok()?..=last.parse().ok()?)
        };
        Some(EphemeralPorts {
            range: first.parse().ok()?..=last.trim().parse().ok()?,
            reserved: reserved.trim().split(',').filter_map(stretch).collect(),
        })
    }
}

/// The ports for connections that go out, IPv4 and IPv6 alike; `None` if the kernel does not tell, and in a simulation. Reads
/// files under /proc: milliseconds at worst, not for a data path.
pub fn ephemeral_ports() -> Option<EphemeralPorts> {
    if context::sim().is_some() {
        return None;
    }
    let read = |name| fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok();
    EphemeralPorts::parse(
        &read("ip_local_port_range")?,
        &read("ip_local_reserved_ports").unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_is_left_out() {
        let ports = EphemeralPorts::parse("32768\t60999\n", "8080,40911-40913\n").unwrap();
        assert_eq!(ports.range, 32768..=60999);
        assert_eq!(ports.reserved, [8080..=8080, 40911..=40913]);
        for (port, inside) in [
            (32767, false),
            (32768, true),
            (40910, true),
            (40911, false),
            (40913, false),
            (40914, true),
            (60999, true),
            (61000, false),
            (8080, false),
        ] {
            assert_eq!(ports.contains(port), inside, "{port}");
        }
        assert_eq!(EphemeralPorts::parse("1024 65535", "\n").unwrap().reserved, []);
        for unclear in ["", "32768", "a b", "1 70000"] {
            assert_eq!(EphemeralPorts::parse(unclear, ""), None, "{unclear}");
        }
    }

    #[test]
    fn the_kernel_tells_its_range() {
        let ports = ephemeral_ports().expect("Linux has the range under /proc");
        assert!(ports.range.start() <= ports.range.end());
    }
}
