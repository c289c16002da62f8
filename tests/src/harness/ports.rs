//! Free TCP ports on loopback for servers that want to be told one.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below what Linux hands to outgoing connections, so that none of them takes a port between its choice
/// and its use.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// Handed out already; runs side by side start at different places.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port `p` such that `p` plus each of `offsets` is free now, and was not handed out before.
///
/// # Panics
/// If there is none among ten thousand, which no machine that can run the suites comes to.
#[must_use]
pub fn free(offsets: &[i32]) -> u16 {
    let start = u16::try_from(std::process::id() % 97 * 100).expect("below ten thousand");
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(8, Ordering::Relaxed);
        let port = FIRST + (start.wrapping_add(step)) % COUNT;
        let taken = |offset: &i32| {
            let port = u16::try_from(i32::from(port) + offset).expect("far from both ends");
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_err()
        };
        if !offsets.iter().any(taken) {
            return port;
        }
    }
    panic!("no free port on this machine");
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
}
