//! Free TCP ports on loopback for servers that want to be told one.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// Below what Linux hands to outgoing connections, so that none of them takes a port between its choice
/// and its use.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// Handed out already, each with what was asked for around it.
static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port `p` such that `p` plus each of `offsets` is free now, and none of these was handed out before. Runs side by side
/// start at different places.
///
/// # Panics
/// If there is none among ten thousand, which no machine that can run the suites comes to.
#[must_use]
pub fn free(offsets: &[i32]) -> u16 {
    let start = u16::try_from(std::process::id() % 97 * 100).expect("below ten thousand");
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    for step in 0..COUNT {
        let port = FIRST + (start + step) % COUNT;
        let all: Vec<u16> = offsets.iter().map(|offset| shifted(port, *offset)).collect();
        let is_free = |port: &u16| {
            !taken.contains(port) && TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok()
        };
        if all.iter().all(is_free) {
            taken.extend(all);
            return port;
        }
    }
    panic!("no free port on this machine");
}

fn shifted(port: u16, offset: i32) -> u16 {
    u16::try_from(i32::from(port) + offset).expect("far from both ends")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_different_and_can_be_bound() {
        let (one, two) = (free(&[-2, 0, 1]), free(&[0, 100]));
        assert_ne!(one, two);
        for port in [one - 2, one, one + 1, two, two + 100] {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }

    #[test]
    fn nothing_around_a_port_is_handed_out_again() {
        let offsets = [-2, 0, 8, 10];
        let mut all: Vec<u16> = (0..20).map(|_| free(&offsets)).collect();
        all = all.iter().flat_map(|port| offsets.map(|offset| shifted(*port, offset))).collect();
        let different: BTreeSet<u16> = all.iter().copied().collect();
        assert_eq!(different.len(), all.len(), "{all:?}");
    }
}
