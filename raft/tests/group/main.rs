//! Three nodes, a leader, entries, a leader that is cut off, another leader: on both backends, with the
//! network in memory. In the simulation the same seed gives the same run.
#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]
#![allow(clippy::disallowed_methods, reason = "a test makes and removes its own directory")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use model::UnixMillis;
use openraft::async_runtime::WatchReceiver;
use openraft::storage::RaftLogStorage;
use openraft::type_config::alias::EntryOf;
use openraft::{Config, EntryPayload, RaftLogReader, ServerState, SnapshotPolicy};
use raft::{Content, LogError, Member, MemberId, Proposal, Types};
use runtime::sim::{Simulation, run_seeds};
use runtime::{Slice, Task, now, sleep, timeout};
use storage::{EntryKind, StoreId};

mod log;
mod machine;
mod wire;

use log::{Log, Truncations};
use machine::Machine;
use wire::{Dialer, Raft, Wires};

const SEEDS: Range<u64> = 1..4;
const LIMIT: Duration = Duration::from_secs(30);

struct Node {
    id: MemberId,
    raft: Raft,
    truncations: Truncations,
    writer: Task<Result<(), LogError>>,
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

async fn start(dir: &Path, wires: &Wires, heartbeat: Duration) -> Vec<Node> {
    let mut nodes = Vec::new();
    for id in (1..=3).map(member_id) {
        let (log, truncations, writer) = Log::open(&dir_of(dir, id)).await;
        let machine = Machine::default();
        let dialer = Dialer { from: id, wires: wires.clone() };
        let raft = Raft::new(id, config(heartbeat), dialer, log, machine.clone());
        let raft = raft.await.unwrap();
        wires.add(id, raft.clone());
        nodes.push(Node { id, raft, truncations, writer, machine });
    }
    let members: BTreeMap<MemberId, Member> = (1..=3_u8)
        .map(|number| {
            let addr = SocketAddr::from(([10, 0, 0, number], 40911));
            (member_id(number), Member::new(format!("n{}", number - 1), addr))
        })
        .collect();
    nodes[0].raft.initialize(members).await.unwrap();
    nodes
}

fn dir_of(dir: &Path, id: MemberId) -> PathBuf {
    dir.join(id.to_string())
}

/// The bodies of all proposals that the log holds.
async fn on_disk(dir: &Path) -> Vec<Vec<u8>> {
    let (mut log, _, writer) = Log::open(dir).await;
    let entries = log.get_log_reader().await.try_get_log_entries(..).await.unwrap();
    drop(log);
    writer.await.unwrap();
    let body = |entry: EntryOf<Types>| match entry.payload {
        EntryPayload::Normal(proposal) => Some(proposal.content().unwrap().body.to_vec()),
        EntryPayload::Blank | EntryPayload::Membership(_) => None,
    };
    entries.into_iter().filter_map(body).collect()
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
    Proposal::Entry(Content {
        kind: EntryKind::Command,
        timestamp: UnixMillis(0),
        records: 0,
        body,
    })
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
async fn history(dir: PathBuf, heartbeat: Duration) -> (Vec<u32>, u32) {
    let wires = Wires::default();
    let nodes = start(&dir, &wires, heartbeat).await;
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
    let truncations = nodes.iter().map(|node| node.truncations.get()).sum();
    for node in &nodes {
        node.raft.shutdown().await.unwrap();
    }
    wires.forget();
    for Node { id, raft, writer, .. } in nodes {
        drop(raft);
        writer.await.expect("the log is closed in order");
        assert_eq!(on_disk(&dir_of(&dir, id)).await, applied, "what was applied is on the disk");
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
    let name = format!("raft-group-{}", std::process::id());
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&dir).unwrap();
    let inside = dir.clone();
    let history = async { timeout(LIMIT * 4, history(inside, Duration::from_millis(300))).await };
    let (applied, _) = runtime::block_on("group", history).unwrap().expect("the test hangs");
    std::fs::remove_dir_all(&dir).unwrap();
    check(&applied);
}

#[test]
fn a_group_elects_commits_and_fails_over_in_the_simulation_the_same_way_each_time() {
    let run = |seed| {
        let sim = Simulation::new(seed);
        let node = sim.node("n0", Ipv4Addr::new(10, 0, 0, 1));
        let run = || history(PathBuf::from("/group"), Duration::from_millis(50));
        let executor = node.start("group", run);
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
