//! The Raft groups of the shards when a broker starts: the members' hosts are looked up, once, and each group gets its
//! addresses, which its shard starts with.

use std::sync::Arc;

use futures::future::join_all;
use runtime::{Placement, Spec};
use thiserror::Error;

use super::{BootError, ports};
use crate::config::{Config, GroupLayout, LayoutError, Member};
use crate::shard::replica::whereabouts::{NoHost, ip_of};

/// The members of the Raft groups cannot be had as configured. Nothing was changed.
#[derive(Debug, Error)]
pub enum GroupError {
    /// Nobody knows where this node is.
    #[error("{handle}: {source}")]
    Own {
        /// What sets the members.
        handle: String,
        /// Why.
        source: NoHost,
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
/// on the ports, and the log has who is where. Blocks the calling thread for [`crate::limits::RESOLVE`] and some seconds at most.
///
/// # Errors
/// This node's host is not known, or a member's is another one's; a port that cannot be had.
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
        let member = |member: &Member| format!("{}-{}", member.label, member.place());
        let members: Vec<String> = layout.members.iter().map(member).collect();
        tracing::info!(
            shard = layout.shard, group = %layout.name, own = %layout.own().label, members = %members.join(";"),
            listen = %layout.listen, should_lead = %layout.preferred().label, "Raft group"
        );
    }
}

/// The groups of `config`, which has some. Another member whose host is not known is told of, and is in nobody's way: the log of a group
/// has the addresses of its members, and one that is to be founded looks again.
async fn layouts(config: &Config) -> Result<Vec<GroupLayout>, GroupError> {
    let group = config.raft_group.as_ref().expect("it has groups");
    let handle = &config.handles.raft_peers;
    let mut ips = Vec::with_capacity(group.peers.len());
    for (at, found) in join_all(group.peers.iter().map(ip_of)).await.into_iter().enumerate() {
        match found {
            Ok(ip) => ips.push(Some(ip)),
            Err(source) if at == group.own => {
                return Err(GroupError::Own { handle: handle.clone(), source });
            }
            Err(error) => {
                tracing::warn!(
                    "{handle}: {error}. This node starts without it: a group that is founded knows its members by its own log, and one \
                     that is not waits for it"
                );
                ips.push(None);
            }
        }
    }
    let unfit = |source| GroupError::Layout { handle: handle.clone(), source };
    group.layouts(config, &ips).map_err(unfit)
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
        world.join(found, crate::limits::RESOLVE).expect("the names are looked up")
    }

    #[test]
    fn names_become_addresses_and_addresses_stay() {
        let found = seen("n0-East:40911;n1-west:40911;n2-10.0.0.9:40911", &["west"]).unwrap();
        let addrs: Vec<Vec<String>> =
            found.iter().map(|layout| layout.members.iter().map(Member::place).collect()).collect();
        assert_eq!(
            addrs,
            [
                ["10.0.0.1:40911", "10.0.0.2:40911", "10.0.0.9:40911"],
                ["10.0.0.1:41011", "10.0.0.2:41011", "10.0.0.9:41011"],
            ]
        );
    }

    #[test]
    fn a_node_that_nobody_knows_is_told_with_the_key_and_its_label() {
        let error = seen("n0-nowhere:40911;n1-east:40911", &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("`dLegerPeers` (f:2): the host of `n0-nowhere:40911` is not known here: cannot resolve"),
            "{error}"
        );
    }

    #[test]
    fn another_member_that_nobody_knows_is_in_nobodys_way() {
        let found = seen("n0-east:40911;n1-gone:40911;n2-west:40911", &["west"]).unwrap();
        let second = &found[1];
        let addrs: Vec<_> = second.members.iter().map(|member| member.addr).collect();
        assert_eq!(addrs[1], None);
        assert!(addrs[0].is_some() && addrs[2].is_some(), "{addrs:?}");
        assert_eq!(second.members[1].place(), "gone:41011");
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
    fn without_groups_nothing_is_looked_at() {
        let without = Config { raft_group: None, ..config("n0-10.0.0.1:40911") };
        assert!(settle(&Arc::new(without)).expect("nothing is looked at").is_none());
    }
}
