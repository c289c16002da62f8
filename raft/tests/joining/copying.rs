//! A newcomer who copies the log slowly, and a leader whose disk is full of what only he wants.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::PhysicalOffset;
use runtime::sim::Simulation;
use runtime::sleep;

use super::alone;
use super::member::{LIMIT, Live, draft, named, options, until};

/// Bytes a second that he gets: the log takes him longer than anything here waits.
const SLOW: u64 = 50_000;

#[test]
fn a_copy_that_keeps_what_was_trimmed_on_a_full_disk_is_ended_and_the_space_comes_back() {
    let simulation = Simulation::new(0x5EED);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let copies = Arc::new(AtomicBool::new(false));
    let is_copying = Arc::clone(&copies);
    let life = node.start("group", move || async move {
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
