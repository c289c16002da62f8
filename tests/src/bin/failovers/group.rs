//! What the cases have in common: groups of three, and leaders that are killed.

use std::env;

use tests::harness::cluster::{Cluster, Spec};
use tests::harness::failure::{Failure, Verdict};
use tests::harness::servers::{Maker, PATIENT_MILLIS};

/// A case and the servers that it may have to start get so many seconds.
pub const LIMIT: u64 = 900;

/// Groups of three brokers with so many shards each, and two NameServers.
pub fn groups_of_three(groups: u16, shards: u16) -> Spec {
    let as_shipped = env::var("FAILOVERS_TIMES").is_ok_and(|times| times == "default");
    let millis = (!as_shipped).then_some(PATIENT_MILLIS);
    Spec { namesrvs: 2, groups, members: 3, shards, millis, ..Spec::of(Maker::Ours) }
}

/// Kills whoever leads this broker name, and returns who that was.
pub fn kill_leader(cluster: &mut Cluster, name: &str) -> Verdict<usize> {
    let nobody = || Failure::Wrong(format!("nobody leads {name}"));
    let leader = cluster.leader_of(name).ok_or_else(nobody)?;
    cluster.kill_broker(leader);
    Ok(leader)
}
