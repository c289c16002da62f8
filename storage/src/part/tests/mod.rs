//! A log of random messages, and what an index of it must say.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{LogIndex, PhysicalOffset, QueueId, QueueOffset, UnixMillis};
use runtime::sim::Simulation;
use runtime::{fs, random_below};

use super::{Frozen, Growing, KeyAt, Packed, PartDir, PartFile, QueueKey, RunAt};
use crate::identity::StoreId;
use crate::topics::Incarnation;

mod crash;
mod damage;
mod growing;
mod merge;
mod reuse;
mod roundtrip;

const STORE: StoreId = StoreId(0x0123_4567_89AB_CDEF_0123_4567_89AB_CDEF);
const BASE: PhysicalOffset = PhysicalOffset(1 << 32);
const LIMIT: Duration = Duration::from_secs(3600);

/// Runs the test in a simulation, in an empty directory.
fn simulated<F, Fut>(seed: u64, test: F)
where
    F: FnOnce(PathBuf) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let simulation = Simulation::new(seed);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let executor = node.start("index", move || async move {
        let dir = PathBuf::from("/index");
        fs::create_dir_all(&dir).await.expect("a new directory");
        test(dir).await;
    });
    simulation.join(executor, LIMIT).expect("the run ends");
}

/// The directory, with no old files.
fn parts_in(dir: &Path) -> PartDir {
    PartDir::new(dir.to_owned(), 1 << 20)
}

fn queue(incarnation: u64, queue: u32) -> QueueKey {
    QueueKey { incarnation: Incarnation(LogIndex(incarnation)), queue: QueueId(queue) }
}

/// What the log has in a range, in the simplest of forms.
#[derive(Clone, Debug, Default)]
struct Content {
    runs: BTreeMap<QueueKey, (u64, Vec<Packed>)>,
    keys: BTreeSet<KeyAt>,
    times: Option<(UnixMillis, UnixMillis)>,
}

impl Content {
    fn joined(parts: &[Content]) -> Content {
        let mut whole = Content::default();
        for part in parts {
            for (key, (first, units)) in &part.runs {
                let run = whole.runs.entry(*key).or_insert((*first, Vec::new()));
                run.1.extend(units);
            }
            whole.keys.extend(&part.keys);
            let times = [whole.times, part.times].into_iter().flatten();
            whole.times = times.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        }
        whole
    }

    /// The positions of a hash, oldest first.
    fn positions(&self, hash: u32) -> Vec<u32> {
        let range = KeyAt { hash, at: 0 }..=KeyAt { hash, at: u32::MAX };
        self.keys.range(range).map(|key| key.at).collect()
    }

    fn hashes(&self) -> BTreeSet<u32> {
        self.keys.iter().map(|key| key.hash).collect()
    }
}

/// A log of messages of some queues.
struct Log {
    end: PhysicalOffset,
    time: u64,
    queues: Vec<QueueKey>,
    next: BTreeMap<QueueKey, u64>,
    /// Hashes are below this.
    hashes: u64,
}

impl Log {
    fn new(queues: u64, hashes: u64) -> Self {
        let queues: Vec<_> =
            (0..queues).map(|_| queue(random_below(50), random_below(1000) as u32)).collect();
        let next = queues.iter().map(|key| (*key, random_below(1000))).collect();
        let end = BASE.plus(4096 + random_below(1 << 20));
        Self { end, time: 1000, queues, next, hashes }
    }

    /// Some log of a size that crosses the edges of blocks.
    fn random() -> Self {
        let queues = [1, 5, 126, 127, 128, 600][random_below(6) as usize];
        Self::new(queues, [1, 20, 100_000, 1 << 32][random_below(4) as usize])
    }

    /// Appends messages to the log and to a new part.
    fn grow(&mut self, messages: u64) -> (Growing, Content) {
        let mut content = Content::default();
        let mut part = Growing::new(BASE, self.end);
        part.reserve(self.queues.len());
        for _ in 0..messages {
            let key = self.queues[random_below(self.queues.len() as u64) as usize];
            let at = self.end.plus(random_below(3) * 88).since(BASE) as u32;
            let size = 92 + random_below(100) as u32;
            let random = || runtime::random_u64() as u32;
            let (tag_hash, crc) = (random().cast_signed(), random());
            let unit = Packed { at, size, tag_hash, crc };
            self.end = BASE.plus(u64::from(at) + u64::from(size));
            self.time += random_below(2);
            let hashes: Vec<u32> =
                (0..random_below(4)).map(|_| random_below(self.hashes) as u32).collect();
            let next = self.next.get_mut(&key).expect("a queue of the log");
            let (offset, time) = (QueueOffset(*next), UnixMillis(self.time));
            part.add(key, offset, unit, time, hashes.iter().copied());
            content.runs.entry(key).or_insert((*next, Vec::new())).1.push(unit);
            content.keys.extend(hashes.into_iter().map(|hash| KeyAt { hash, at }));
            let oldest = content.times.map_or(time, |times| times.0);
            content.times = Some((oldest, time));
            *next += 1;
        }
        (part, content)
    }

    fn part(&mut self, messages: u64) -> (Frozen, Content) {
        let (part, content) = self.grow(messages);
        self.end = self.end.plus(8 + random_below(100));
        (part.freeze(self.end), content)
    }

    /// Forgets a queue and gives it back.
    fn delete_one(&mut self) -> QueueKey {
        let gone = self.queues[random_below(self.queues.len() as u64) as usize];
        self.queues.retain(|key| *key != gone);
        self.next.remove(&gone);
        gone
    }

    /// What a complete directory names.
    fn ends(&self) -> Vec<(QueueKey, QueueOffset)> {
        self.next.iter().map(|(key, next)| (*key, QueueOffset(*next))).collect()
    }
}

/// Reads a whole run, in pieces of random sizes.
async fn read_run(file: &PartFile, run: &RunAt) -> Vec<Packed> {
    let mut units = Vec::new();
    while units.len() < run.count as usize {
        let max = 1 + random_below(10_000) as usize;
        let some = file.units(run, units.len() as u32, max).await.expect("intact");
        assert!(!some.is_empty() && some.len() <= max);
        units.extend(some);
    }
    assert_eq!(file.units(run, run.count, 10).await.expect("intact"), []);
    units
}

/// Checks that a file says what the log has.
async fn assert_says(file: &PartFile, content: &Content) {
    file.check().await.expect("intact");
    let mut directory = file.directory();
    let mut listed = Vec::new();
    while let Some((key, run)) = directory.next().await.expect("intact") {
        if run.count > 0 {
            listed.push(key);
        }
    }
    assert_eq!(listed, content.runs.keys().copied().collect::<Vec<_>>());
    for (key, (first, units)) in &content.runs {
        let run = file.run(key).await.expect("intact").expect("the queue is there");
        assert_eq!((run.first.0, run.end().0), (*first, first + units.len() as u64));
        assert_eq!(read_run(file, &run).await, *units);
        let beside = queue(key.incarnation.0.0, key.queue.0 + 1);
        let found = file.run(&beside).await.expect("intact");
        assert!(found.is_none_or(|run| run.count == 0) || content.runs.contains_key(&beside));
    }
    assert_eq!(file.run(&queue(0, 1001)).await.expect("intact"), None);
    assert_eq!(file.run(&queue(51, 0)).await.expect("intact"), None);
    let units: usize = content.runs.values().map(|(_, units)| units.len()).sum();
    assert_eq!(file.units_total(), units as u64);
    assert_eq!(file.times(), content.times);
    assert_finds(file, content).await;
}

/// Checks the keys of a file: all positions of some hashes, taken newest first in pieces.
async fn assert_finds(file: &PartFile, content: &Content) {
    let hashes: Vec<u32> = content.hashes().into_iter().collect();
    let step = hashes.len().div_ceil(50).max(1);
    for hash in hashes.into_iter().step_by(step) {
        let expected = content.positions(hash);
        let all = file.positions(hash, u32::MAX, usize::MAX).await.expect("intact");
        assert_eq!(all, expected, "hash {hash}");
        let limit = 1 + random_below(700) as usize;
        let (mut below, mut pieces) = (u32::MAX, Vec::new());
        loop {
            let some = file.positions(hash, below, limit).await.expect("intact");
            let Some(first) = some.first() else {
                break;
            };
            assert!(some.len() <= limit);
            below = *first;
            pieces.splice(0..0, some);
        }
        assert_eq!(pieces, expected, "hash {hash}, {limit} at once");
    }
    let absent = (0..).find(|hash| !content.hashes().contains(hash)).expect("not all hashes");
    assert!(file.positions(absent, u32::MAX, 10).await.expect("intact").is_empty());
    assert!(file.positions(0, u32::MAX, 0).await.expect("intact").is_empty());
}

async fn names(dir: &Path) -> Vec<String> {
    fs::list(dir).await.expect("a directory").into_iter().map(|entry| entry.name).collect()
}
