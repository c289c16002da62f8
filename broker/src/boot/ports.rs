//! Whether the ports of all shards can be had, before anything is made.

use std::net::SocketAddr;

use runtime::process::EphemeralPorts;
use thiserror::Error;
use transport::BindError;

use crate::config::{Config, GroupLayout, PortUse, Purpose};
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

/// Looks whether every shard could listen for the other members of its group.
pub(super) async fn check_groups(
    config: &Config,
    layouts: &[GroupLayout],
) -> Result<(), PortError> {
    let (handles, stride) = (&config.handles, config.shard_port_stride);
    for layout in layouts {
        if let Err(source) = transport::can_listen(layout.listen).await {
            let setting = match (source.is_about_the_ip(), layout.shard) {
                (true, _) => format!("{} sets it", handles.bind_address),
                (false, 0) => {
                    format!("`{}` in {} sets it", layout.own().configured, handles.raft_peers)
                }
                (false, shard) => format!(
                    "it is the port of shard {shard} for its Raft group: {}, which {} sets, and {shard} × {stride}",
                    layout.own().configured.port,
                    handles.raft_peers
                ),
            };
            return Err(PortError { source, setting });
        }
    }
    Ok(())
}

/// What an operator should hear when a shard listens on ports that the kernel may have given away before.
pub(super) fn advice(config: &Config, kernel: &EphemeralPorts) -> Option<String> {
    let listens = |one: &PortUse| one.purpose != Purpose::Vip;
    let ports: Vec<PortUse> = config.ports().into_iter().filter(listens).collect();
    let mut hit = ports.iter().filter(|one| kernel.contains(one.port));
    let first = hit.next()?;
    let more = match hit.count() {
        0 => String::new(),
        more => format!(", and so are others of this broker's ({more})"),
    };
    Some(format!(
        "port {} for {first} is one of those from {} to {} that the kernel takes for connections that go out{more}: such a \
         connection can hold it when the broker starts. The sysctl net.ipv4.ip_local_reserved_ports keeps ports free",
        first.port,
        kernel.range.start(),
        kernel.range.end()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::of_text;

    fn config(text: &str) -> Config {
        of_text(text).expect("the configuration fits")
    }

    #[test]
    fn ports_that_the_kernel_gives_away_are_told() {
        let kernel = EphemeralPorts { range: 32768..=60999, reserved: vec![40911..=40911] };
        let group = |shards| {
            config(&format!(
                "listenPort=30911\nenableDLegerCommitLog=true\ndLegerSelfId=n0\ndLegerPeers=n0-127.0.0.1:40911\nshards={shards}"
            ))
        };
        assert_eq!(advice(&config("shards=4"), &kernel), None);
        assert_eq!(advice(&group(1), &kernel), None, "it is reserved");
        assert_eq!(
            advice(&group(2), &kernel).expect("it is told"),
            "port 41011 for the Raft group of shard 1 is one of those from 32768 to 60999 that the kernel takes for connections \
             that go out: such a connection can hold it when the broker starts. The sysctl \
             net.ipv4.ip_local_reserved_ports keeps ports free"
        );
        let many = advice(&group(3), &kernel).expect("it is told");
        assert!(many.contains("go out, and so are others of this broker's (1): such"), "{many}");
        // Nobody listens two below.
        assert_eq!(advice(&config("listenPort=61001"), &kernel), None);
    }
}
