//! A member of a group with its store, and what came back from it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use model::{Draft, PhysicalOffset, QueueId, QueueOffset, Record, UnixMillis};
use raft::{MemberId, Node, Role, Times};
use runtime::channel::Flag;
use runtime::{Task, now, sleep};
use storage::{AppendError, Event, Events, Flush, FlushMethod, Options, Scale, Store, What};

use crate::LIMIT;
use crate::wire::{Dialer, Wires};

const TOPIC: &str = "T";
const QUEUE: QueueId = QueueId(0);
const TIMES: Times = Times {
    heartbeat: Duration::from_millis(30),
    election: (Duration::from_millis(100), Duration::from_millis(180)),
};

/// A message that the store has taken, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub at: PhysicalOffset,
    pub queue_offset: QueueOffset,
    pub size: u32,
}

/// Messages that were appended here, and told since that was asked last.
type Seen = VecDeque<Taken>;

pub struct Life {
    pub node: Node,
    store: Store,
    seen: Rc<RefCell<Seen>>,
    owner: Task<()>,
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
        scale: Scale { interval: 100_000, ..Scale::default() },
    };
    options.segment_size = options.smallest_segment();
    options
}

fn body(number: u32) -> Vec<u8> {
    let len = 1000 + usize::try_from(number % 7).unwrap() * 3000;
    number.to_le_bytes().into_iter().cycle().take(len).collect()
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

async fn own(mut events: Events, seen: Rc<RefCell<Seen>>, read: Flag) {
    loop {
        match events.next().await {
            Event::StateWanted(wanted) => wanted.give(b"state".to_vec()),
            Event::Recovered(_) => read.raise(),
            Event::Committed(applied) => {
                let What::Messages(records) = applied.what else { continue };
                let mut seen = seen.borrow_mut();
                for record in records {
                    let (at, queue_offset, size) =
                        (record.physical, record.queue_offset, record.size);
                    if applied.here {
                        seen.push_back(Taken { at, queue_offset, size });
                    }
                }
            }
            Event::Stopped => return,
            Event::Failed(error) => panic!("the store has failed: {error}"),
            Event::Restored(_) | Event::Warned(_) => {}
        }
    }
}

impl Life {
    pub async fn start(dir: &Path, wires: &Wires) -> Self {
        let (store, events, opening) = Store::open_member(options(dir)).await.unwrap();
        let (seen, read) = (Rc::<RefCell<Seen>>::default(), Flag::new());
        let owner = runtime::spawn(own(events, Rc::clone(&seen), read.clone()));
        let (log, applier) = opening.ready().await.expect("it is read");
        read.raised().await;
        let dialer = Dialer { from: MemberId(store.id()), wires: wires.clone() };
        let node = Node::start(store.clone(), log, applier, dialer, TIMES).await.unwrap();
        wires.add(MemberId(store.id()), node.raft().clone());
        Self { node, store, seen, owner }
    }

    pub fn id(&self) -> MemberId {
        MemberId(self.store.id())
    }

    /// How many messages are applied.
    pub fn count(&self) -> u64 {
        self.store.queue(TOPIC, QUEUE).map_or(0, |range| range.max.0)
    }

    /// The messages that are applied.
    pub async fn applied(&self) -> Vec<Taken> {
        let mut all = Vec::new();
        while (all.len() as u64) < self.count() {
            let next = QueueOffset(all.len() as u64);
            let more = self.store.older_units(TOPIC, QUEUE, next, 1000).await.unwrap();
            assert!(!more.is_empty(), "the queue has a gap at {next}");
            all.extend(more.into_iter().map(|(queue_offset, unit)| Taken {
                at: unit.offset,
                queue_offset,
                size: unit.size,
            }));
        }
        all
    }

    pub async fn create_topic(&self) {
        self.store.append_create_topic(TOPIC, 1, b"").unwrap();
    }

    /// Sends messages one after the other; where they are, once all are told.
    pub async fn send(&self, numbers: Range<u32>) -> Vec<Taken> {
        let count = numbers.len();
        let taken = self.try_send(numbers).await;
        assert_eq!(taken.len(), count, "all are acknowledged");
        taken
    }

    /// As [`Life::send`]; those that are told within a second, or before this member leads no more.
    pub async fn try_send(&self, numbers: Range<u32>) -> Vec<Taken> {
        self.seen.borrow_mut().clear();
        let count = numbers.len();
        for number in numbers {
            let body = body(number);
            while let Err(error) = self.store.append_message(&draft(&body)) {
                match error {
                    AppendError::NoSegment | AppendError::Busy { .. } => {}
                    AppendError::Elsewhere => break,
                    other => panic!("{other}"),
                }
                sleep(Duration::from_millis(1)).await;
            }
        }
        let end = now() + LIMIT;
        let leads = || matches!(self.node.role(), Role::Leading(_));
        while self.seen.borrow().len() < count && now() < end && leads() {
            sleep(Duration::from_millis(1)).await;
        }
        self.seen.borrow_mut().drain(..).collect()
    }

    /// Every message that was applied can be read back, and is one that was sent.
    pub async fn check_bodies(&self) {
        for taken in self.applied().await {
            let bytes = self.store.read(taken.at, taken.size).await.unwrap();
            let record = Record::parse(&bytes).unwrap();
            let number: [u8; 4] = record.body()[..4].try_into().unwrap();
            assert_eq!(record.body(), body(u32::from_le_bytes(number)), "at {}", taken.at);
        }
    }

    pub async fn stop(self) {
        self.node.stop().await.unwrap();
        self.store.stop().await;
        self.owner.await;
    }
}
