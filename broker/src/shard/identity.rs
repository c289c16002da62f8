//! Who a shard is: number, broker name, addresses, directories.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Who a shard is. Made once at start, by [`Identity::of`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The shard's number, from 0.
    pub number: u32,
    /// Shards of the broker.
    pub shards: u32,
    /// The name under which it registers.
    pub name: String,
    /// The cluster.
    pub cluster: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where clients reach it; it is in every message id.
    pub address: SocketAddr,
    /// Where identity, vote and lock of its store lie.
    pub dir: PathBuf,
    /// Where its log lies.
    pub log_dir: PathBuf,
}

/// The broker name of shard `number`: shard 0 has the configured name, shard k the name and `-k`.
#[must_use]
pub fn shard_name(broker: &str, number: u32) -> String {
    match number {
        0 => broker.to_owned(),
        _ => format!("{broker}-{number}"),
    }
}

/// The directory of shard `number` below a configured one. A single shard uses the configured
/// directory itself, as RocketMQ does; several use `shard-k` in it. The number of shards is fixed in
/// the store, so the one layout never meets the other.
#[must_use]
pub fn shard_dir(configured: &Path, number: u32, shards: u32) -> PathBuf {
    assert!(number < shards, "shard {number} of {shards}");
    match shards {
        1 => configured.to_owned(),
        _ => configured.join(format!("shard-{number}")),
    }
}

/// The port of shard `number`; `None` beyond the last port there is.
#[must_use]
pub fn shard_port(first: u16, stride: u16, number: u32) -> Option<u16> {
    let port = u32::from(first).checked_add(u32::from(stride).checked_mul(number)?)?;
    u16::try_from(port).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_shard_is_apaches_layout() {
        assert_eq!(shard_name("broker-a", 0), "broker-a");
        assert_eq!(shard_dir(Path::new("/s"), 0, 1), Path::new("/s"));
        assert_eq!(shard_port(10911, 100, 0), Some(10911));
    }

    #[test]
    fn several_shards_lie_side_by_side() {
        assert_eq!(shard_name("b", 2), "b-2");
        assert_eq!(shard_dir(Path::new("/s"), 1, 2), Path::new("/s/shard-1"));
        assert_eq!(shard_port(10911, 100, 2), Some(11111));
        assert_eq!(shard_port(65_000, 1000, 1), None);
        assert_eq!(shard_port(1, u16::MAX, u32::MAX), None);
    }
}
