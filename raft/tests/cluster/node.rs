//! One member of the group, in an executor of its own: its store, its network, and the owner of the store.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use model::{Draft, QueueId, QueueOffset, Record, Term, UnixMillis};
use raft::net::{Constants, Dialler, Facts, Limits, Peers, Server};
use raft::{MemberId, Node, Role, Times};
use runtime::channel::Flag;
use runtime::{TcpListener, sleep};
use storage::{AppendError, Event, Events, Flush, FlushMethod, Options, Scale, Store, What};

use crate::board::{Board, Taken};

const TOPIC: &str = "T";
const QUEUE: QueueId = QueueId(0);
const TURN: Duration = Duration::from_millis(1);
const TIMES: Times = Times {
    heartbeat: Duration::from_millis(30),
    election: (Duration::from_millis(100), Duration::from_millis(180)),
};

/// Messages that were sent here, oldest first, each with the term in which the store took it.
type Pending = Rc<RefCell<VecDeque<(Term, u32)>>>;

fn options() -> Options {
    let mut options = Options {
        dir: "/store".into(),
        log_dir: "/store/log".into(),
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

fn facts(store: MemberId) -> Facts {
    Facts {
        store,
        cluster: "DefaultCluster".into(),
        group: "RaftNode00-s0".into(),
        shard: 0,
        constants: Constants::new(options().segment_size),
    }
}

/// Mostly small ones, and some that fill a segment soon.
fn body(number: u32) -> Vec<u8> {
    let len = if number.is_multiple_of(5) { 60_000 } else { 1 + number as usize % 7 * 500 };
    number.to_le_bytes().into_iter().cycle().take(len.max(4)).collect()
}

/// A member's life, to its ordered end. It starts again by itself when a snapshot takes the place of its log.
pub async fn live(listen: SocketAddr, board: Board) {
    while live_once(listen, board.clone()).await {}
}

/// True when the store is to be opened again.
async fn live_once(listen: SocketAddr, board: Board) -> bool {
    let (store, events, opening) = Store::open_member(options()).await.unwrap();
    let id = MemberId(store.id());
    let pending = Pending::default();
    let owner = own(events, Rc::clone(&pending), board.clone());
    let owner = runtime::spawn(owner);
    let (log, applier) = opening.ready().await.expect("the log is read");
    let limits = Limits::new(log.largest_payload());
    let peers = Peers::new(facts(id), limits);
    let dialler = Dialler::<Vec<u8>>::new(peers.clone());
    let node = Node::start(store.clone(), log, applier, dialler, TIMES).await.unwrap();
    node.introduce(peers.clone());
    let stop = Flag::new();
    let listener = TcpListener::bind(listen).await.unwrap();
    let handler = Rc::new(node.raft().clone());
    let server = Server::new(peers.clone(), handler, stop.clone());
    let serving = runtime::spawn(async move { server.serve(listener).await });
    board.notes().id = Some(id);
    let life = Life { board, store, node, pending };
    while life.turn().await {
        sleep(TURN).await;
    }
    stop.raise();
    serving.await;
    peers.stop();
    let again = life.node.wants_restart();
    life.give_up();
    life.node.stop().await.unwrap();
    life.store.stop().await;
    owner.await;
    again
}

struct Life {
    board: Board,
    store: Store,
    node: Node,
    pending: Pending,
}

impl Life {
    /// False at the end.
    async fn turn(&self) -> bool {
        let found = self.board.notes().found.take();
        if let Some(members) = found {
            self.node.found(members).await.unwrap();
        }
        if std::mem::take(&mut self.board.notes().trim) {
            self.trim().await;
        }
        let leads = match self.node.role() {
            Role::Leading(term) => Some(term),
            Role::Following(_) => None,
        };
        match leads {
            Some(term) => self.send_all(term),
            None => self.give_up(),
        }
        let wanted = self.board.notes().report_wanted;
        let report = if wanted { Some(self.report().await) } else { None };
        let mut notes = self.board.notes();
        notes.leads = leads.map(|term| term.0);
        notes.applied = self.store.queue(TOPIC, QUEUE).map_or(0, |range| range.max.0);
        if report.is_some() {
            (notes.report, notes.report_wanted) = (report, false);
        }
        if self.node.wants_restart() {
            notes.restarts += 1;
            return false;
        }
        !notes.stop
    }

    /// Gives up all segments but the newest two, where messages are taken.
    async fn trim(&self) {
        let segments = self.store.segments();
        if let [.., (to, _), _] = segments[..]
            && to > self.store.stats().min
        {
            drop(self.store.append_trim(to).await); // elsewhere, or a little later
        }
    }

    /// Whoever sent something here is told that nobody knows what became of it.
    fn give_up(&self) {
        let taken: Vec<_> = self.pending.borrow_mut().drain(..).map(|(_, number)| number).collect();
        let mut notes = self.board.notes();
        let not_taken: Vec<_> = notes.to_send.drain(..).collect();
        notes.unknown.extend(taken.into_iter().chain(not_taken));
    }

    fn send_all(&self, term: Term) {
        if !self.store.has_topic(TOPIC) {
            drop(self.store.append_create_topic(TOPIC, 1, b""));
            return;
        }
        loop {
            let Some(number) = self.board.notes().to_send.pop_front() else { return };
            match self.store.append_message(&draft(&body(number))) {
                Ok(()) => self.pending.borrow_mut().push_back((term, number)),
                Err(AppendError::NoSegment | AppendError::Busy { .. }) => {
                    return self.board.notes().to_send.push_front(number);
                }
                Err(AppendError::Elsewhere | AppendError::NoTopic) => {
                    return self.board.notes().unknown.push(number);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn report(&self) -> Vec<Taken> {
        let Some(range) = self.store.queue(TOPIC, QUEUE) else { return Vec::new() };
        let (mut all, mut next) = (Vec::new(), range.min);
        while next < range.max {
            let units = self.store.older_units(TOPIC, QUEUE, next, 100).await.unwrap();
            assert_eq!(units.first().map(|(offset, _)| *offset), Some(next), "there is no gap");
            for (queue_offset, unit) in units {
                let bytes = self.store.read(unit.offset, unit.size).await.unwrap();
                let record = Record::parse(&bytes).unwrap();
                assert_eq!(record.queue_offset(), queue_offset);
                assert_eq!(record.physical_offset(), unit.offset);
                let number = number(record.body());
                let (queue_offset, physical) = (queue_offset.0, unit.offset.0);
                all.push(Taken { queue_offset, physical, number });
                next = QueueOffset(queue_offset + 1);
            }
        }
        all
    }
}

/// The number of a message, all of which is as it was sent.
fn number(bytes: &[u8]) -> u32 {
    let number = u32::from_le_bytes(bytes[..4].try_into().unwrap());
    assert_eq!(bytes, body(number), "the body of {number} was changed");
    number
}

fn draft(body: &[u8]) -> Draft<'_> {
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

/// The owner of the store: acknowledges what was sent here, in the term in which it was sent.
async fn own(mut events: Events, pending: Pending, board: Board) {
    loop {
        match events.next().await {
            Event::StateWanted(wanted) => wanted.give(b"state".to_vec()),
            Event::Committed(applied) => {
                let What::Messages(records) = applied.what else { continue };
                if !applied.here {
                    continue;
                }
                for record in records {
                    let mut pending = pending.borrow_mut();
                    // What was sent in a term that is over nobody waits for.
                    while pending.pop_front_if(|(term, _)| *term < applied.term).is_some() {}
                    let in_term = pending.front().is_some_and(|(term, _)| *term == applied.term);
                    let Some((_, number)) = pending.pop_front_if(|_| in_term) else { continue };
                    let (queue_offset, physical) = (record.queue_offset.0, record.physical.0);
                    board.notes().acknowledged.push(Taken { queue_offset, physical, number });
                }
            }
            Event::Stopped => return,
            Event::Failed(error) => panic!("the store has failed: {error}"),
            Event::Recovered(_) | Event::Restored(_) | Event::Warned(_) => {}
        }
    }
}
