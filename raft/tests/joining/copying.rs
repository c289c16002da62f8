//! A newcomer who copies the log slowly, and a leader whose disk is full of what only he wants; and one whose disk is full.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::PhysicalOffset;
use runtime::sim::Simulation;
use runtime::sleep;
use storage::Keep;

use super::member::{LIMIT, Live, draft, named, options, until};
use super::{alone, join, simulated};

/// Bytes a second that he gets: the log takes him longer than anything here waits.
const SLOW: u64 = 50_000;

/// A leader whose log was trimmed where a segment ends, and one who copies that still.
async fn copying() -> (Live, Live, u64) {
    let dir = Path::new("/a");
    let size = options(dir).segment_size;
    alone(dir, 800, PhysicalOffset(0)).await;
    let first = Live::start(dir, 0).await;
    first.found().await;
    first.peers.catch_up_at(SLOW);
    let second = Live::start(Path::new("/b"), 1).await;
    first.node.raft().add_learner(second.id, named(1), false).await.unwrap();
    until("it copies", || second.store.written().0 > 10_000).await;
    first.store.append_trim(PhysicalOffset(size)).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(first.store.segments()[0].0, PhysicalOffset(0), "it is sent to who copies it");
    (first, second, size)
}

#[test]
fn a_copy_that_keeps_what_was_trimmed_where_space_is_short_is_ended_though_the_log_has_room() {
    simulated(|| async {
        let (first, second, size) = copying().await;
        first.store.keep(Keep::Next, 0);
        until("the space comes back", || first.store.segments()[0].0.0 == size).await;
        assert!(first.leads() && second.failed.borrow().is_none());
    });
}

#[test]
fn a_copy_that_keeps_what_was_trimmed_on_a_full_disk_is_ended_and_the_space_comes_back() {
    let simulation = Simulation::new(0x5EED);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let copies = Arc::new(AtomicBool::new(false));
    let is_copying = Arc::clone(&copies);
    let life = node.start("group", move || async move {
        let (first, _second, size) = copying().await;
        is_copying.store(true, Ordering::Relaxed);
        sleep(Duration::from_secs(1)).await; // the disk becomes full
        let body = vec![7; 40_000];
        until("there is no room for more", || {
            drop(first.store.append_message(&draft(&body))); // it may be refused
            first.store.stats().full
        })
        .await;
        until("the space comes back", || first.store.segments()[0].0.0 == size).await;
        assert!(first.leads(), "and it leads on");
    });
    assert!(simulation.run_until(LIMIT * 2, || copies.load(Ordering::Relaxed)), "it is copied");
    let disk = node.disk();
    disk.resize(disk.used() + 512 * 1024);
    simulation.join(life, LIMIT * 4).expect("it ends");
}

/// No space left on the device.
const ENOSPC: i32 = 28;

#[test]
fn a_newcomer_whose_disk_does_not_take_a_snapshot_lives_and_gets_it_when_it_does() {
    let simulation = Simulation::new(0x5EED);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let (started, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (has_started, is_refused) = (Arc::clone(&started), Arc::clone(&refused));
    let life = node.start("group", move || async move {
        let dir = Path::new("/a");
        let size = options(dir).segment_size;
        alone(dir, 800, PhysicalOffset(size)).await;
        let first = Live::start(dir, 0).await;
        first.found().await;
        let second = Live::start(Path::new("/b"), 1).await;
        has_started.store(true, Ordering::Relaxed);
        sleep(Duration::from_secs(1)).await; // its disk becomes full
        first.node.raft().add_learner(second.id, named(1), false).await.unwrap();
        let refusal = || first.peers.status().into_iter().find_map(|peer| peer.refuses);
        until("the leader knows why", || {
            refusal().is_some_and(|why| why.contains("its disk does not take a snapshot"))
        })
        .await;
        first.send(20, 1000).await;
        assert!(second.failed.borrow().is_none() && !second.node.wants_restart());
        is_refused.store(true, Ordering::Relaxed);
        let second = join(&first, second, 1).await;
        assert_eq!(second.messages(), first.messages());
        first.send(1, 1000).await;
        until("the leader knows of no trouble", || refusal().is_none()).await;
    });
    assert!(simulation.run_until(LIMIT * 2, || started.load(Ordering::Relaxed)), "it starts");
    node.disk().refuse_new_files("/b/checkpoints", ENOSPC);
    assert!(simulation.run_until(LIMIT * 2, || refused.load(Ordering::Relaxed)), "it is refused");
    node.disk().heal();
    simulation.join(life, LIMIT * 4).expect("it ends");
}

#[test]
fn a_newcomer_whose_disk_is_full_once_it_has_a_snapshot_gets_what_is_behind_it() {
    let simulation = Simulation::new(0x5EEE);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let staged = Arc::new(AtomicBool::new(false));
    let is_staged = Arc::clone(&staged);
    let life = node.start("group", move || async move {
        let dir = Path::new("/a");
        let size = options(dir).segment_size;
        alone(dir, 800, PhysicalOffset(size)).await;
        let first = Live::start(dir, 0).await;
        first.found().await;
        let second = Live::start(Path::new("/b"), 1).await;
        first.node.raft().add_learner(second.id, named(1), false).await.unwrap();
        until("it is to start again", || second.node.wants_restart()).await;
        is_staged.store(true, Ordering::Relaxed);
        sleep(Duration::from_secs(1)).await; // its disk becomes full
        // The same snapshot is sent to it once more.
        let second = join(&first, second.restart().await, 1).await;
        assert_eq!(second.messages(), first.messages());
    });
    assert!(simulation.run_until(LIMIT * 2, || staged.load(Ordering::Relaxed)), "it is laid down");
    node.disk().refuse_new_files("/b/checkpoints", ENOSPC);
    simulation.join(life, LIMIT * 4).expect("it ends");
}
