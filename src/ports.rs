//! Ports of this process that would meet each other.

use broker::config::Config;
use broker::shard::identity::shard_port;

/// The NameServer and a shard of the broker would listen on one port.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SamePort {
    /// With shard 0, whose port is an option of its own.
    #[error(
        "--listen-port {port} and --namesrv-port {port} are the same port, and broker and NameServer need one each; \
         choose another for one of them"
    )]
    Broker {
        /// The port.
        port: u16,
    },
    /// With another shard.
    #[error(
        "--namesrv-port {port} is also the port of shard {shard} of the broker, which is --listen-port {first} and \
         {shard} × {stride}; choose another for one of them"
    )]
    Shard {
        /// The port.
        port: u16,
        /// The shard.
        shard: u32,
        /// The port of shard 0.
        first: u16,
        /// Distance between the ports of two shards.
        stride: u16,
    },
}

/// Refuses a NameServer's port that is one of the broker's. Both listen on the same address.
pub fn check(namesrv: u16, config: &Config) -> Result<(), SamePort> {
    let (first, stride) = (config.listen_port, config.shard_port_stride);
    let meets = |shard: &u32| shard_port(first, stride, *shard) == Some(namesrv);
    match (0..config.shards).find(meets) {
        None => Ok(()),
        Some(0) => Err(SamePort::Broker { port: namesrv }),
        Some(shard) => Err(SamePort::Shard { port: namesrv, shard, first, stride }),
    }
}
