//! A trim, and a death or a power cut at any moment of what follows it: the store starts, and has exactly what
//! the trim has left.

mod support;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{PhysicalOffset, QueueId};
use runtime::fs;
use runtime::sim::{DiskOp, Node, Simulation, When};
use storage::inspect::{Place, Start as Outlook, View};
use storage::{Event, Flush, Options, Scale, Store};
use support::{Opened, open, options};

const LIMIT: Duration = Duration::from_secs(600);
const STORE: &str = "/store";
const QUEUE: QueueId = QueueId(0);

/// Segments that are given up at once.
const TRIMMED: u64 = 4;

fn small_steps() -> Options {
    let scale = Scale { delete_step: 512 * 1024, spare_bytes: 0, ..Scale::default() };
    Options { scale, ..options(Path::new(STORE)) }
}

fn flushed_now_and_then() -> Options {
    Options { flush: Flush::Async { interval: Duration::from_millis(500) }, ..small_steps() }
}

/// Sends until the log reaches beyond `offset`.
async fn fill(opened: &mut Opened, offset: u64) {
    let mut at = 0;
    while at < offset {
        opened.append("T", QUEUE, &vec![0x5A; 900_000]).await;
        at = opened.collect(1).await[0].physical.0;
    }
}

/// Gives up the log before `to`; returns once that is committed.
async fn trim(opened: &mut Opened, to: u64) {
    let store = opened.store.clone();
    while store.append_trim(PhysicalOffset(to)).await.is_err() {
        runtime::yield_now().await;
        opened.answer().await;
    }
    while opened.store.stats().min.0 < to {
        opened.drain_some().await;
    }
}

async fn fill_and_trim(options: Options) -> Opened {
    let size = options.segment_size;
    let mut opened = open(options).await;
    opened.store.append_create_topic("T", 1, b"").expect("room");
    fill(&mut opened, TRIMMED * size + size / 2).await;
    opened.answer().await;
    trim(&mut opened, TRIMMED * size).await;
    opened
}

/// Starts the store; where its queue begins, if all of it can be read.
async fn start(options: Options) -> Result<u64, String> {
    let (store, mut events) = Store::open(options).await.map_err(|error| error.to_string())?;
    loop {
        match events.next().await {
            Event::Recovered(_) => break,
            Event::Failed(error) => return Err(error.to_string()),
            Event::StateWanted(wanted) => wanted.give(support::STATE.to_vec()),
            _ => {}
        }
    }
    let units = support::all_units(&store, "T", QUEUE).await;
    store.record_at(units[0].1.offset).await.map_err(|error| error.to_string())?;
    let begins = units[0].1.offset.0;
    // What it has given up itself, as the log says, is gone a little later.
    runtime::sleep(Duration::from_secs(2)).await;
    let left = fs::list(Path::new(STORE).join("log")).await.map_err(|error| error.to_string())?;
    let trimmed = left.iter().find(|entry| entry.name.ends_with(".trimmed"));
    assert!(trimmed.is_none(), "what was left of a deletion is removed at a start: {trimmed:?}");
    Ok(begins)
}

fn node(seed: u64) -> (Simulation, Node) {
    let simulation = Simulation::new(seed);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    (simulation, node)
}

/// Trims, ends the process `after` that, and starts twice: where the queue begins then.
fn trim_and_end(seed: u64, of: fn() -> Options, after: Duration, end: fn(&Node)) -> u64 {
    let (simulation, node) = node(seed);
    let executor = node.start("before", move || async move {
        let opened = fill_and_trim(of()).await;
        runtime::sleep(after).await;
        drop(opened);
        runtime::yield_now().await;
    });
    simulation.join(executor, LIMIT).expect("the first life ends");
    end(&node);
    let mut begins = 0;
    for life in ["after", "and again"] {
        let executor = node.start(life, move || start(of()));
        let started = simulation.join(executor, LIMIT).expect("the start ends");
        begins = started.unwrap_or_else(|why| panic!("seed {seed}, {after:?}, {life}: {why}"));
        node.crash();
    }
    begins
}

/// A moment behind a trim: the deletions are slow at first, and quick from half a second on, as nobody sends.
fn moment(at: u64) -> Duration {
    Duration::from_millis(10 * at * at)
}

#[test]
fn a_death_while_trimmed_segments_are_deleted_is_survived() {
    let size = small_steps().segment_size;
    for at in 0..10 {
        let begins = trim_and_end(at, small_steps, moment(at), Node::crash);
        assert!(begins > TRIMMED * size, "at {at}: the trim was committed");
    }
}

#[test]
fn a_power_cut_while_trimmed_segments_go_is_survived() {
    let size = small_steps().segment_size;
    for at in 0..10 {
        let begins = trim_and_end(100 + at, small_steps, moment(at), Node::power_cut);
        assert!(begins > TRIMMED * size, "at {at}: the trim was durable");
    }
}

#[test]
fn segments_go_only_once_the_trim_is_durable() {
    for at in 0..10 {
        trim_and_end(200 + at, flushed_now_and_then, moment(at), Node::power_cut);
    }
}

#[test]
fn a_segment_that_cannot_be_renamed_keeps_those_behind_it() {
    for seed in 0..9 {
        let (simulation, node) = node(300 + seed);
        let disk = node.disk();
        let executor = node.start("before", move || async move {
            let opened = fill_and_trim(small_steps()).await;
            runtime::sleep(Duration::from_secs(2)).await; // nobody sends: the deletions hurry
            drop(opened);
            runtime::yield_now().await;
        });
        let is_there = |path: &Path| disk.files().iter().any(|(found, _)| found == path);
        // The trim is committed, and the first segments are going.
        let going = || is_there(&segment(TRIMMED)) && !is_there(&segment(seed % 3));
        assert!(simulation.run_until(LIMIT, going), "seed {seed}");
        disk.fail(DiskOp::Metadata, When::Nth(1 + seed / 3));
        simulation.join(executor, LIMIT).expect("the first life ends");
        disk.heal();
        node.power_cut();
        let executor = node.start("after", || start(small_steps()));
        let started = simulation.join(executor, LIMIT).expect("the start ends");
        started.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
}

/// The file of a segment, by its number.
fn segment(number: u64) -> PathBuf {
    let base = number * small_steps().segment_size;
    Path::new(STORE).join("log").join(format!("{base:020}"))
}

/// What `mqstore check` says of a start.
async fn outlook() -> Outlook {
    let view = View::open(&Place { dir: STORE.into(), log_dir: None }).await.expect("a store");
    view.check(&mut |_| {}).await.expect("readable").start
}

#[test]
fn segments_may_be_missing_where_the_log_was_trimmed_and_nowhere_else() {
    let (simulation, node) = node(7);
    let size = small_steps().segment_size;
    let away = || Path::new(STORE).join("away");
    let executor = node.start("whole", move || async move {
        let mut opened = open(small_steps()).await;
        opened.store.append_create_topic("T", 1, b"").expect("room");
        fill(&mut opened, TRIMMED * size + size / 2).await;
        opened.stop().await;
        fs::rename(segment(1), away()).await.expect("renamed");
        assert!(matches!(outlook().await, Outlook::Refused { .. }));
        let why = start(small_steps()).await.expect_err("a segment is missing");
        let span = format!("from offset {size} to {} are missing", 2 * size);
        assert!(why.contains(&span), "{why}");
        fs::rename(away(), segment(1)).await.expect("renamed");
        let mut opened = open(small_steps()).await;
        trim(&mut opened, 3 * size).await;
    });
    simulation.join(executor, LIMIT).expect("it ends");
    node.crash();
    let executor = node.start("trimmed", move || async move {
        fs::remove_file(segment(1)).await.expect("it is there: the process died first");
        assert!(fs::exists(segment(0)).await.expect("readable"));
        assert!(matches!(outlook().await, Outlook::From(_)));
        let opened = open(small_steps()).await;
        assert_eq!(opened.store.stats().min.0 / size, 3);
        runtime::sleep(Duration::from_secs(1)).await;
        for number in 0..3 {
            assert!(!fs::exists(segment(number)).await.expect("readable"), "segment {number}");
        }
        opened.stop().await;
    });
    simulation.join(executor, LIMIT).expect("it starts");
}
