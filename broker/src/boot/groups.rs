//! The Raft groups of the shards when a broker starts: the members' hosts are looked up, once, and each group gets its
//! addresses, which its shard starts with.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::future::try_join_all;
use runtime::{IoError, Placement, Spec};
use thiserror::Error;

use super::{BootError, ports};
use crate::config::{Config, GroupLayout, Host, LayoutError, Member, Peer};
use crate::limits::RESOLVE;

/// The members of the Raft groups cannot be had as configured. Nothing was changed.
#[derive(Debug, Error)]
pub enum GroupError {
    /// A name that nobody knows.
    #[error(
        "{handle}: the host of `{peer}` is not known here: {source}; correct it, or make the name known to this machine"
    )]
    Unknown {
        /// What sets the members.
        handle: String,
        /// The member.
        peer: String,
        /// What the resolver says.
        source: IoError,
    },
    /// Nobody says what the name means.
    #[error(
        "{handle}: nobody says within {RESOLVE:?} where the host of `{peer}` is; look at the name servers of this machine, \
         or give the address itself"
    )]
    NoAnswer {
        /// What sets the members.
        handle: String,
        /// The member.
        peer: String,
    },
    /// Addresses that make no group.
    #[error("{handle}: {source}")]
    Layout {
        /// What sets the members.
        handle: String,
        /// Why.
        source: LayoutError,
    },
}

/// The group of each shard, by number; `None` without groups. The hosts of the members are known, this process can listen
/// on the ports, and the log has who is where. Blocks the calling thread for [`RESOLVE`] and some seconds at most.
///
/// # Errors
/// A member whose host is not known or not another one's, a port that cannot be had.
pub(super) fn settle(config: &Arc<Config>) -> Result<Option<Vec<GroupLayout>>, BootError> {
    if config.raft_group.is_none() {
        return Ok(None);
    }
    let shared = Arc::clone(config);
    let spec = Spec { name: "boot".to_owned(), placement: Placement::Any, busy_poll: None };
    let settled = runtime::start(spec, move || async move {
        let layouts = layouts(&shared).await?;
        ports::check_groups(&shared, &layouts).await?;
        Ok::<_, BootError>(layouts)
    })?;
    let layouts = settled.join()??;
    assert_eq!(layouts.len(), usize::try_from(config.shards).expect("a small number"));
    tell(&layouts);
    Ok(Some(layouts))
}

fn tell(layouts: &[GroupLayout]) {
    if let Some(line) = layouts.first().and_then(GroupLayout::advice) {
        tracing::warn!("{line}");
    }
    for layout in layouts {
        let member = |member: &Member| format!("{}-{}", member.label, member.addr);
        let members: Vec<String> = layout.members.iter().map(member).collect();
        tracing::info!(
            shard = layout.shard, group = %layout.name, own = %layout.own().label, members = %members.join(";"),
            listen = %layout.listen, should_lead = %layout.preferred().label, "Raft group"
        );
    }
}

/// The groups of `config`, which has some.
async fn layouts(config: &Config) -> Result<Vec<GroupLayout>, GroupError> {
    let group = config.raft_group.as_ref().expect("it has groups");
    let handle = &config.handles.raft_peers;
    let ips = try_join_all(group.peers.iter().map(|peer| ip_of(peer, handle))).await?;
    let unfit = |source| GroupError::Layout { handle: handle.clone(), source };
    group.layouts(config, &ips).map_err(unfit)
}

/// The address of a member's host.
async fn ip_of(peer: &Peer, handle: &str) -> Result<IpAddr, GroupError> {
    let name = match &peer.host {
        Host::Ip(ip) => return Ok(*ip),
        Host::Name(name) => name,
    };
    let host_port = format!("{name}:{}", peer.port);
    let (handle, peer) = (handle.to_owned(), peer.to_string());
    let found = runtime::timeout(RESOLVE, runtime::resolve(&host_port)).await;
    match found {
        Ok(Ok(found)) => Ok(preferred_ip(&found)),
        Ok(Err(source)) => Err(GroupError::Unknown { handle, peer, source }),
        Err(runtime::Elapsed) => Err(GroupError::NoAnswer { handle, peer }),
    }
}

/// Of the addresses of a host, of which there is one at least: the first of IPv4, because that is what a broker listens on
/// unless it is told otherwise.
fn preferred_ip(found: &[SocketAddr]) -> IpAddr {
    let ipv4 = found.iter().find(|addr| addr.is_ipv4());
    ipv4.or(found.first()).expect("a name that is known has an address").ip()
}

#[cfg(test)]
mod tests {
    use runtime::sim::Simulation;

    use super::*;
    use crate::config::of_text;

    fn config(peers: &str) -> Config {
        let text = format!(
            "enableDLegerCommitLog=true\ndLegerPeers={peers}\ndLegerSelfId=n0\nbrokerName=b\nshards=2\n"
        );
        of_text(&text).expect("the configuration fits")
    }

    /// The groups as a node sees them beside which there are `others`, from 10.0.0.2 on.
    fn seen(peers: &'static str, others: &[&str]) -> Result<Vec<GroupLayout>, GroupError> {
        let world = Simulation::new(7);
        let own = world.node("east", [10, 0, 0, 1].into());
        for (at, name) in (2..).zip(others) {
            world.node(name, [10, 0, 0, at].into());
        }
        let found = own.start("boot", move || async move { layouts(&config(peers)).await });
        world.join(found, RESOLVE).expect("the names are looked up")
    }

    #[test]
    fn names_become_addresses_and_addresses_stay() {
        let found = seen("n0-East:40911;n1-west:40911;n2-10.0.0.9:40911", &["west"]).unwrap();
        let addrs: Vec<Vec<String>> = found
            .iter()
            .map(|layout| layout.members.iter().map(|member| member.addr.to_string()).collect())
            .collect();
        assert_eq!(
            addrs,
            [
                ["10.0.0.1:40911", "10.0.0.2:40911", "10.0.0.9:40911"],
                ["10.0.0.1:41011", "10.0.0.2:41011", "10.0.0.9:41011"],
            ]
        );
    }

    #[test]
    fn a_name_that_nobody_knows_names_the_key_and_the_member() {
        let error = seen("n0-east:40911;n1-nowhere:40911", &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("`dLegerPeers` (f:2): the host of `n1-nowhere:40911` is not known here: cannot resolve"),
            "{error}"
        );
    }

    #[test]
    fn two_names_of_one_host_are_told() {
        let error = seen("n0-east:40911;n1-10.0.0.1:41011", &[]).unwrap_err().to_string();
        assert_eq!(
            error,
            "`dLegerPeers` (f:2): `n1-10.0.0.1:41011` and `n0-east:40911` would both be at 10.0.0.1:41011, and each member has \
             an address of its own"
        );
    }

    #[test]
    fn a_host_with_both_kinds_of_addresses_is_reached_by_ipv4() {
        let addr = |text: &str| text.parse().unwrap();
        let both = [addr("[2001:db8::1]:1"), addr("10.0.0.1:1"), addr("10.0.0.2:1")];
        assert_eq!(preferred_ip(&both).to_string(), "10.0.0.1");
        assert_eq!(preferred_ip(&both[..1]).to_string(), "2001:db8::1");
    }

    #[test]
    fn without_groups_nothing_is_looked_at() {
        let without = Config { raft_group: None, ..config("n0-10.0.0.1:40911") };
        assert!(settle(&Arc::new(without)).expect("nothing is looked at").is_none());
    }
}
