//! Three nodes, a leader, entries, a leader that is cut off, another leader: on both backends, with log and network in
//! memory. In the simulation the same seed gives the same run.
#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use model::UnixMillis;
use openraft::async_runtime::WatchReceiver;
use openraft::{Config, ServerState, SnapshotPolicy};
use raft::{Member, MemberId, Proposal};
use runtime::sim::{Simulation, run_seeds};
use runtime::{Slice, now, sleep, timeout};
use storage::{EntryKind, StoreId};

mod machine;
mod memory_log;
mod wire;

use machine::Machine;
use memory_log::MemoryLog;
use wire::{Dialer, Raft, Wires};

const SEEDS: Range<u64> = 1..4;
const LIMIT: Duration = Duration::from_secs(30);

struct Node {
    id: MemberId,
    raft: Raft,
    log: MemoryLog,
    machine: Machine,
}

impl Node {
    fn leads(&self) -> bool {
        self.raft.metrics().borrow_watched().state == ServerState::Leader
    }
}

/// The times of elections follow from the time between heartbeats.
fn config(heartbeat: Duration) -> Arc<Config> {
    let millis = u64::try_from(heartbeat.as_millis()).unwrap();
    let config = Config {
        heartbeat_interval: millis,
        election_timeout_min: millis * 3,
        election_timeout_max: millis * 6,
        snapshot_policy: SnapshotPolicy::Never,
        enable_pre_vote: Some(true),
        backoff: "20ms".to_owned(),
        ..Config::default()
    };
    Arc::new(config.validate().unwrap())
}

fn member_id(number: u8) -> MemberId {
    MemberId(StoreId(number.into()))
}

async fn start(wires: &Wires, heartbeat: Duration) -> Vec<Node> {
    let mut nodes = Vec::new();
    for id in (1..=3).map(member_id) {
        let (log, machine) = (MemoryLog::new(), Machine::default());
        let dialer = Dialer { from: id, wires: wires.clone() };
        let raft = Raft::new(id, config(heartbeat), dialer, log.clone(), machine.clone());
        let raft = raft.await.unwrap();
        wires.add(id, raft.clone());
        nodes.push(Node { id, raft, log, machine });
    }
    let members: BTreeMap<MemberId, Member> = (1..=3_u8)
        .map(|number| {
            let addr = SocketAddr::from(([10, 0, 0, number], 40911));
            (member_id(number), Member { label: format!("n{}", number - 1), addr })
        })
        .collect();
    nodes[0].raft.initialize(members).await.unwrap();
    nodes
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = now() + LIMIT;
    while !holds() {
        assert!(now() < end, "not within {LIMIT:?}: {what}");
        sleep(Duration::from_millis(1)).await;
    }
}

/// The leader among all but one, once there is one.
async fn leader(nodes: &[Node], but: Option<MemberId>) -> &Node {
    let find = || nodes.iter().find(|node| Some(node.id) != but && node.leads());
    until("a leader", || find().is_some()).await;
    find().expect("nobody ran in between")
}

fn proposal(number: u32) -> Proposal {
    let bytes = number.to_le_bytes();
    let mut buffer = runtime::buffer(bytes.len());
    buffer.copy_from_slice(&bytes);
    let body = Slice::new(Rc::new(buffer), 0..bytes.len());
    Proposal { kind: EntryKind::Command, timestamp: UnixMillis(0), records: 0, body }
}

/// Proposes the numbers, several at a time, and waits until each is applied on the leader.
async fn commit(leader: &Node, numbers: Range<u32>) {
    let tasks: Vec<_> = numbers
        .map(|number| {
            let raft = leader.raft.clone();
            runtime::spawn(async move { raft.client_write(proposal(number)).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// What every node applied, in order; and how many suffixes were cut off.
async fn history(heartbeat: Duration) -> (Vec<u32>, u32) {
    let wires = Wires::default();
    let nodes = start(&wires, heartbeat).await;
    let old = leader(&nodes, None).await;
    // Until the first entry of its term is committed a new leader may refuse.
    until_ready(old).await;
    commit(old, 0..200).await;

    wires.cut_off(Some(old.id));
    let lost = timeout(Duration::from_secs(2), old.raft.client_write(proposal(9999))).await;
    assert!(!matches!(lost, Ok(Ok(_))), "alone it commits nothing");
    let new = leader(&nodes, Some(old.id)).await;
    until_ready(new).await;
    commit(new, 200..400).await;

    wires.cut_off(None);
    until("the same on all nodes", || {
        nodes.iter().all(|node| node.machine.bodies().len() == new.machine.bodies().len())
    })
    .await;
    let applied = new.machine.bodies();
    for node in &nodes {
        assert_eq!(node.machine.bodies(), applied);
    }
    let truncations = nodes.iter().map(|node| node.log.truncations()).sum();
    for node in &nodes {
        node.raft.shutdown().await.unwrap();
    }
    let number = |body: &Vec<u8>| u32::from_le_bytes(body.as_slice().try_into().unwrap());
    (applied.iter().map(number).collect(), truncations)
}

async fn until_ready(leader: &Node) {
    let end = now() + LIMIT;
    while leader.raft.ensure_linearizable(openraft::ReadPolicy::ReadIndex).await.is_err() {
        assert!(now() < end, "the leader does not get ready");
        sleep(Duration::from_millis(1)).await;
    }
}

fn check(applied: &[u32]) {
    let mut sorted = applied.to_vec();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..400).collect::<Vec<_>>(), "each acknowledged proposal once");
}

#[test]
fn a_group_elects_commits_and_fails_over_on_uring() {
    // A shared machine may stall for some 100 ms: that must not look like a dead leader.
    let history = async { timeout(LIMIT * 4, history(Duration::from_millis(300))).await };
    let (applied, _) = runtime::block_on("group", history).unwrap().expect("the test hangs");
    check(&applied);
}

#[test]
fn a_group_elects_commits_and_fails_over_in_the_simulation_the_same_way_each_time() {
    let run = |seed| {
        let sim = Simulation::new(seed);
        let node = sim.node("n0", Ipv4Addr::new(10, 0, 0, 1));
        let executor = node.start("group", || history(Duration::from_millis(50)));
        (sim.join(executor, LIMIT * 4).unwrap(), sim.trace_hash())
    };
    let (truncations, last_trace) = (AtomicU32::new(0), AtomicU64::new(0));
    run_seeds("raft group", SEEDS, |seed| {
        let ((applied, cut), trace) = run(seed);
        check(&applied);
        assert_eq!(run(seed), ((applied, cut), trace), "two runs under one seed");
        truncations.fetch_add(cut, Ordering::Relaxed);
        assert_ne!(last_trace.swap(trace, Ordering::Relaxed), trace, "the seed decides nothing");
    });
    let cut = truncations.load(Ordering::Relaxed);
    assert!(cut > 0, "no leader that was cut off had to take anything back");
}
