//! Checkpoints and index files are made of the log: damaged or unreadable ones are made anew, foreign ones
//! are left alone.

mod support;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::QueueId;
use runtime::fs;
use runtime::sim::{Node, Simulation};
use storage::{CheckpointError, Event, StoreError};
use support::{Opened, alter, open, options, try_open};

const LIMIT: Duration = Duration::from_secs(600);
const STORE: &str = "/store";
const QUEUE: QueueId = QueueId(0);

fn size() -> u64 {
    options(Path::new(STORE)).segment_size
}

async fn fill(opened: &mut Opened, offset: u64) {
    let mut at = 0;
    while at < offset {
        opened.append("T", QUEUE, &vec![0x5A; 300_000]).await;
        at = opened.collect(1).await[0].physical.0;
    }
}

/// A store of two segments and a half, stopped; the number of its messages.
async fn stored() -> u64 {
    let mut opened = open(options(Path::new(STORE))).await;
    opened.store.append_create_topic("T", 1, b"").expect("room");
    fill(&mut opened, 2 * size() + size() / 2).await;
    opened.answer().await;
    let messages = opened.store.queue("T", QUEUE).expect("the queue is there").max.0;
    opened.stop().await;
    messages
}

/// What the start has warned of.
async fn all_is_there(messages: u64) -> Vec<String> {
    let opened = open(options(Path::new(STORE))).await;
    assert_eq!(opened.units("T", QUEUE).await.len() as u64, messages);
    let warnings = opened.warnings.iter().map(ToString::to_string).collect();
    opened.stop().await;
    warnings
}

/// Files of a directory of the store, oldest first.
async fn files(name: &str) -> Vec<PathBuf> {
    let dir = Path::new(STORE).join(name);
    let names =
        fs::list(&dir).await.expect("readable").into_iter().map(|entry| dir.join(entry.name));
    names.collect()
}

async fn why_it_does_not_start() -> StoreError {
    let (_store, mut events) = try_open(options(Path::new(STORE))).await.expect("it opens");
    loop {
        match events.next().await {
            Event::Failed(error) => return error,
            Event::Recovered(_) => panic!("it starts"),
            _ => {}
        }
    }
}

fn on_sim<F: Future<Output = ()> + 'static>(test: impl FnOnce() -> F + Send + 'static) {
    let sim = Simulation::new(1);
    let node = sim.node("node", Ipv4Addr::new(10, 0, 0, 1));
    sim.join(node.start("life", test), LIMIT).expect("it ends");
}

#[test]
fn checkpoints_of_another_version_are_refused_and_stay() {
    on_sim(|| async {
        let messages = stored().await;
        let before = files("checkpoints").await;
        for file in &before {
            alter(file, 8, 1, |version| version[0] = 7).await;
        }
        let error = why_it_does_not_start().await;
        let StoreError::Checkpoint(CheckpointError::Version(version)) = &error else {
            panic!("{error}")
        };
        assert_eq!((Some(&version.file), version.found), (before.last(), 7));
        assert!(error.to_string().contains("start the version that wrote it"), "{error}");
        assert_eq!(files("checkpoints").await, before, "nothing is removed");
        for file in &before {
            alter(file, 8, 1, |version| version[0] = version[0].wrapping_sub(6)).await;
        }
        drop(all_is_there(messages).await);
    });
}

#[test]
fn a_checkpoint_of_another_store_is_refused_and_stays() {
    on_sim(|| async {
        let messages = stored().await;
        let before = files("checkpoints").await;
        let newest = before.last().expect("there are some");
        let with_store = |change: u8| {
            move |block: &mut [u8]| {
                block[16] ^= change;
                let crc = crc32c::crc32c(&block[16..]).to_le_bytes();
                block[12..16].copy_from_slice(&crc);
            }
        };
        alter(newest, 0, 4096, with_store(1)).await;
        let error = why_it_does_not_start().await;
        let foreign = matches!(error, StoreError::Checkpoint(CheckpointError::Foreign { .. }));
        assert!(foreign, "{error}");
        assert_eq!(files("checkpoints").await, before, "nothing is removed");
        alter(newest, 0, 4096, with_store(1)).await;
        drop(all_is_there(messages).await);
    });
}

/// Lets the disk not give the first bytes of one of these files, and starts.
fn unreadable(name: &'static str, which: impl FnOnce(&[PathBuf]) -> &PathBuf + Send + 'static) {
    let sim = Simulation::new(2);
    let node: Node = sim.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let first = node.start("first", move || async move {
        let messages = stored().await;
        (messages, which(&files(name).await).clone())
    });
    let (messages, file) = sim.join(first, LIMIT).expect("it ends");
    node.crash();
    node.disk().spoil(&file, 0..4096);
    for told in [1, 0] {
        let next = node.start("next", move || all_is_there(messages));
        let warnings = sim.join(next, LIMIT).expect("it starts");
        let name = file.display().to_string();
        assert_eq!(warnings.iter().filter(|warning| warning.contains(&name)).count(), told);
        node.crash();
    }
}

#[test]
fn a_checkpoint_that_the_disk_does_not_give_is_made_anew() {
    unreadable("checkpoints", |files| files.last().expect("there are some"));
}

#[test]
fn an_index_file_that_the_disk_does_not_give_is_made_anew() {
    unreadable("index", |files| &files[0]);
}
