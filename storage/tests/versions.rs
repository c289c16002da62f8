//! What another version wrote is refused by name, and left as it is.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod support;

use std::future::Future;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{PhysicalOffset, QueueId};
use runtime::sim::Simulation;
use storage::inspect::{Place, View};
use storage::{Event, OpenError, StoreError, VersionError};
use support::{alter, body, first_segment, open, options, try_open};

const LIMIT: Duration = Duration::from_secs(600);
const MESSAGES: u64 = 20;

fn dir() -> &'static Path {
    Path::new("/store")
}

fn on_sim<F: Future<Output = ()> + 'static>(test: impl FnOnce() -> F + Send + 'static) {
    let sim = Simulation::new(1);
    let node = sim.node("node", Ipv4Addr::new(10, 0, 0, 1));
    sim.join(node.start("life", test), LIMIT).expect("it ends");
}

/// A store that was stopped in order; where its last message is.
async fn stored() -> PhysicalOffset {
    let mut opened = open(options(dir())).await;
    opened.store.append_create_topic("T", 1, b"").expect("room");
    for i in 0..MESSAGES {
        opened.append("T", QueueId(0), &body(i)).await;
    }
    let last = opened.collect(MESSAGES as usize).await.pop().expect("they were appended").physical;
    opened.stop().await;
    last
}

async fn all_is_there() {
    let opened = open(options(dir())).await;
    assert_eq!(opened.units("T", QueueId(0)).await.len() as u64, MESSAGES);
    opened.stop().await;
}

/// What a check of the store says is wrong.
async fn checked() -> String {
    let place = Place { dir: dir().to_owned(), log_dir: None };
    let view = match View::open(&place).await {
        Ok(view) => view,
        Err(error) => return error.to_string(),
    };
    let checked = view.check(&mut |_| {}).await.expect("readable");
    assert!(!checked.intact());
    checked.findings.iter().map(|finding| format!("{finding:?}\n")).collect()
}

/// Gives `file` another version with `change`: it is refused by name, and opened once it has its own again.
async fn is_refused(
    file: PathBuf,
    at: u64,
    (found, newest): (u8, u8),
    change: impl Fn(&mut [u8], u8),
) {
    alter(&file, at, 4096, |block| change(block, found)).await;
    let Err(OpenError::Version(error)) = try_open(options(dir())).await.map(drop) else {
        panic!("{}: not refused", file.display())
    };
    let VersionError { file: named, found: version, known, .. } = &error;
    assert_eq!((named, *version, *known), (&file, found, newest));
    let (text, word) = (error.to_string(), if found == 0 { "no release" } else { "upgrade" });
    assert!(text.contains(word), "{text}");
    let checked = checked().await;
    assert!(checked.contains(&format!("version {found}")), "{checked}");
    alter(&file, at, 4096, |block| change(block, 1)).await;
}

fn version_alone(block: &mut [u8], version: u8) {
    block[8] = version;
}

/// The vote's checksum covers its version.
fn version_and_crc(slot: &mut [u8], version: u8) {
    slot[8] = version;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&slot[..12]), &slot[16..]);
    slot[12..16].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn files_of_another_version_are_refused_by_name() {
    on_sim(|| async {
        stored().await;
        for found in [0, 2, 255] {
            is_refused(dir().join("store"), 0, (found, 1), version_alone).await;
            is_refused(first_segment(dir()), 0, (found, 1), version_alone).await;
        }
        for (found, slot) in [(0, 0), (3, 4096), (255, 0)] {
            is_refused(dir().join("vote"), slot, (found, 2), version_and_crc).await;
        }
        all_is_there().await;
    });
}

#[test]
fn an_entry_of_another_version_is_no_torn_tail() {
    let sim = Simulation::new(2);
    let node = sim.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let first = node.start("first", || async {
        stored().await;
        let mut opened = open(options(dir())).await;
        opened.append("T", QueueId(0), b"not known to be durable").await;
        opened.collect(1).await.pop().expect("it was appended").physical.0 - 88
    });
    let entry = sim.join(first, LIMIT).expect("it ends");
    node.crash();
    let second = node.start("second", move || async move {
        let segment = first_segment(dir());
        alter(&segment, entry, 4, |magic| {
            assert_eq!(magic, b"TPE\x01");
            magic[3] = 2;
        })
        .await;
        let (_store, mut events) = try_open(options(dir())).await.expect("the files are ours");
        let error = loop {
            match events.next().await {
                Event::Failed(error) => break error,
                Event::Recovered(_) => panic!("what another version wrote was cut"),
                _ => {}
            }
        };
        let StoreError::Foreign { segment: named, offset, .. } = &error else { panic!("{error}") };
        assert_eq!((named, offset.0), (&segment, entry));
        let text = error.to_string();
        assert!(text.contains("format version 2, this broker reads 1"), "{text}");
        drop((_store, events));
        let checked = checked().await;
        assert!(checked.contains("another version wrote it"), "{checked}");
        alter(&segment, entry, 4, |magic| magic[3] = 1).await;
        let opened = open(options(dir())).await;
        assert_eq!(opened.units("T", QueueId(0)).await.len() as u64, MESSAGES + 1);
        opened.stop().await;
    });
    sim.join(second, LIMIT).expect("it ends");
}

async fn index_files() -> Vec<PathBuf> {
    let dir = dir().join("index");
    let entries = runtime::fs::list(&dir).await.expect("the directory is there");
    assert!(!entries.is_empty());
    entries.into_iter().map(|entry| dir.join(entry.name)).collect()
}

#[test]
fn index_files_of_another_version_are_made_anew() {
    on_sim(|| async {
        stored().await;
        for found in [0, 1, 3] {
            for file in index_files().await {
                alter(&file, 24, 1, |version| version[0] = found).await;
            }
            all_is_there().await;
            for file in index_files().await {
                alter(&file, 24, 1, |version| assert_eq!(version[0], 2)).await;
            }
        }
    });
}
