//! Damage that a start must see for what it is, on the simulated and on the real disk.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod support;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::QueueId;
use runtime::sim::Simulation;
use storage::{Event, StoreError};
use support::{Opened, alter, body, draft, first_segment, open, options, over_a_crash, try_open};

const LIMIT: Duration = Duration::from_secs(600);
const BLOCK: u64 = 4096;
/// Bytes of an entry's header: its record begins behind it.
const HEADER: u64 = 88;

/// Sends messages one by one, each in an entry of its own; the offsets of their entries.
async fn send(opened: &mut Opened, numbers: std::ops::Range<u64>) -> Vec<u64> {
    let mut entries = Vec::new();
    for i in numbers {
        opened.store.append_message(&draft("T", QueueId(0), &body(i))).expect("room");
        entries.push(opened.collect(1).await[0].physical.0 - HEADER);
    }
    entries
}

async fn abandon(opened: Opened) {
    drop(opened);
    runtime::yield_now().await;
}

async fn new_store(dir: &Path, count: u64) -> (Opened, Vec<u64>) {
    let mut opened = open(options(dir)).await;
    opened.store.append_create_topic("T", 1, b"").expect("room");
    let entries = send(&mut opened, 0..count).await;
    (opened, entries)
}

/// Gives the entry at `offset` another generation, as `docs/format/log.md` lays it down.
async fn set_generation(dir: &Path, offset: u64, generation: u64) {
    let mut header = read(dir, offset, HEADER).await;
    header[64..72].copy_from_slice(&generation.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&header[4..8]), &header[60..88]);
    header[56..60].copy_from_slice(&crc.to_le_bytes());
    for (byte, at) in header.iter().zip(offset..) {
        alter(&first_segment(dir), at, 1, |old| old[0] = *byte).await;
    }
}

async fn read(dir: &Path, offset: u64, len: u64) -> Vec<u8> {
    let path = first_segment(dir);
    let file = runtime::File::open(&path, runtime::OpenMode::ReadOnly).await.expect("readable");
    let bytes = file.read_at(offset, len as usize).await.expect("readable").to_vec();
    file.close().await.expect("closable");
    bytes
}

async fn write_blocks(dir: &Path, offset: u64, bytes: &[u8]) {
    for (block, at) in bytes.chunks(BLOCK as usize).zip((offset..).step_by(BLOCK as usize)) {
        alter(&first_segment(dir), at, block.len(), |old| old.copy_from_slice(block)).await;
    }
}

#[test]
fn what_was_cut_does_not_come_back_behind_the_same_entry() {
    over_a_crash(
        "generations",
        |dir| async move {
            let (opened, entries) = new_store(&dir, 10).await;
            abandon(opened).await;
            entries
        },
        |dir: PathBuf, entries: Vec<u64>| async move {
            let begin = entries[8] / BLOCK * BLOCK;
            let before = read(&dir, begin, 8 * BLOCK).await;
            // The last two entries are lost in a tear; the first life of the last is still on the disk.
            for entry in &entries[8..] {
                alter(&first_segment(&dir), *entry, 1, |byte| byte[0] ^= 1).await;
            }
            let opened = open(options(&dir)).await;
            assert_eq!(opened.recovery.records, 8);
            abandon(opened).await;
            // The very same message is appended again, and nothing behind it is written.
            write_blocks(&dir, begin, &before).await;
            set_generation(&dir, entries[8], 2).await;
            let opened = open(options(&dir)).await;
            assert_eq!(opened.recovery.records, 9, "an entry of an older life was served");
            opened.stop().await;
        },
    );
}

#[test]
fn a_lost_vote_does_not_hide_damage() {
    over_a_crash(
        "lost-vote",
        |dir| async move {
            let (opened, _) = new_store(&dir, 10).await;
            opened.stop().await;
            let mut opened = open(options(&dir)).await;
            assert!(opened.recovery.clean);
            let entries = send(&mut opened, 10..20).await;
            abandon(opened).await;
            entries
        },
        |dir: PathBuf, entries: Vec<u64>| async move {
            // Votes so far: made, started, stopped, started. What is left says: stopped in order.
            alter(&dir.join("vote"), 20, 1, |byte| byte[0] ^= 1).await;
            alter(&first_segment(&dir), entries[0] + 100, 1, |byte| byte[0] ^= 1).await;
            let (store, mut events) = try_open(options(&dir)).await.expect("one slot is intact");
            let error = loop {
                match events.next().await {
                    Event::Committed(_) | Event::Restored(_) => {}
                    Event::Failed(error) => break error,
                    other => panic!("{other:?}"),
                }
            };
            let StoreError::Damage(found) = &error else { panic!("{error}") };
            assert_eq!(found.offset.0, entries[0]);
            store.stop().await;
        },
    );
}

#[test]
fn a_lost_vote_alone_costs_nothing() {
    over_a_crash(
        "vote-alone",
        |dir| async move {
            let (opened, _) = new_store(&dir, 10).await;
            opened.stop().await;
        },
        |dir: PathBuf, ()| async move {
            alter(&dir.join("vote"), BLOCK + 20, 1, |byte| byte[0] ^= 1).await;
            let mut opened = open(options(&dir)).await;
            assert!(!opened.recovery.clean);
            assert_eq!(opened.recovery.records, 10);
            send(&mut opened, 10..20).await;
            opened.stop().await;
            assert_eq!(open(options(&dir)).await.recovery.records, 20);
        },
    );
}

#[test]
fn a_segment_that_is_gone_is_no_shorter_log() {
    over_a_crash(
        "gone",
        |dir| async move {
            let mut opened = open(options(&dir)).await;
            opened.store.append_create_topic("T", 1, b"").expect("room");
            let large = vec![7; 900_000];
            let size = options(&dir).segment_size;
            loop {
                opened.append("T", QueueId(0), &large).await;
                if opened.collect(1).await[0].physical.0 > size {
                    return abandon(opened).await;
                }
            }
        },
        |dir, ()| async move {
            let newest = dir.join("log").join(format!("{:020}", options(&dir).segment_size));
            runtime::fs::remove_file(&newest).await.expect("the second segment");
            let (store, mut events) = try_open(options(&dir)).await.expect("the rest is whole");
            let error = loop {
                match events.next().await {
                    Event::Committed(_) | Event::Restored(_) => {}
                    Event::Failed(error) => break error,
                    other => panic!("{other:?}"),
                }
            };
            let StoreError::Damage(found) = &error else { panic!("{error}") };
            assert!(found.evidence.contains("mark"), "{found}");
            store.stop().await;
        },
    );
}

#[test]
fn a_damaged_newest_checkpoint_is_seen_until_there_is_a_newer_one() {
    let newest = |dir: &Path| {
        let size = options(dir).segment_size;
        dir.join("checkpoints").join(format!("{size:020}"))
    };
    over_a_crash(
        "damaged-checkpoint",
        move |dir| async move {
            let mut opened = open(options(&dir)).await;
            opened.store.append_create_topic("T", 1, b"").expect("room");
            while !runtime::fs::exists(newest(&dir)).await.expect("readable") {
                opened.append("T", QueueId(0), &[7; 900_000]).await;
                opened.collect(1).await;
                opened.answer().await;
            }
            abandon(opened).await;
        },
        move |dir: PathBuf, ()| async move {
            let newest = newest(&dir);
            alter(&newest, 40, 1, |byte| byte[0] ^= 1).await;
            let damaged = bytes_of(&newest).await;
            // A start that ends before it has made a checkpoint leaves the next one what it has found.
            let (store, mut events) = try_open(options(&dir)).await.expect("it opens");
            loop {
                match events.next().await {
                    Event::Recovered(_) => break,
                    Event::Failed(error) => panic!("{error}"),
                    _ => {} // and no state is given
                }
            }
            drop((store, events));
            runtime::yield_now().await;
            assert_eq!(bytes_of(&newest).await, damaged, "the newest checkpoint is forgotten");
            open(options(&dir)).await.stop().await;
            assert_ne!(bytes_of(&newest).await, damaged, "it is made anew");
            let opened = open(options(&dir)).await;
            assert!(opened.restored.is_some());
            // It may hold what was appended while it was written, too.
            assert!(
                opened.recovery.start.0 >= options(&dir).segment_size + BLOCK,
                "read from the older one"
            );
            opened.stop().await;
        },
    );
}

async fn bytes_of(path: &Path) -> Vec<u8> {
    let file = runtime::File::open(path, runtime::OpenMode::ReadOnly).await.expect("it is there");
    let bytes = file.read_at(0, BLOCK as usize).await.expect("readable").to_vec();
    file.close().await.expect("closable");
    bytes
}

#[test]
fn a_segments_header_that_cannot_be_read_is_refused_with_what_to_do() {
    let simulation = Simulation::new(1);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let dir = || Path::new("/store");
    let before = node.start("before", move || async move {
        let (opened, _) = new_store(dir(), 3).await;
        opened.stop().await;
    });
    simulation.join(before, LIMIT).expect("it ends");
    node.disk().spoil(first_segment(dir()), 0..BLOCK);
    let after = node.start("after", move || async move {
        let refused = try_open(options(dir())).await.err().map(|error| error.to_string());
        let refused = refused.expect("it is refused");
        for part in ["its header is not read", "mqstore check", "replaceMember"] {
            assert!(refused.contains(part), "{refused}");
        }
    });
    simulation.join(after, LIMIT).expect("it ends");
}
