//! A member of the group on a machine of its own.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{Draft, QueueId, Term, UnixMillis};
use raft::net::{Constants, Dialler, Facts, Limits, Peers, Server};
use raft::{Group, Member, MemberId, Node, Role, Times};
use runtime::channel::Flag;
use runtime::{TcpListener, sleep};
use storage::{Event, Events, Flush, FlushMethod, Options, Scale, Store};

const TOPIC: &str = "T";
const QUEUE: QueueId = QueueId(0);
const PORT: u16 = 40911;
const TURN: Duration = Duration::from_millis(2);
/// A message is sent in each turn of so many.
const TURNS: u64 = 10;

/// Elections take seconds: a leader that comes sooner did not come by one that was waited for.
pub const TIMES: Times = Times {
    heartbeat: Duration::from_millis(100),
    election: (Duration::from_secs(2), Duration::from_secs(3)),
};

/// What the test wants of a member, and what it sees of it.
#[derive(Default)]
pub struct Notes {
    pub id: Option<MemberId>,
    /// Whom to found the group with.
    pub found: Option<BTreeMap<MemberId, Member>>,
    /// Whom it shall ask to lead.
    pub asks: Option<MemberId>,
    /// Whether it sends a message whenever it leads.
    pub sends: bool,
    /// The term in which it leads.
    pub leads: Option<Term>,
    pub follows: Option<MemberId>,
    /// Messages that its store has applied.
    pub messages: u64,
    /// Peers whose process is gone, as it sees it.
    pub gone: usize,
    pub term: Term,
}

#[derive(Clone, Default)]
pub struct Board(Arc<Mutex<Notes>>);

impl Board {
    pub fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn ip(at: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 1 + at)
}

pub fn named(at: u8) -> Member {
    Member::new(format!("n{at}"), SocketAddr::from((ip(at), PORT)))
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
        scale: Scale { interval: 200_000, ..Scale::default() },
    };
    options.segment_size = options.smallest_segment();
    options
}

async fn own(mut events: Events) {
    loop {
        match events.next().await {
            Event::StateWanted(wanted) => wanted.give(b"state".to_vec()),
            Event::Stopped => return,
            Event::Failed(error) => panic!("{error}"),
            Event::Committed(_) | Event::Recovered(_) | Event::Restored(_) | Event::Warned(_) => {}
        }
    }
}

/// A member's life, to the end of its process.
pub async fn live(at: u8, board: Board) {
    let options = options(Path::new("/store"));
    let segment_size = options.segment_size;
    let (store, events, opening) = Store::open_member(options).await.unwrap();
    runtime::spawn(own(events)).detach();
    let (log, applier) = opening.ready().await.unwrap();
    let id = MemberId(store.id());
    let facts = Facts {
        store: id,
        cluster: "DefaultCluster".into(),
        known_as: "b".into(),
        group: "RaftNode00-s0".into(),
        shard: 0,
        constants: Constants::new(segment_size),
    };
    let peers = Peers::new(facts, Limits::new(log.largest_payload()));
    let dialler = Dialler::<Vec<u8>>::new(peers.clone());
    let node = Node::start(store.clone(), log, applier, dialler, TIMES).await.unwrap();
    node.introduce(peers.clone());
    let listener = TcpListener::bind(named(at).addr).await.unwrap();
    let server = Server::new(peers.clone(), Rc::new(node.raft().clone()), Flag::new());
    runtime::spawn(async move { server.serve(listener).await }).detach();
    board.notes().id = Some(id);
    let group = node.group();
    for turn in 0_u64.. {
        let found = board.notes().found.take();
        if let Some(members) = found {
            node.found(members).await.unwrap();
        }
        let asks = board.notes().asks.take();
        if let Some(to) = asks {
            group.hand_over(to).await.unwrap();
        }
        if turn % TURNS == 0 && board.notes().sends {
            send(&store);
        }
        note(&board, &group, &store, &peers);
        sleep(TURN).await;
    }
}

/// Sends a message, if it leads and has room.
fn send(store: &Store) {
    if !store.has_topic(TOPIC) {
        drop(store.append_create_topic(TOPIC, 1, b""));
    }
    let host = SocketAddr::from((ip(0), 10911));
    drop(store.append_message(&Draft {
        topic: TOPIC,
        queue_id: QUEUE,
        flag: 0,
        sys_flag: 0,
        born_time: UnixMillis(1),
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_offset: 0,
        body: b"body",
        properties: b"",
        more_properties: b"",
    }));
}

fn note(board: &Board, group: &Group, store: &Store, peers: &Peers) {
    let mut notes = board.notes();
    (notes.leads, notes.follows) = match group.role() {
        Role::Leading(term) => (Some(term), None),
        Role::Following(leader) => (None, leader),
    };
    notes.messages = store.queue(TOPIC, QUEUE).map_or(0, |range| range.max.0);
    notes.gone = peers.gone().borrow().len();
    notes.term = group.term();
}
