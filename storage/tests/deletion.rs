//! Files that were given up and are not used again are deleted in nobody's way, and come to their end.

mod support;

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use model::{PhysicalOffset, QueueId};
use runtime::sim::Simulation;
use storage::{Keep, Options, Scale};
use support::{Opened, open, options};

const STORE: &str = "/store";
const QUEUE: QueueId = QueueId(0);
const LIMIT: Duration = Duration::from_secs(600);
/// Operations of the disk take so many times as long as usual: milliseconds.
const SLOWNESS: u32 = 50;
/// A send every so often keeps the shard from being idle.
const EVERY: Duration = Duration::from_millis(20);
const STEP: u64 = 256 * 1024;
/// Segments that are given up at once.
const TRIMMED: u64 = 5;
/// The longest that a send may take, in virtual time. One step of a deletion and its rest take two seconds.
const PATIENCE: Duration = Duration::from_millis(500);

/// Two files are kept ready.
fn two_files() -> Options {
    let scale = Scale { delete_step: STEP, spare_bytes: 0, ..Scale::default() };
    Options { scale, ..options(Path::new(STORE)) }
}

fn size() -> u64 {
    two_files().segment_size
}

async fn send(opened: &mut Opened) -> u64 {
    opened.append("T", QUEUE, &vec![0x5A; 100_000]).await;
    opened.collect(1).await[0].physical.0
}

/// Sends again and again until the log has grown by `bytes`.
async fn under_load(opened: &mut Opened, bytes: u64) {
    let to = opened.store.stats().max.0 + bytes;
    loop {
        let began = runtime::now();
        let at = send(opened).await;
        let took = began.elapsed();
        assert!(took < PATIENCE, "a send at {at} took {took:?}");
        if at >= to {
            return;
        }
        runtime::sleep(EVERY).await;
    }
}

/// The names in the log's directory that end so.
async fn names(end: &str) -> Vec<String> {
    let found = runtime::fs::list(Path::new(STORE).join("log")).await.expect("readable");
    found.into_iter().map(|entry| entry.name).filter(|name| name.ends_with(end)).collect()
}

/// A store of which much was given up under load: what was waiting has become segments again, of one file something is
/// left, and the newest segment has got a file meanwhile that was made for it.
async fn deleting_under_load() -> Opened {
    let mut opened = open(two_files()).await;
    opened.store.append_create_topic("T", 1, b"").expect("room");
    while send(&mut opened).await < TRIMMED * size() + size() / 2 {}
    runtime::sleep(Duration::from_secs(3)).await; // a file is ready
    opened.answer().await;
    opened.store.append_trim(PhysicalOffset(TRIMMED * size())).await.expect("they are complete");
    while opened.store.stats().min.0 < TRIMMED * size() {
        opened.answer().await;
    }
    under_load(&mut opened, size() / 8).await;
    let freeing = opened.store.stats().freeing;
    // One is ready, and one has become the other spare.
    assert!(freeing <= (TRIMMED - 1) * size(), "{freeing}");
    assert!(freeing > (TRIMMED - 2) * size(), "one after the other is deleted: {freeing}");
    under_load(&mut opened, (TRIMMED + 2) * size()).await;
    let freeing = opened.store.stats().freeing;
    assert!(freeing > 0 && freeing < size(), "{freeing}");
    assert_eq!(freeing % STEP, size() % STEP, "it goes in steps: {freeing}");
    assert_eq!(names(".trimmed").await.len(), 1);
    opened
}

/// Runs `then` on such a store.
fn run<Fut: Future<Output = ()> + 'static>(then: fn(Opened) -> Fut) {
    for seed in 0..4 {
        let simulation = Simulation::new(seed);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        node.disk().slow(SLOWNESS);
        let executor =
            node.start("store", move || async move { then(deleting_under_load().await).await });
        simulation.join(executor, LIMIT).expect("the run ends");
    }
}

async fn nothing_is_left(opened: Opened) {
    assert_eq!(opened.store.stats().freeing, 0);
    assert!(opened.store.troubles().is_empty());
    assert!(names(".trimmed").await.is_empty());
    opened.stop().await;
    assert!(open(two_files()).await.recovery.clean);
}

#[test]
fn under_load_a_deletion_comes_to_its_end_in_small_steps() {
    run(|mut opened| async move {
        let mut steps = 0;
        let (mut before, began) = (opened.store.stats().freeing, runtime::now());
        while before > 0 {
            under_load(&mut opened, 100_000).await;
            let freeing = opened.store.stats().freeing;
            assert!(freeing == before || freeing == before.saturating_sub(STEP), "{freeing}");
            steps += u32::from(freeing < before);
            before = freeing;
        }
        assert!(steps > 1, "something was left");
        // A step takes milliseconds here, and the rest after it a hundred times that.
        assert!(began.elapsed() > (steps - 1) * Duration::from_millis(500), "{steps} steps");
        nothing_is_left(opened).await;
    });
}

#[test]
fn a_deletion_comes_to_its_end_when_nobody_sends() {
    run(|mut opened| async move {
        runtime::sleep(Duration::from_secs(2)).await;
        opened.answer().await;
        nothing_is_left(opened).await;
    });
}

#[test]
fn a_deletion_comes_to_its_end_when_the_space_is_needed() {
    run(|mut opened| async move {
        opened.store.keep(Keep::Next, 0);
        under_load(&mut opened, size()).await;
        nothing_is_left(opened).await;
    });
}

#[test]
fn what_is_left_of_a_deletion_goes_at_the_next_start() {
    run(|opened| async move {
        opened.stop().await;
        assert_eq!(names(".trimmed").await.len(), 1, "a stop does not wait for it");
        let mut opened = open(two_files()).await;
        assert_eq!(names(".trimmed").await.len(), 1, "nor does a start");
        under_load(&mut opened, 2 * size()).await;
        runtime::sleep(Duration::from_secs(5)).await;
        nothing_is_left(opened).await;
    });
}
