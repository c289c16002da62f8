//! A Raft group of three processes on a real disk, under load: leaders are killed and told to stop, and what its clients were
//! answered stays true.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test starts processes, makes its own directories and measures time"
)]

mod support;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use remoting::RequestCode;
use remoting::header::offset::QueueHeader;
use runtime::{Executor, Placement, Spec};
use support::answers::{Shared, check_all, client, with};
use support::process::{Broker, free_port};
use support::{Client, LIMIT};

const NODES: usize = 3;
/// Distance of the port for the other members from the one for clients.
const RAFT: u16 = 5;
/// Rounds, each of which takes a leader away.
const ROUNDS: usize = 5;
/// Clients of each node.
const CLIENTS: usize = 6;
/// Messages that must be acknowledged before a leader is taken away.
const ACKNOWLEDGED_AT_LEAST: u64 = 200;
/// Time for that, and for an election before it.
const PROGRESS: Duration = Duration::from_secs(60);
/// What the log of a member says when it begins to lead, and when it does no more.
const LEADS: &str = "this node leads the group: it takes messages";
const ROLES: [&str; 3] = [LEADS, "this node leads the group no more", "this node does not lead"];

struct Node {
    conf: PathBuf,
    log: PathBuf,
    addr: SocketAddr,
    broker: Option<Broker>,
}

impl Node {
    fn start(&mut self) {
        let log = File::create(&self.log).expect("our directory");
        self.broker = Some(Broker::start(&self.conf, Some(log)));
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it leads, as its last word on that has it.
    fn leads(&self) -> bool {
        let log = self.said();
        let is_role = |line: &&str| ROLES.iter().any(|role| line.contains(role));
        self.broker.is_some() && log.lines().rfind(is_role).is_some_and(|line| line.contains(LEADS))
    }
}

struct Group {
    dir: PathBuf,
    nodes: Vec<Node>,
    shared: Shared,
}

impl Group {
    fn new() -> Self {
        let dir =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("groups-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a writable target directory");
        let ports: Vec<u16> = (0..NODES).map(|_| free_port(&[RAFT])).collect();
        let peer = |(at, port): (usize, &u16)| format!("n{at}-127.0.0.1:{}", port + RAFT);
        let peers: Vec<String> = ports.iter().enumerate().map(peer).collect();
        let node = |at: usize| {
            let text = format!(
                "brokerName = broker-a\nlistenPort = {}\nbindAddress = 127.0.0.1\nbrokerIP1 = 127.0.0.1\n\
                 storePathRootDir = {}\nmappedFileSizeCommitLog = 16MiB\nmaxMessageSize = 1MiB\ntailBudget = 4MiB\n\
                 enableDLegerCommitLog = true\ndLegerGroup = g\ndLegerPeers = {}\ndLegerSelfId = n{at}\n\
                 raftHeartbeatMillis = 100\nraftElectionMinMillis = 500\nraftElectionMaxMillis = 1000\n",
                ports[at],
                dir.join(format!("store-{at}")).display(),
                peers.join(";")
            );
            let conf = dir.join(format!("n{at}.conf"));
            fs::write(&conf, text).expect("our directory");
            let (log, addr) = (dir.join(format!("n{at}.log")), ([127, 0, 0, 1], ports[at]).into());
            Node { conf, log, addr, broker: None }
        };
        let nodes = (0..NODES).map(node).collect();
        Self { dir, nodes, shared: Shared::default() }
    }

    fn acknowledged(&self) -> u64 {
        with(&self.shared, |answers| answers.acknowledged)
    }

    /// What all nodes have said, for the one who reads of a failure.
    fn said(&self) -> String {
        let of = |(at, node): (usize, &Node)| format!("n{at}:\n{}\n", node.said());
        self.nodes.iter().enumerate().map(of).collect()
    }

    fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + PROGRESS;
        while !holds(self) {
            let mut running = self.nodes.iter_mut().filter_map(|node| node.broker.as_mut());
            let died = running.any(Broker::has_ended);
            assert!(!died, "a node has ended by itself:\n{}", self.said());
            assert!(Instant::now() < end, "not within {PROGRESS:?}: {what}:\n{}", self.said());
            sleep(Duration::from_millis(5));
        }
    }

    /// Waits until some more is acknowledged; who leads then.
    fn until_progress(&mut self) -> usize {
        let due = self.acknowledged() + ACKNOWLEDGED_AT_LEAST;
        self.until("messages are acknowledged", |group| group.acknowledged() >= due);
        let mut leader = None;
        self.until("somebody says that it leads", |group| {
            leader = group.nodes.iter().position(Node::leads);
            leader.is_some()
        });
        leader.expect("it was just found")
    }

    /// Clients of all nodes, at work until `over`.
    fn load(&self, over: &Arc<AtomicBool>) -> Executor<()> {
        let addrs: Vec<SocketAddr> = self.nodes.iter().map(|node| node.addr).collect();
        let (shared, over) = (Arc::clone(&self.shared), Arc::clone(over));
        let main = move || async move {
            for (number, addr) in (0..).zip(addrs.iter().cycle().take(CLIENTS * NODES)) {
                runtime::spawn(client(Arc::clone(&shared), number, *addr)).detach();
            }
            while !over.load(Ordering::Relaxed) {
                runtime::sleep(Duration::from_millis(10)).await;
            }
        };
        runtime::start(spec("clients"), main).expect("an executor")
    }

    /// Compares what every node has with what was answered. The clients have stopped.
    fn check(&mut self) {
        let mut leader = None;
        self.until("somebody leads", |group| {
            leader = group.nodes.iter().position(Node::leads);
            leader.is_some()
        });
        let leader = self.nodes[leader.expect("it was just found")].addr;
        let addrs: Vec<SocketAddr> = self.nodes.iter().map(|node| node.addr).collect();
        let shared = Arc::clone(&self.shared);
        let bounded = move || async move {
            runtime::timeout(LIMIT, check_nodes(shared, leader, addrs)).await
        };
        let checked = runtime::start(spec("check"), bounded).expect("an executor");
        checked.join().expect("all is there").expect("the check ends in time");
    }
}

async fn check_nodes(shared: Shared, leader: SocketAddr, nodes: Vec<SocketAddr>) {
    assert_eq!(check_all(Arc::clone(&shared), leader).await, 0, "it leads");
    for addr in nodes {
        caught_up(addr, leader).await;
        check_all(Arc::clone(&shared), addr).await;
    }
}

/// Waits until a node has as much as the leader.
async fn caught_up(addr: SocketAddr, leader: SocketAddr) {
    let (one, other) = (Client::connect(addr).await, Client::connect(leader).await);
    for topic in ["A", "B"] {
        for queue_id in 0..3 {
            let header = QueueHeader { topic, queue_id };
            let due = other.request(RequestCode::GetMaxOffset, &header).await;
            loop {
                let found = one.request(RequestCode::GetMaxOffset, &header).await;
                if (found.code, found.ext.get("offset")) == (due.code, due.ext.get("offset")) {
                    break;
                }
                runtime::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the stores and the logs stay in {}", self.dir.display());
        } else {
            self.nodes.clear();
            drop(fs::remove_dir_all(&self.dir));
        }
    }
}

fn spec(name: &str) -> Spec {
    Spec { name: name.into(), placement: Placement::Any, busy_poll: None }
}

#[test]
fn what_a_group_acknowledged_outlives_its_leaders() {
    let mut group = Group::new();
    group.nodes.iter_mut().for_each(Node::start);
    let over = Arc::new(AtomicBool::new(false));
    let load = group.load(&over);
    for round in 0..ROUNDS {
        let leader = group.until_progress();
        if round % 2 == 0 {
            drop(group.nodes[leader].broker.take()); // as kill -9 does it
        } else {
            let mut broker = group.nodes[leader].broker.take().expect("it runs");
            broker.terminate();
            let end = Instant::now() + PROGRESS;
            while !broker.has_ended() {
                assert!(Instant::now() < end, "it does not stop:\n{}", group.said());
                sleep(Duration::from_millis(5));
            }
            let said = group.nodes[leader].said();
            assert!(said.contains("stopped in good order"), "{said}");
        }
        // The others go on without it, and it comes back.
        group.until_progress();
        group.nodes[leader].start();
    }
    group.until_progress();
    over.store(true, Ordering::Relaxed);
    load.join().expect("no client was answered anything wrong");
    group.check();
    println!("{} messages outlived {ROUNDS} leaders", group.acknowledged());
}
