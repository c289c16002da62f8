//! The ports of a broker whose shards are members of Raft groups, and whether any of them meet.

use std::collections::HashMap;
use std::fmt;

use ::config::{ConfigError, Settings};

use super::{GROUP, PEERS, Peer, RaftGroup};
use crate::config::Config;
use crate::config::load::MAX_NAME;
use crate::shard::identity::{shard_name, shard_port};

/// Clients that are told to use a port of their own for urgent requests (`vipChannelEnabled`) dial the one that lies so
/// far below the port of a shard.
const VIP_BELOW: u16 = 2;

/// What a port is for. There is none for replication beside it: RocketMQ's brokers replicate at listenPort + 1
/// unless they are members of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Clients and tools; the shard listens there.
    Clients,
    /// Clients with `vipChannelEnabled`. Nobody listens there, and nobody else should.
    Vip,
    /// The other members of the group; the shard listens there.
    Raft,
}

impl Purpose {
    /// The key that says which port it is for shard 0.
    fn key(self) -> &'static str {
        match self {
            Self::Clients | Self::Vip => "listenPort",
            Self::Raft => PEERS,
        }
    }
}

/// A port of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortUse {
    /// The port.
    pub port: u16,
    /// What for.
    pub purpose: Purpose,
    /// Whose.
    pub shard: u32,
}

impl fmt::Display for PortUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shard = self.shard;
        match self.purpose {
            Purpose::Clients => write!(f, "clients of shard {shard}"),
            Purpose::Vip => write!(f, "clients of shard {shard} with vipChannelEnabled"),
            Purpose::Raft => write!(f, "the Raft group of shard {shard}"),
        }
    }
}

impl Config {
    /// Every port that belongs to this process, shard by shard.
    #[must_use]
    pub fn ports(&self) -> Vec<PortUse> {
        let mut uses = Vec::new();
        for shard in 0..self.shards {
            let of = |first| shard_port(first, self.shard_port_stride, shard);
            let clients = of(self.listen_port).expect("the configuration checks the last port");
            uses.push(PortUse { port: clients, purpose: Purpose::Clients, shard });
            let vip = clients.checked_sub(VIP_BELOW).filter(|port| *port != 0);
            uses.extend(vip.map(|port| PortUse { port, purpose: Purpose::Vip, shard }));
            let raft = self.raft_group.as_ref().and_then(|group| of(group.peers[group.own].port));
            uses.extend(raft.map(|port| PortUse { port, purpose: Purpose::Raft, shard }));
        }
        uses
    }
}

/// Refuses a group whose shards have no port, or the one of somebody else, or no name.
pub(in crate::config) fn check(
    settings: &Settings,
    config: &Config,
    group: &RaftGroup,
) -> Result<(), ConfigError> {
    let last = config.shards - 1;
    let stride = config.shard_port_stride;
    for peer in &group.peers {
        if shard_port(peer.port, stride, last).is_none() {
            let remedy = format!(
                "the port of the last shard, port + (shards - 1) × shardPortStride, must be at most 65535, and for \
                 `{peer}` it is {}",
                u64::from(peer.port) + u64::from(last) * u64::from(stride)
            );
            return Err(settings.contradiction(PEERS, "shards", remedy));
        }
    }
    if shard_name(&group.name, last).len() > MAX_NAME {
        let allowed = "a shorter name, because `-1`, `-2` … is put behind it for the other shards";
        return Err(settings.bad_value(GROUP, allowed));
    }
    if let Some(remedy) = members_meet(&group.peers, config) {
        return Err(settings.contradiction(PEERS, "shardPortStride", remedy));
    }
    if let Some((one, other)) = clash(&config.ports()) {
        let second = match other.purpose.key() {
            key if key == one.purpose.key() => "shardPortStride",
            key => key,
        };
        let remedy =
            format!("port {} would be for {one} and for {other}: choose another", one.port);
        return Err(settings.contradiction(one.purpose.key(), second, remedy));
    }
    if let Some(remedy) = neighbour_meets(group, config) {
        return Err(settings.contradiction("listenPort", PEERS, remedy));
    }
    Ok(())
}

/// Two members of which shards of different numbers come to one address.
fn members_meet(peers: &[Peer], config: &Config) -> Option<String> {
    let mut taken = HashMap::new();
    for peer in peers {
        for shard in 0..config.shards {
            let port = shard_port(peer.port, config.shard_port_stride, shard)?;
            let other: Option<(&Peer, u32)> = taken.insert((&peer.host, port), (peer, shard));
            if let Some((other, at)) = other {
                return Some(format!(
                    "shard {at} of `{other}` and shard {shard} of `{peer}` would both be at {}:{port}: choose another port \
                     or stride",
                    peer.host
                ));
            }
        }
    }
    None
}

/// A member on the same machine, as Apache's quick start has them, that listens where clients dial this one.
fn neighbour_meets(group: &RaftGroup, config: &Config) -> Option<String> {
    let own = &group.peers[group.own];
    let mine: HashMap<u16, PortUse> =
        config.ports().into_iter().map(|one| (one.port, one)).collect();
    let neighbours = group.peers.iter().filter(|peer| peer.host == own.host && *peer != own);
    for peer in neighbours {
        for shard in 0..config.shards {
            let port = shard_port(peer.port, config.shard_port_stride, shard)?;
            if let Some(one) = mine.get(&port) {
                return Some(format!(
                    "port {port} would be for {one} and for shard {shard} of `{peer}` on the same machine: choose another"
                ));
            }
        }
    }
    None
}

/// The first two uses of one port.
fn clash(uses: &[PortUse]) -> Option<(PortUse, PortUse)> {
    let mut taken: HashMap<u16, PortUse> = HashMap::new();
    uses.iter().find_map(|one| Some((taken.insert(one.port, *one)?, *one)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::of_text;

    fn load(text: &str) -> Result<Config, String> {
        of_text(text).map_err(|error| error.to_string())
    }

    fn text(listen: u16, peers: &str, more: &str) -> String {
        format!(
            "listenPort={listen}\ndLegerPeers={peers}\nenableDLegerCommitLog=true\ndLegerSelfId=n0\n{more}"
        )
    }

    #[test]
    fn every_shard_has_three_ports() {
        let config = load(&text(10911, "n0-h:40911", "shards=2")).unwrap();
        let ports: Vec<(u16, Purpose, u32)> =
            config.ports().iter().map(|port| (port.port, port.purpose, port.shard)).collect();
        assert_eq!(
            ports,
            [
                (10911, Purpose::Clients, 0),
                (10909, Purpose::Vip, 0),
                (40911, Purpose::Raft, 0),
                (11011, Purpose::Clients, 1),
                (11009, Purpose::Vip, 1),
                (41011, Purpose::Raft, 1),
            ]
        );
        let config = load("listenPort=2").unwrap();
        assert_eq!(config.ports().len(), 1, "there is no port 0, and no group");
    }

    #[test]
    fn two_uses_of_one_port_name_both_keys() {
        for (listen, raft, uses) in [
            (40911, 40911, "clients of shard 0 and for the Raft group of shard 0"),
            (
                40913,
                40911,
                "clients of shard 0 with vipChannelEnabled and for the Raft group of shard 0",
            ),
        ] {
            let peers = format!("n0-h:{raft}");
            assert_eq!(
                load(&text(listen, &peers, "")).unwrap_err(),
                format!(
                    "`listenPort = {listen}` (f:1) is not possible together with `dLegerPeers = {peers}` (f:2); port 40911 \
                     would be for {uses}: choose another"
                )
            );
        }
        // Members of a group have no other port for replication.
        assert!(load(&text(40910, "n0-h:40911", "")).is_ok());
        // In Apache's quick start shard 100 comes to where the groups begin.
        let far = |shards| load(&text(30911, "n0-h:40911", &format!("shards={shards}")));
        assert!(far(100).is_ok());
        let error = far(101).unwrap_err();
        assert!(
            error.contains("for the Raft group of shard 0 and for clients of shard 100"),
            "{error}"
        );
        let error = load(&text(10911, "n0-h:40911", "shards=2\nshardPortStride=2")).unwrap_err();
        assert!(error.contains("together with `shardPortStride = 2` (f:6); port 10911"), "{error}");
        assert!(
            load("shards=2\nshardPortStride=2").is_ok(),
            "only groups are looked at so closely"
        );
    }

    #[test]
    fn the_last_shard_of_each_member_has_a_port() {
        let peers = "n0-h:40911;n1-h:65500;n2-h:40913";
        assert!(load(&text(10911, peers, "shards=1")).is_ok());
        assert_eq!(
            load(&text(10911, peers, "shards=2")).unwrap_err(),
            format!(
                "`dLegerPeers = {peers}` (f:2) is not possible together with `shards = 2` (f:5); the port of the last shard, \
                 port + (shards - 1) × shardPortStride, must be at most 65535, and for `n1-h:65500` it is 65600"
            )
        );
    }

    #[test]
    fn shards_of_two_members_on_one_machine_do_not_meet() {
        let peers = "n0-h:40911;n1-h:41011";
        assert!(load(&text(10911, peers, "")).is_ok());
        assert!(load(&text(10911, "n0-h:40911;n1-g:41011", "shards=2")).is_ok());
        assert_eq!(
            load(&text(10911, peers, "shards=2")).unwrap_err(),
            format!(
                "`dLegerPeers = {peers}` (f:2) is not possible together with `shardPortStride = 100` (default); shard 1 of \
                 `n0-h:40911` and shard 0 of `n1-h:41011` would both be at h:41011: choose another port or stride"
            )
        );
    }

    #[test]
    fn clients_do_not_dial_a_neighbours_group() {
        let peers = "n0-h:40911;n1-h:40912;n2-g:40913";
        assert_eq!(
            load(&text(40912, peers, "")).unwrap_err(),
            format!(
                "`listenPort = 40912` (f:1) is not possible together with `dLegerPeers = {peers}` (f:2); port 40912 would be \
                 for clients of shard 0 and for shard 0 of `n1-h:40912` on the same machine: choose another"
            )
        );
        let error = load(&text(41014, peers, "shards=2")).unwrap_err();
        assert!(error.contains("vipChannelEnabled and for shard 1 of `n1-h:40912`"), "{error}");
        assert!(load(&text(41015, peers, "shards=2")).is_ok(), "n2 is another machine");
    }

    #[test]
    fn names_of_groups_have_room_for_the_number_of_the_shard() {
        let long = format!("dLegerGroup={}\nbrokerName=b\n", "g".repeat(MAX_NAME));
        assert!(load(&text(10911, "n0-h:40911", &long)).is_ok());
        let error = load(&text(10911, "n0-h:40911", &format!("{long}shards=2"))).unwrap_err();
        assert!(error.starts_with("f:5: `dLegerGroup = ggg"), "{error}");
    }
}
