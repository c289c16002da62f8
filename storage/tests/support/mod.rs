//! A store and what its tests need around it.

#![allow(clippy::disallowed_methods, reason = "a test makes and removes its own directory")]
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

use std::future::Future;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use model::{Draft, QueueId, QueueOffset, UnixMillis};
use runtime::sim::Simulation;
use runtime::{BLOCK, File, OpenMode, Placement, Spec};
use storage::{
    AppendError, Applied, AppliedRecord, Event, Events, Flush, FlushMethod, OpenError, Options,
    Recovery, Scale, Store, Unit, Warning, What,
};

/// Runs the test on the simulated disk, and on a real one.
pub fn everywhere<F, Fut>(name: &'static str, test: F)
where
    F: FnOnce(PathBuf) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let simulation = Simulation::new(0x5EED);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let on_sim = test.clone();
    let executor = node.start("store", move || on_sim(PathBuf::from("/store")));
    simulation.join(executor, Duration::from_secs(600)).expect("the simulated run ends");

    let dir = fresh_dir(name);
    let inside = dir.join("store");
    let spec = Spec { name: name.into(), placement: Placement::Any, busy_poll: None };
    let executor = runtime::start(spec, move || test(inside)).expect("an executor");
    executor.join().expect("the run on the disk ends");
    std::fs::remove_dir_all(&dir).expect("the directory is ours");
}

/// Runs `first`, lets the process die without a stop, and runs `second` on what is left. Simulated and
/// on a real disk.
pub fn over_a_crash<F, G, Fut1, Fut2, T>(name: &'static str, first: F, second: G)
where
    T: Clone + Send + 'static,
    F: FnOnce(PathBuf) -> Fut1 + Clone + Send + 'static,
    G: FnOnce(PathBuf, T) -> Fut2 + Clone + Send + 'static,
    Fut1: Future<Output = T> + 'static,
    Fut2: Future<Output = ()> + 'static,
{
    let limit = Duration::from_secs(600);
    let simulation = Simulation::new(0xDEAD);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let (first_on_sim, second_on_sim) = (first.clone(), second.clone());
    let before = node.start("before", move || first_on_sim(PathBuf::from("/store")));
    let left = simulation.join(before, limit).expect("the first life ends");
    node.crash();
    let after = node.start("after", move || second_on_sim(PathBuf::from("/store"), left));
    simulation.join(after, limit).expect("the second life ends");

    let dir = fresh_dir(name);
    let inside = dir.join("store");
    let again = inside.clone();
    let spec = |part: &str| Spec {
        name: format!("{name}-{part}"),
        placement: Placement::Any,
        busy_poll: None,
    };
    let before = runtime::start(spec("a"), move || first(inside)).expect("an executor");
    let left = before.join().expect("the first life ends");
    let after = runtime::start(spec("b"), move || second(again, left)).expect("an executor");
    after.join().expect("the second life ends");
    std::fs::remove_dir_all(&dir).expect("the directory is ours");
}

fn fresh_dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&dir));
    std::fs::create_dir_all(&dir).expect("a writable target directory");
    dir
}

/// The file of the first segment.
pub fn first_segment(dir: &Path) -> PathBuf {
    dir.join("log").join(format!("{:020}", 0))
}

/// Changes a byte of the first segment at `offset`, behind the store's back.
pub async fn damage(dir: &Path, offset: u64) {
    alter(&first_segment(dir), offset, 1, |byte| byte[0] ^= 0x40).await;
}

/// Changes `len` bytes, within one block, of a file.
pub async fn alter(path: &Path, offset: u64, len: usize, change: impl FnOnce(&mut [u8])) {
    let file = File::open(path, OpenMode::ReadWrite).await.expect("the file");
    let block = offset / BLOCK as u64 * BLOCK as u64;
    let bytes = file.read_at(block, BLOCK).await.expect("readable");
    let mut copy = file.buffer(BLOCK);
    copy.copy_from_slice(&bytes);
    change(&mut copy[(offset - block) as usize..][..len]);
    file.write_at(&Rc::new(copy), block).await.expect("writable");
    file.sync().await.expect("flushable");
    file.close().await.expect("closable");
}

/// Small segments, so that tests come to their edges.
pub fn options(dir: &Path) -> Options {
    let mut options = Options {
        dir: dir.to_owned(),
        log_dir: dir.join("log"),
        segment_size: 0,
        flush: Flush::Sync,
        method: FlushMethod::Fdatasync,
        max_batch: 1024 * 1024,
        tail_budget: 64 * 1024,
        cache_size: 4 * 1024 * 1024,
        max_queued: 4 * 1024 * 1024,
        max_request: 1024 * 1024,
        shard: 0,
        shards: 1,
        scale: Scale::default(),
    };
    options.segment_size = options.smallest_segment();
    options
}

pub async fn try_open(options: Options) -> Result<(Store, Events), OpenError> {
    Store::open(options).await
}

/// What the owner of these tests' stores says of its state.
pub const STATE: &[u8] = b"the owner's state";

/// A store that has recovered.
pub struct Opened {
    pub store: Store,
    pub events: Events,
    pub recovery: Recovery,
    /// The owner's state, if the start began at a checkpoint.
    pub restored: Option<Vec<u8>>,
    /// What the log held behind the checkpoint.
    pub replayed: Vec<Applied>,
    /// What it has warned of.
    pub warnings: Vec<Warning>,
    records: Vec<AppliedRecord>,
}

pub async fn open(options: Options) -> Opened {
    let (store, mut events) = try_open(options).await.expect("the store opens");
    let (mut restored, mut replayed, mut warnings) = (None, Vec::new(), Vec::new());
    loop {
        match events.next().await {
            Event::Committed(applied) => {
                assert!(applied.replayed);
                replayed.push(applied);
            }
            Event::Restored(state) => restored = Some(state),
            Event::StateWanted(wanted) => wanted.give(STATE.to_vec()),
            Event::Recovered(recovery) => {
                let records = Vec::new();
                return Opened { store, events, recovery, restored, replayed, warnings, records };
            }
            Event::Warned(warning) => warnings.push(warning),
            other => panic!("the store does not recover: {other:?}"),
        }
    }
}

impl Opened {
    /// Takes one event.
    pub async fn drain_some(&mut self) {
        match self.events.next().await {
            Event::Committed(applied) => {
                assert!(!applied.replayed);
                if let What::Messages(records) = applied.what {
                    self.records.extend(records);
                }
            }
            Event::StateWanted(wanted) => wanted.give(STATE.to_vec()),
            Event::Warned(warning) => self.warnings.push(warning),
            other => panic!("the store stopped working: {other:?}"),
        }
    }

    /// Takes the events that are there, and lets time pass.
    pub async fn answer(&mut self) {
        let some = Duration::from_millis(1);
        while runtime::timeout(some, self.drain_some()).await.is_ok() {}
    }

    /// The next `count` committed messages.
    pub async fn collect(&mut self, count: usize) -> Vec<AppliedRecord> {
        while self.records.len() < count {
            self.drain_some().await;
        }
        self.records.drain(..count).collect()
    }

    /// Appends a message as soon as there is room.
    pub async fn append(&self, topic: &str, queue: QueueId, body: &[u8]) {
        while let Err(error) = self.store.append_message(&draft(topic, queue, body)) {
            assert_eq!(error, AppendError::NoSegment);
            runtime::sleep(Duration::from_millis(1)).await;
        }
    }

    /// All messages of a queue, wherever their index is.
    pub async fn units(&self, topic: &str, queue: QueueId) -> Vec<(QueueOffset, Unit)> {
        all_units(&self.store, topic, queue).await
    }

    /// Stops in order.
    pub async fn stop(mut self) {
        let stopped = {
            let store = self.store.clone();
            runtime::spawn(async move { store.stop().await })
        };
        loop {
            match self.events.next().await {
                Event::Stopped => break,
                Event::Committed(_) | Event::Warned(_) => {}
                Event::StateWanted(wanted) => wanted.give(STATE.to_vec()),
                other => panic!("the store does not stop: {other:?}"),
            }
        }
        stopped.await;
    }
}

/// All messages of a queue, wherever their index is.
pub async fn all_units(store: &Store, topic: &str, queue: QueueId) -> Vec<(QueueOffset, Unit)> {
    let range = store.queue(topic, queue).expect("the queue is there");
    let (mut at, mut units) = (range.min, Vec::new());
    while at < range.max {
        let more = store.older_units(topic, queue, at, 1000).await.expect("the index is intact");
        assert_eq!(more.first().map(|(offset, _)| *offset), Some(at), "queue {queue} has a gap");
        at = at.plus(more.len() as u64);
        units.extend(more);
    }
    for (due, (offset, _)) in (range.min.0..).zip(&units) {
        assert_eq!(offset.0, due, "queue {queue} is in order");
    }
    units
}

pub fn body(i: u64) -> Vec<u8> {
    let len = (i * 37 % 3000) as usize;
    let mut body = format!("message {i} ").into_bytes();
    body.resize(body.len() + len, (i % 251) as u8);
    body
}

pub fn draft<'a>(topic: &'a str, queue: QueueId, body: &'a [u8]) -> Draft<'a> {
    let host = "127.0.0.1:10911".parse().expect("an address");
    Draft {
        topic,
        queue_id: queue,
        flag: 0,
        sys_flag: 0,
        born_time: UnixMillis(1),
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_offset: 0,
        body,
        properties: b"TAGS\x01TagA\x02",
        more_properties: b"",
    }
}
