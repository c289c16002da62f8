//! A member of the group, with its store, its network and the owner of its store. All members of a test live in one executor.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use model::{Draft, LogIndex, QueueId, UnixMillis};
use raft::net::{Constants, Dialler, Facts, Limits, Peers, Server};
use raft::{Member, MemberId, Node, Role, Times};
use runtime::channel::Flag;
use runtime::{Task, TcpListener, now, sleep};
use storage::{
    AppendError, EntryLog, Event, Events, Flush, FlushMethod, LogEntry, Options, Scale, Store,
};

pub const GROUP: &str = "RaftNode00-s0";
pub const TOPIC: &str = "T";
pub const QUEUE: QueueId = QueueId(0);
pub const LIMIT: Duration = Duration::from_secs(60);
const TIMES: Times = Times {
    heartbeat: Duration::from_millis(30),
    election: (Duration::from_millis(100), Duration::from_millis(180)),
};

pub fn options(dir: &Path) -> Options {
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

pub fn addr(number: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 40911 + number))
}

pub fn named(number: u16) -> Member {
    Member { label: format!("n{number}"), addr: addr(number) }
}

pub fn draft(body: &[u8]) -> Draft<'_> {
    Draft {
        topic: TOPIC,
        queue_id: QUEUE,
        flag: 0,
        sys_flag: 0,
        born_time: UnixMillis(1),
        born_host: SocketAddr::from(([10, 0, 0, 9], 1)),
        store_host: SocketAddr::from(([10, 0, 0, 1], 10911)),
        reconsume_times: 0,
        prepared_offset: 0,
        body,
        properties: b"",
        more_properties: b"",
    }
}

/// Waits until that holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = now() + LIMIT;
    while !holds() {
        assert!(now() < end, "not within {LIMIT:?}: {what}");
        sleep(Duration::from_millis(1)).await;
    }
}

/// Answers what a store asks of its owner; why it has failed, if it has.
pub async fn own(mut events: Events) -> Option<String> {
    loop {
        match events.next().await {
            Event::StateWanted(wanted) => wanted.give(b"state".to_vec()),
            Event::Stopped => return None,
            Event::Failed(error) => return Some(error.to_string()),
            Event::Committed(_) | Event::Recovered(_) | Event::Restored(_) | Event::Warned(_) => {}
        }
    }
}

pub struct Live {
    number: u16,
    dir: PathBuf,
    pub id: MemberId,
    pub store: Store,
    pub node: Node,
    pub peers: Peers,
    stop: Flag,
    serving: Task<()>,
    owner: Task<()>,
    /// Why its store has failed.
    pub failed: Rc<RefCell<Option<String>>>,
}

impl Live {
    pub async fn start(dir: &Path, number: u16) -> Self {
        let (store, events, opening) = Store::open_member(options(dir)).await.unwrap();
        let id = MemberId(store.id());
        let failed = Rc::new(RefCell::new(None));
        let told = Rc::clone(&failed);
        let owner = runtime::spawn(async move {
            told.replace(own(events).await);
        });
        let Some((log, applier)) = opening.ready().await else {
            owner.await;
            panic!("the log cannot be read: {failed:?}");
        };
        let facts = Facts {
            store: id,
            cluster: "DefaultCluster".into(),
            known_as: "b".into(),
            group: GROUP.into(),
            shard: 0,
            constants: Constants::new(options(dir).segment_size),
        };
        let peers = Peers::new(facts, Limits::new(log.largest_payload()));
        let dialler = Dialler::<Vec<u8>>::new(peers.clone());
        let node = Node::start(store.clone(), log, applier, dialler, TIMES).await.unwrap();
        node.introduce(peers.clone());
        let stop = Flag::new();
        let listener = TcpListener::bind(addr(number)).await.unwrap();
        let server = Server::new(peers.clone(), Rc::new(node.handler()), stop.clone());
        let serving = runtime::spawn(async move { server.serve(listener).await });
        let dir = dir.to_owned();
        Self { number, dir, id, store, node, peers, stop, serving, owner, failed }
    }

    /// Stops in order; what its log says to that.
    pub async fn stop(self) -> Result<(), std::io::Error> {
        self.stop.raise();
        self.serving.await;
        self.peers.stop();
        let stopped = self.node.stop().await;
        self.store.stop().await;
        self.owner.await;
        stopped
    }

    /// Starts again where a snapshot is to take the place of the log.
    pub async fn restart(self) -> Self {
        let (dir, number) = (self.dir.clone(), self.number);
        self.stop().await.unwrap();
        Self::start(&dir, number).await
    }

    pub fn leads(&self) -> bool {
        matches!(self.node.role(), Role::Leading(_))
    }

    /// The group of this one alone, which leads.
    pub async fn found(&self) {
        let members = BTreeMap::from([(self.id, named(self.number))]);
        self.node.found(members).await.unwrap();
        until("it leads", || self.leads()).await;
    }

    /// Sends so many messages, and waits until they are committed.
    pub async fn send(&self, count: u64, len: usize) {
        let end = self.messages() + count;
        for number in 0..count {
            let body = vec![number as u8; len];
            while let Err(error) = self.store.append_message(&draft(&body)) {
                let waits = matches!(error, AppendError::NoSegment | AppendError::Busy { .. });
                assert!(waits, "{error}");
                sleep(Duration::from_millis(1)).await;
            }
        }
        until("they are committed", || self.messages() == end).await;
    }

    pub fn messages(&self) -> u64 {
        self.store.queue(TOPIC, QUEUE).map_or(0, |range| range.max.0)
    }
}

/// All that a log holds, of a member that is stopped.
pub async fn entries(dir: &Path) -> Vec<LogEntry> {
    let log = EntryLog::open(&options(dir)).await.unwrap();
    let all = LogIndex(0)..LogIndex(u64::MAX);
    let entries = log.reader().read(all, usize::MAX).await.unwrap();
    log.close().await.unwrap();
    entries
}
