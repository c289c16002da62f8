//! What the cases have in common: groups of three, leaders that are killed, and what every case must come to.

use std::env;
use std::thread;

use tests::harness::cluster::{Cluster, Spec};
use tests::harness::failure::{Failure, Verdict, expect};
use tests::harness::outage::Counts;
use tests::harness::servers::{Maker, PATIENT_MILLIS};

/// A case and the servers that it may have to start get so many seconds.
pub const LIMIT: u64 = 900;
/// Failed sends of a client that finds no leader until it asks for routes again: it does so every 30 s, and waits for 100 ms
/// after each.
pub const FAILED_UNTIL_ROUTES_ARE_NEW: u64 = 400;
/// Two pulls of a client: what came to a consumer that runs on, and comes again.
pub const DELIVERED_AGAIN: u64 = 64;
/// Nodes of a group.
const MEMBERS: u16 = 3;

/// Groups of three brokers of one shard, and two NameServers.
pub fn groups_of_three(groups: u16) -> Spec {
    Spec { namesrvs: 2, groups, members: MEMBERS, millis: millis(), ..Spec::of(Maker::Ours) }
}

/// Three broker names on three nodes, each of which leads one of them. A broker of three shards needs three cores; with fewer
/// each shard is a process of its own, which is the same for clients, and dies with the others of its node.
pub fn three_leaders() -> Spec {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    if cores >= usize::from(MEMBERS) {
        return Spec { shards: MEMBERS, ..groups_of_three(1) };
    }
    Spec { spread: true, ..groups_of_three(MEMBERS) }
}

/// The times of the groups, as [`Spec::millis`].
pub fn millis() -> Option<[u32; 3]> {
    let as_shipped = env::var("FAILOVERS_TIMES").is_ok_and(|times| times == "default");
    (!as_shipped).then_some(PATIENT_MILLIS)
}

/// Kills whoever leads this broker name, and returns who that was.
pub fn kill_leader(cluster: &mut Cluster, name: &str) -> Verdict<usize> {
    let leader = leader(cluster, name)?;
    cluster.kill_broker(leader);
    Ok(leader)
}

/// Kills the node of whoever leads this broker name, and returns who that was.
pub fn kill_leaders_node(cluster: &mut Cluster, name: &str) -> Verdict<usize> {
    let leader = leader(cluster, name)?;
    cluster.kill_node(leader % usize::from(MEMBERS));
    Ok(leader)
}

fn leader(cluster: &Cluster, name: &str) -> Verdict<usize> {
    cluster.leader_of(name).ok_or_else(|| Failure::Wrong(format!("nobody leads {name}")))
}

/// Fails unless another one leads this broker name than the one that was killed, and is still away.
pub fn another_leads(cluster: &Cluster, name: &str, killed: usize) -> Verdict {
    let now = cluster.leader_of(name);
    expect(now.is_some_and(|now| now != killed), || {
        format!("another one leads {name} than {killed}, which was killed: {now:?}")
    })
}

/// What holds in every case: nothing is lost, and what came twice is bounded by what was under way.
pub fn all_is_well(counts: &Counts, under_way: u64) -> Verdict {
    counts.nothing_is_lost()?;
    counts.stored_twice_at_most(under_way)?;
    counts.delivered_twice_at_most(DELIVERED_AGAIN)?;
    // Sends that do not wait for one another have no order.
    if under_way <= 1 { counts.order_is_kept() } else { Ok(()) }
}
