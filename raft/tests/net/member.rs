//! One member: a log, a machine, a server and ways to its peers, in an executor of its own. Whoever drives the test is
//! outside, and talks to it over a board.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::UnixMillis;
use openraft::async_runtime::WatchReceiver;
use openraft::{Config, ServerState, SnapshotPolicy};
use raft::net::{Constants, Dialler, Facts, Limits, PeerStatus, Peers, Server};
use raft::{Content, Member, MemberId, Proposal, RaftLog, Types};
use runtime::channel::Flag;
use runtime::{Slice, TcpListener, sleep};
use storage::{EntryKind, Flush, FlushMethod, Options, Scale, StoreId};

use crate::machine::Machine;

pub type Raft = openraft::Raft<Types, Machine>;

/// How a member is started.
#[derive(Clone)]
pub struct Start {
    pub id: MemberId,
    pub dir: PathBuf,
    pub listen: SocketAddr,
    pub heartbeat: Duration,
    pub limits: fn(usize) -> Limits,
}

/// What the driver wants.
#[derive(Debug)]
pub enum Order {
    /// Found the group.
    Found(BTreeMap<MemberId, Member>),
    /// Propose these numbers, each with a body as long as [`length`] says.
    Propose(Vec<u32>),
    /// Hand over to this member.
    Transfer(MemberId),
    /// Say what was applied.
    Report,
    /// End in order.
    Stop,
}

/// What driver and member tell each other. It outlives the member.
#[derive(Debug, Default)]
pub struct Notes {
    pub orders: VecDeque<Order>,
    pub addr: Option<SocketAddr>,
    pub leads: bool,
    pub term: u64,
    /// Index of the last entry that was applied.
    pub applied_to: u64,
    /// Proposals that were told to be applied.
    pub acknowledged: BTreeSet<u32>,
    /// Proposals that this member could not commit, as far as it knows.
    pub returned: Vec<u32>,
    /// Answer to [`Order::Report`]: the numbers that were applied, in order.
    pub report: Option<Vec<u32>>,
    /// The peers whose process is gone.
    pub gone: BTreeSet<MemberId>,
    /// Each peer: whether both lanes are up, and the last trouble.
    pub peers: BTreeMap<MemberId, (bool, Option<String>)>,
    /// Why others were refused.
    pub refused: Vec<String>,
}

#[derive(Clone, Default)]
pub struct Board(Arc<Mutex<Notes>>);

impl Board {
    pub fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn order(&self, order: Order) {
        self.notes().orders.push_back(order);
    }
}

pub fn member_id(number: u8) -> MemberId {
    MemberId(StoreId(number.into()))
}

pub fn facts(id: MemberId) -> Facts {
    Facts {
        store: id,
        cluster: "DefaultCluster".into(),
        known_as: "b".into(),
        group: "RaftNode00-s0".into(),
        shard: 0,
        constants: Constants::new(1 << 30),
    }
}

/// Bytes of the body of a proposal: mostly small ones, some of many blocks.
fn length(number: u32) -> usize {
    match number % 16 {
        0 => 60_000,
        1 => 5_000,
        2 => 4,
        other => 100 * other as usize,
    }
}

/// The number, and bytes that follow from it.
fn body(number: u32) -> Slice {
    let bytes = number.to_le_bytes();
    let mut buffer = runtime::buffer(length(number));
    for (at, byte) in buffer.iter_mut().enumerate() {
        *byte = bytes[at % 4].wrapping_add((at / 4 % 251) as u8);
    }
    let len = buffer.len();
    Slice::new(Rc::new(buffer), 0..len)
}

/// The number of a body, all of which is as it was proposed.
fn number(bytes: &[u8]) -> u32 {
    let number = u32::from_le_bytes(bytes[..4].try_into().unwrap());
    assert_eq!(bytes, &*body(number), "the body of {number} was changed");
    number
}

fn options(dir: &Path) -> Options {
    let mut options = Options {
        dir: dir.to_owned(),
        log_dir: dir.join("log"),
        segment_size: 0,
        flush: Flush::Sync,
        method: FlushMethod::Fdatasync,
        max_batch: 64 * 1024,
        tail_budget: 64 * 1024,
        cache_size: 4 * 1024 * 1024,
        max_queued: 1024 * 1024,
        max_request: 64 * 1024,
        shard: 0,
        shards: 1,
        scale: Scale::default(),
    };
    options.segment_size = options.smallest_segment();
    options
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
        ..Config::default()
    };
    Arc::new(config.validate().unwrap())
}

struct Life {
    board: Board,
    raft: Raft,
    machine: Machine,
    peers: Peers,
    server: Server,
}

/// A member's life, to its ordered end.
pub async fn live(start: Start, board: Board) {
    let (log, writer) = RaftLog::open(&options(&start.dir)).await.unwrap();
    let limits = (start.limits)(log.largest_body());
    let listener = TcpListener::bind(start.listen).await.unwrap();
    board.notes().addr = Some(listener.local_addr());
    let (machine, stop) = (Machine::default(), Flag::new());
    let peers = Peers::new(facts(start.id), limits);
    let dialler = Dialler::<()>::new(peers.clone());
    let raft = Raft::new(start.id, config(start.heartbeat), dialler, log, machine.clone());
    let raft = raft.await.unwrap();
    let handler = Rc::new(raft.clone());
    let server = Server::new(peers.clone(), handler, stop.clone());
    let serving = {
        let server = server.clone();
        runtime::spawn(async move { server.serve(listener).await })
    };
    let life = Life { board, raft, machine, peers, server };
    while life.turn() {
        sleep(Duration::from_millis(1)).await;
    }
    life.raft.shutdown().await.unwrap();
    stop.raise();
    serving.await;
    life.peers.stop();
    // Connections end by themselves.
    while life.server.connections() > 0 {
        sleep(Duration::from_millis(1)).await;
    }
    drop(life);
    writer.await.expect("the log is closed in order");
}

impl Life {
    /// Tells how it is, and does what is ordered; false at the end.
    fn turn(&self) -> bool {
        self.tell();
        loop {
            let order = self.board.notes().orders.pop_front();
            match order {
                None => return true,
                Some(Order::Stop) => return false,
                Some(order) => self.obey(order),
            }
        }
    }

    fn obey(&self, order: Order) {
        let (raft, board) = (self.raft.clone(), self.board.clone());
        match order {
            Order::Stop => unreachable!("it ends the turns"),
            Order::Report => {
                let bodies = self.machine.bodies();
                board.notes().report = Some(bodies.iter().map(|body| number(body)).collect());
            }
            Order::Transfer(to) => {
                let task = async move { raft.trigger().transfer_leader(to).await.unwrap() };
                runtime::spawn(task).detach();
            }
            Order::Found(members) => {
                runtime::spawn(async move { raft.initialize(members).await.unwrap() }).detach();
            }
            Order::Propose(numbers) => numbers.into_iter().for_each(|number| self.propose(number)),
        }
    }

    fn propose(&self, number: u32) {
        let (raft, board) = (self.raft.clone(), self.board.clone());
        let (kind, timestamp) = (EntryKind::Command, UnixMillis(u64::from(number)));
        let proposal = Proposal::Entry(Content { kind, timestamp, records: 0, body: body(number) });
        runtime::spawn(async move {
            match raft.client_write(proposal).await {
                Ok(_) => drop(board.notes().acknowledged.insert(number)),
                // Refused, or nobody knows what came of it.
                Err(_) => board.notes().returned.push(number),
            }
        })
        .detach();
    }

    fn tell(&self) {
        let (leads, term, applied_to) = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            let applied_to = metrics.last_applied.map_or(0, |id| id.index);
            self.peers.know(metrics.membership_config.nodes());
            (metrics.state == ServerState::Leader, metrics.current_term, applied_to)
        };
        let view = |status: PeerStatus| {
            let up = status.bulk && status.urgent;
            assert!(!up || status.last_contact.is_some(), "who is connected has said something");
            (status.id, (up, status.trouble.map(|(_, trouble)| trouble.to_string())))
        };
        let mut notes = self.board.notes();
        (notes.leads, notes.term, notes.applied_to) = (leads, term, applied_to);
        notes.gone = self.peers.gone().borrow().keys().copied().collect();
        notes.peers = self.peers.status().into_iter().map(view).collect();
        notes.refused =
            self.server.refused().iter().map(|visitor| visitor.refusal.to_string()).collect();
    }
}
