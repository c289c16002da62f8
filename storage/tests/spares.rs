//! The files for segments to come: made in idle times, and never in the way of the log.

mod support;

use std::path::Path;
use std::time::Duration;

use model::QueueId;
use support::{Opened, draft, everywhere, open, options};

const IDLE: Duration = Duration::from_millis(1_500);

async fn send(opened: &mut Opened, len: usize) -> u64 {
    let body = vec![0x5A; len];
    opened.store.append_message(&draft("T", QueueId(0), &body)).expect("room");
    let record = opened.collect(1).await.remove(0);
    record.physical.0 + u64::from(record.size)
}

/// Sends until the log has come to `offset`.
async fn fill(opened: &mut Opened, offset: u64) {
    while send(opened, 100_000).await < offset {}
}

async fn exists(dir: &Path, name: &str) -> bool {
    runtime::fs::exists(dir.join("log").join(name)).await.expect("readable")
}

#[test]
fn a_spare_that_was_interrupted_is_given_up_when_its_segment_is_due() {
    everywhere("interrupted-spare", |dir| async move {
        let size = options(&dir).segment_size;
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 1, b"").expect("room");
        fill(&mut opened, size * 3 / 4).await;
        // Load comes back while the spare is being zeroed, and stays until the next segment is half full.
        while !exists(&dir, "spare.tmp").await && !exists(&dir, "spare").await {
            runtime::sleep(Duration::from_micros(100)).await;
        }
        fill(&mut opened, size + size * 3 / 4).await;
        runtime::sleep(IDLE).await;
        assert!(exists(&dir, "spare").await && !exists(&dir, "spare.tmp").await);
        fill(&mut opened, 3 * size).await;
        opened.stop().await;
        assert!(open(options(&dir)).await.recovery.clean);
    });
}

#[test]
fn the_log_does_without_a_spare_that_cannot_be_made() {
    everywhere("no-spare", |dir| async move {
        let size = options(&dir).segment_size;
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 1, b"").expect("room");
        let blocked = dir.join("log").join("spare.tmp");
        runtime::fs::create_dir_all(&blocked).await.expect("writable");
        fill(&mut opened, size * 3 / 4).await;
        runtime::sleep(IDLE).await;
        send(&mut opened, 10).await;
        assert!(!exists(&dir, "spare").await);
        runtime::fs::rename(&blocked, dir.join("log").join("away")).await.expect("writable");
        fill(&mut opened, 2 * size).await;
        opened.stop().await;
    });
}

#[test]
fn a_spare_that_somebody_removed_is_not_missed() {
    everywhere("removed-spare", |dir| async move {
        let size = options(&dir).segment_size;
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 1, b"").expect("room");
        fill(&mut opened, size * 3 / 4).await;
        runtime::sleep(IDLE).await;
        runtime::fs::remove_file(dir.join("log").join("spare")).await.expect("it was ready");
        fill(&mut opened, 2 * size).await;
        opened.stop().await;
    });
}
