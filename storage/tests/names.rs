//! What a process that died had named, but not made durable, is there for the next one to find; it must be
//! durable before anything is built on it.

mod support;

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use model::QueueId;
use runtime::fs;
use runtime::sim::{Node, Simulation};
use support::{Opened, body, open, options};

const LIMIT: Duration = Duration::from_secs(600);
const STORE: &str = "/store";

/// Takes the names that `dir` gives its files away and gives them back, the latter not durably: what a
/// process leaves that dies between a rename and its sync.
async fn name_again(dir: &Path) {
    let entries = fs::list(dir).await.expect("readable");
    let files: Vec<_> = entries.iter().filter(|entry| !entry.is_dir).collect();
    assert!(!files.is_empty(), "{} names files", dir.display());
    for entry in &files {
        fs::rename(dir.join(&entry.name), dir.join(format!("{}.away", entry.name)))
            .await
            .expect("renamed");
    }
    fs::sync_dir(dir).await.expect("durable");
    for entry in &files {
        fs::rename(dir.join(format!("{}.away", entry.name)), dir.join(&entry.name))
            .await
            .expect("renamed");
    }
}

/// Sends until a second segment has begun and a checkpoint lies in it, and says how many were sent.
async fn fill(opened: &mut Opened) -> u64 {
    let size = options(Path::new(STORE)).segment_size;
    opened.store.append_create_topic("T", 1, b"").expect("room");
    let mut sent = 0;
    while opened.store.stats().max.0 < size + size / 4 {
        opened.append("T", QueueId(0), &vec![7; 100_000]).await;
        opened.collect(1).await;
        sent += 1;
    }
    sent
}

fn over_a_power_cut(seed: u64, leave: impl AsyncFnOnce(&Path) + Send + 'static) {
    let simulation = Simulation::new(seed);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let first = node.start("first", || async {
        let mut opened = open(options(Path::new(STORE))).await;
        let sent = fill(&mut opened).await;
        opened.stop().await;
        sent
    });
    let sent = simulation.join(first, LIMIT).expect("the first life ends");
    node.crash();
    let between = node.start("between", move || async move { leave(Path::new(STORE)).await });
    simulation.join(between, LIMIT).expect("it is left so");
    node.crash();
    let second = node.start("second", move || async move {
        let mut opened = open(options(Path::new(STORE))).await;
        opened.append("T", QueueId(0), &body(sent)).await;
        assert_eq!(opened.collect(1).await[0].queue_offset.0, sent);
    });
    simulation.join(second, LIMIT).expect("the second life ends");
    cut_and_check(&simulation, &node, sent + 1);
}

fn cut_and_check(simulation: &Simulation, node: &Node, acknowledged: u64) {
    node.power_cut();
    let last = node.start("last", move || async move {
        let opened = open(options(Path::new(STORE))).await;
        let range = opened.store.queue("T", QueueId(0)).expect("the queue is there");
        assert_eq!(range.max.0, acknowledged, "what was acknowledged is there");
        opened.stop().await;
    });
    simulation.join(last, LIMIT).expect("the last life ends");
}

#[test]
fn names_that_were_not_durable_are_before_the_log_goes_on() {
    for seed in 0..16 {
        over_a_power_cut(seed, async |store: &Path| {
            for dir in [store.to_owned(), store.join("log")] {
                name_again(&dir).await;
            }
        });
    }
}

#[test]
fn names_of_checkpoints_and_of_parts_too() {
    for seed in 0..16 {
        over_a_power_cut(seed, async |store: &Path| {
            for dir in ["checkpoints", "index"] {
                name_again(&store.join(dir)).await;
            }
        });
    }
}
