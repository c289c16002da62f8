//! A store and what its tests need around it.

use std::future::Future;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{Draft, QueueId, UnixMillis};
use runtime::sim::Simulation;
use runtime::{Placement, Spec};
use storage::{
    Applied, AppliedRecord, Event, Events, Flush, OpenError, Options, Recovery, Store, What,
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

    let target =
        std::env::var("CARGO_TARGET_TMPDIR").unwrap_or_else(|_| env!("CARGO_TARGET_TMPDIR").into());
    let dir = Path::new(&target).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a writable target directory");
    let inside = dir.join("store");
    let spec = Spec { name: name.into(), placement: Placement::Any };
    let executor = runtime::start(spec, move || test(inside)).expect("an executor");
    executor.join().expect("the run on the disk ends");
    std::fs::remove_dir_all(&dir).expect("the directory is ours");
}

/// Small segments, so that tests come to their edges.
pub fn options(dir: &Path) -> Options {
    let mut options = Options {
        dir: dir.to_owned(),
        log_dir: dir.join("log"),
        segment_size: 0,
        flush: Flush::Sync,
        tail_budget: 64 * 1024,
        max_queued: 4 * 1024 * 1024,
        max_request: 1024 * 1024,
        shard: 0,
        shards: 1,
    };
    options.segment_size = options.smallest_segment();
    options
}

pub async fn try_open(options: Options) -> Result<(Store, Events), OpenError> {
    Store::open(options).await
}

/// A store that has recovered.
pub struct Opened {
    pub store: Store,
    pub events: Events,
    pub recovery: Recovery,
    pub replayed: Vec<Applied>,
    records: Vec<AppliedRecord>,
}

pub async fn open(options: Options) -> Opened {
    let (store, mut events) = try_open(options).await.expect("the store opens");
    let mut replayed = Vec::new();
    loop {
        match events.next().await {
            Event::Committed(applied) => {
                assert!(applied.replayed);
                replayed.push(applied);
            }
            Event::Recovered(recovery) => {
                return Opened { store, events, recovery, replayed, records: Vec::new() };
            }
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
            other => panic!("the store stopped working: {other:?}"),
        }
    }

    /// The next `count` committed messages.
    pub async fn collect(&mut self, count: usize) -> Vec<AppliedRecord> {
        while self.records.len() < count {
            self.drain_some().await;
        }
        self.records.drain(..count).collect()
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
                Event::Committed(_) => {}
                other => panic!("the store does not stop: {other:?}"),
            }
        }
        stopped.await;
    }
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
