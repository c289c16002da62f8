//! The parts of a segment are merged sooner or later, and until then every message is found.

mod support;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{QueueId, QueueOffset};
use runtime::sim::{Node, Simulation};
use storage::inspect::{Place, View};
use storage::{Options, Scale};
use support::{Opened, open, options};

const LIMIT: Duration = Duration::from_secs(3600);
const STORE: &str = "/store";
/// Messages in a queue that is quiet after that.
const QUIET: u64 = 5;

fn node(seed: u64) -> (Simulation, Node) {
    let sim = Simulation::new(seed);
    let node = sim.node("node", Ipv4Addr::new(10, 0, 0, 1));
    (sim, node)
}

fn size() -> u64 {
    options(Path::new(STORE)).segment_size
}

/// Sends to queue 0 until the log reaches beyond `offset`.
async fn fill(opened: &mut Opened, offset: u64) {
    let mut at = 0;
    while at < offset {
        opened.append("T", QueueId(0), &vec![0x5A; 300_000]).await;
        at = opened.collect(1).await[0].physical.0;
    }
}

/// A store with a few messages in queue 1, which two merged segments follow.
async fn with_quiet_queue() -> Opened {
    with_quiet_queue_and(options(Path::new(STORE))).await
}

async fn with_quiet_queue_and(options: Options) -> Opened {
    let mut opened = open(options).await;
    opened.store.append_create_topic("T", 2, b"").expect("room");
    for _ in 0..QUIET {
        opened.append("T", QueueId(1), &[7; 100]).await;
        opened.collect(1).await;
    }
    fill(&mut opened, 2 * size() + size() / 2).await;
    settle(&mut opened).await;
    opened
}

/// Lets the background come to an end.
async fn settle(opened: &mut Opened) {
    opened.answer().await;
    runtime::sleep(Duration::from_secs(2)).await;
}

/// Fills one segment after the other, each of which is merged.
async fn go_on(opened: &mut Opened, segments: std::ops::Range<u64>) {
    for number in segments {
        fill(opened, number * size()).await;
        settle(opened).await;
    }
}

async fn all_is_found(opened: &Opened) {
    for at in 0..QUIET {
        let found = opened.store.older_units("T", QueueId(1), QueueOffset(at), 10).await;
        assert_eq!(found.expect("it is in the index").len() as u64, QUIET - at, "from {at} on");
    }
    for queue in [QueueId(0), QueueId(1)] {
        opened.units("T", queue).await;
    }
}

/// Of each file of the index whether it is merged, oldest first. The store must be closed.
async fn merged() -> Vec<bool> {
    let place = Place { dir: PathBuf::from(STORE), log_dir: None };
    let view = View::open(&place).await.expect("a store");
    let rows = view.part_rows(|_| {}).await.expect("readable");
    rows.into_iter().map(|row| row.held.expect("intact").complete).collect()
}

fn run<F, T>(sim: &Simulation, node: &Node, life: impl FnOnce() -> F + Send + 'static) -> T
where
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    sim.join(node.start("life", life), LIMIT).expect("it ends")
}

/// Dies as soon as the third segment is on the disk, before it is merged.
fn die_before_the_merge(sim: &Simulation, node: &Node) {
    let life = node.start("first", || async {
        let mut opened = with_quiet_queue().await;
        fill(&mut opened, 3 * size() + 1).await;
        loop {
            opened.drain_some().await;
        }
    });
    let (disk, end) = (node.disk(), format!("{STORE}/checkpoints/{:020}", 3 * size()));
    let there = || disk.files().iter().any(|(path, _)| path == Path::new(&end));
    assert!(sim.run_until(LIMIT, there));
    node.crash();
    drop(life);
}

#[test]
fn what_was_merged_is_written_over_and_not_removed() {
    let (sim, node) = node(5);
    let disk = node.disk();
    // Several parts a segment.
    let options = || {
        let scale = Scale { interval: size() / 6, ..Scale::default() };
        Options { scale, ..options(Path::new(STORE)) }
    };
    run(&sim, &node, move || async move {
        let mut opened = with_quiet_queue_and(options()).await;
        go_on(&mut opened, 4..7).await;
        all_is_found(&opened).await;
        opened.stop().await;
    });
    let kept = || {
        let names = disk.files().into_iter().map(|(path, _)| path);
        names.filter(|path| path.to_string_lossy().starts_with("/store/index/spare.")).count()
    };
    let before = kept();
    assert!(before > 0, "{:?}", disk.files());
    // A later life goes on with them, and every message is found.
    run(&sim, &node, move || async move {
        let mut opened = open(options()).await;
        go_on(&mut opened, 7..12).await;
        all_is_found(&opened).await;
        opened.stop().await;
    });
    assert!((1..=before + 6).contains(&kept()), "{before} and later {}: they are used", kept());
}

#[test]
fn messages_behind_a_segment_that_is_not_merged_are_found() {
    let (sim, node) = node(3);
    die_before_the_merge(&sim, &node);
    // Readers come before the merge.
    run(&sim, &node, || async {
        let opened = open(options(Path::new(STORE))).await;
        all_is_found(&opened).await;
        opened.stop().await;
    });
    run(&sim, &node, || async {
        let mut opened = open(options(Path::new(STORE))).await;
        go_on(&mut opened, 4..9).await;
        all_is_found(&opened).await;
        opened.stop().await;
        all_is_found(&open(options(Path::new(STORE))).await).await;
    });
}

#[test]
fn a_start_merges_what_the_life_before_it_left() {
    let (sim, node) = node(4);
    die_before_the_merge(&sim, &node);
    run(&sim, &node, || async {
        let mut opened = open(options(Path::new(STORE))).await;
        settle(&mut opened).await;
        opened.stop().await;
        assert_eq!(merged().await, [true; 3]);
    });
}

#[test]
fn a_stop_right_behind_a_full_segment_costs_no_message() {
    let (sim, node) = node(3);
    run(&sim, &node, || async {
        let mut opened = with_quiet_queue().await;
        fill(&mut opened, 3 * size() + 1).await;
        opened.stop().await;
        let mut opened = open(options(Path::new(STORE))).await;
        go_on(&mut opened, 4..9).await;
        all_is_found(&opened).await;
        opened.stop().await;
        assert_eq!(merged().await, [true; 8]);
    });
}

#[test]
fn a_merge_that_failed_is_made_later_and_hides_nothing_meanwhile() {
    let (sim, node) = node(5);
    let disk = node.disk();
    let life = node.start("life", || async {
        let mut opened = with_quiet_queue().await;
        fill(&mut opened, 3 * size() + 1).await;
        go_on(&mut opened, 4..7).await;
        all_is_found(&opened).await;
        runtime::sleep(Duration::from_secs(600)).await;
        opened.answer().await;
        let told: Vec<_> = opened.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 1, "once: {told:?}");
        assert!(told[0].contains(&format!("{:020}", 3 * size())), "the file is named: {told:?}");
        all_is_found(&opened).await;
        opened.stop().await;
        merged().await
    });
    let end = PathBuf::from(format!("{STORE}/checkpoints/{:020}", 3 * size()));
    assert!(sim.run_until(LIMIT, || disk.files().iter().any(|(path, _)| *path == end)));
    disk.spoil(&end, 0..1);
    sim.run_for(Duration::from_secs(100));
    let part = format!("{STORE}/index/{:020}-{:020}", 2 * size(), 3 * size());
    let is_merged = || disk.content(&part)[25] == 1;
    assert!(!is_merged(), "the checkpoint that it needs cannot be read");
    disk.mend(&end, 0..1);
    assert!(sim.run_until(LIMIT, is_merged), "it is tried again");
    assert_eq!(sim.join(life, LIMIT).expect("it ends"), [true; 6]);
}

#[test]
fn a_merge_that_a_full_disk_refuses_is_told_with_its_remedy_and_made_later() {
    const ENOSPC: i32 = 28;
    let (sim, node) = node(6);
    let disk = node.disk();
    let life = node.start("life", || async {
        let scale = Scale { interval: size() / 6, ..Scale::default() };
        let mut opened = open(Options { scale, ..options(Path::new(STORE)) }).await;
        opened.store.append_create_topic("T", 2, b"").expect("room");
        fill(&mut opened, size() + 1).await;
        settle(&mut opened).await;
        runtime::sleep(Duration::from_secs(200)).await;
        opened.answer().await;
        let told: Vec<_> = opened.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 1, "once: {told:?}");
        assert!(
            told[0].contains("cannot be merged") && told[0].contains("free some space"),
            "{told:?}"
        );
        assert!(!told[0].contains("mqstore check"), "nothing is damaged: {told:?}");
        opened.stop().await;
        merged().await
    });
    let end = PathBuf::from(format!("{STORE}/checkpoints/{:020}", size()));
    assert!(sim.run_until(LIMIT, || disk.files().iter().any(|(path, _)| *path == end)));
    disk.refuse_new_files(format!("{STORE}/index"), ENOSPC);
    sim.run_for(Duration::from_secs(100));
    disk.heal();
    assert_eq!(sim.join(life, LIMIT).expect("it ends").first(), Some(&true));
}
