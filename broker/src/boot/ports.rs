//! Whether the ports of all shards can be had, before anything is made.

use std::net::SocketAddr;

use thiserror::Error;
use transport::BindError;

use crate::config::Config;
use crate::shard::identity::shard_port;

/// A port cannot be had.
#[derive(Debug, Error)]
#[error("{source}; {setting}")]
pub struct PortError {
    /// Why.
    source: BindError,
    /// What sets it.
    setting: String,
}

/// Looks whether every shard could listen. Nothing keeps the ports for them: what somebody takes meanwhile is told by the
/// shard.
pub(super) async fn check(config: &Config) -> Result<(), PortError> {
    for number in 0..config.shards {
        let port = shard_port(config.listen_port, config.shard_port_stride, number)
            .expect("the configuration checks the ports of all shards");
        let addr = SocketAddr::new(config.bind_address.into(), port);
        if let Err(source) = transport::can_listen(addr).await {
            let setting = setting(config, number, &source);
            return Err(PortError { source, setting });
        }
    }
    Ok(())
}

fn setting(config: &Config, number: u32, error: &BindError) -> String {
    let (handles, first) = (&config.handles, config.listen_port);
    let stride = config.shard_port_stride;
    match (error.is_about_the_ip(), number) {
        (true, _) => format!("{} sets it", handles.bind_address),
        (false, 0) => format!("{} sets it", handles.listen_port),
        (false, _) => format!(
            "it is the port of shard {number}: {first}, which {} sets, and {number} × {stride}",
            handles.listen_port
        ),
    }
}
