//! Flushes in the background that fail while another one is under way: what one has lost, none of the others has saved.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod support;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::QueueId;
use runtime::sim::{DiskOp, Simulation, When};
use storage::{AppendError, Event, Flush, Options};
use support::{STATE, draft, open, options, try_open};

const LIMIT: Duration = Duration::from_secs(600);
const QUEUE: QueueId = QueueId(0);
const LEN: usize = 50_000;

/// The log is flushed all the time, and checkpoints are made often.
fn flushing() -> Options {
    let mut options = options(Path::new("/store"));
    options.flush = Flush::Async { interval: Duration::from_millis(1) };
    options.scale.interval = 1_000_000;
    options.scale.furthest = 4_000_000;
    options
}

/// Appends until the store fails; `end` is the log's.
async fn fill(options: Options, end: Arc<AtomicU64>) {
    let opened = open(options).await;
    let (store, mut events) = (opened.store, opened.events);
    store.append_create_topic("T", 1, b"").expect("there is room");
    runtime::spawn(async move {
        loop {
            match events.next().await {
                Event::StateWanted(wanted) => wanted.give(STATE.to_vec()),
                Event::Failed(_) => return,
                _ => {}
            }
        }
    })
    .detach();
    for number in 0.. {
        match store.append_message(&draft("T", QUEUE, &vec![number as u8; LEN])) {
            Ok(()) | Err(AppendError::Busy { .. } | AppendError::NoSegment) => {}
            Err(AppendError::NoFile { .. }) => {}
            // What was under way goes on.
            Err(AppendError::Failed) => runtime::sleep(LIMIT).await,
            Err(error) => panic!("{error}"),
        }
        end.store(store.stats().max.0, Ordering::Relaxed);
        runtime::sleep(Duration::from_millis(5)).await;
    }
}

/// How many messages a life finds, which then ends without a stop.
async fn found() -> u64 {
    let opened = open(flushing()).await;
    opened.store.queue("T", QUEUE).map_or(0, |range| range.max.0)
}

/// A life in which a flush fails about when the first segment is full, the `nth` from then on; two starts, and a power cut
/// between them. What the starts found; [`None`] if the first life went on.
fn lives(seed: u64, nth: u64) -> Option<(u64, u64)> {
    let simulation = Simulation::new(seed);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    node.disk().slow(50);
    let end = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&end);
    drop(node.start("first", move || fill(flushing(), told)));
    let almost = flushing().segment_size - 200_000;
    assert!(simulation.run_until(LIMIT, || end.load(Ordering::Relaxed) > almost), "it fills");
    node.disk().fail(DiskOp::Flush, When::Nth(nth));
    simulation.run_for(Duration::from_millis(500));
    let failed = node.disk().failures() > 0;
    node.crash();
    node.disk().heal();
    let second = simulation.join(node.start("second", found), LIMIT).expect("it starts");
    node.power_cut();
    let third = simulation.join(node.start("third", found), LIMIT).expect("it starts");
    failed.then_some((second, third))
}

/// Found with the flush of a segment that was full and one of those that happen now and then: the one failed, the other did
/// not, and the next segment said that the one before was durable. What a start had told of was lost with the power.
#[test]
fn what_a_start_has_told_outlives_a_power_cut_whichever_flush_had_failed() {
    let mut failed = 0;
    for (seed, nth) in (0..6).flat_map(|seed| (4..8).map(move |nth| (seed, nth))) {
        println!("seed {seed}, flush {nth}");
        let Some((second, third)) = lives(seed, nth) else { continue };
        assert_eq!(third, second);
        failed += 1;
    }
    assert!(failed > 20, "{failed} flushes failed");
}

/// What a start tells of the queue's end, if it comes so far; it makes checkpoints meanwhile.
async fn told() -> Option<u64> {
    let mut options = flushing();
    options.scale.interval = 200_000;
    let Ok((store, mut events)) = try_open(options).await else { return None };
    loop {
        match events.next().await {
            Event::StateWanted(wanted) => wanted.give(STATE.to_vec()),
            Event::Recovered(_) => return store.queue("T", QUEUE).map(|range| range.max.0),
            Event::Failed(_) => return None,
            _ => {}
        }
    }
}

/// A life that flushes hardly ever and is killed; a start of which the `nth` flush fails, and a power cut; another start.
/// Whether that flush was reached, and what both starts told, if the first of them came so far.
fn starts(seed: u64, nth: u64) -> (bool, Option<u64>, u64) {
    let simulation = Simulation::new(seed);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let end = Arc::new(AtomicU64::new(0));
    let so_far = Arc::clone(&end);
    let rarely = || Options { flush: Flush::Async { interval: LIMIT }, ..flushing() };
    drop(node.start("first", move || fill(rarely(), so_far)));
    assert!(simulation.run_until(LIMIT, || end.load(Ordering::Relaxed) > 3_000_000), "it fills");
    node.crash();
    node.disk().slow(50);
    node.disk().fail(DiskOp::Flush, When::Nth(nth));
    let second = simulation.join(node.start("second", told), LIMIT).expect("it ends");
    let failed = node.disk().failures() > 0;
    node.power_cut();
    node.disk().heal();
    let third = simulation.join(node.start("third", found), LIMIT).expect("it starts");
    (failed, second, third)
}

/// Checkpoints are made while a start still reads, and flush the log; so does the start when it has cut the log. No flush counts
/// beside one that failed: else the start would tell of what the next power cut takes, and the one after it would refuse.
#[test]
fn a_start_tells_nothing_that_another_flush_of_it_has_lost() {
    let (mut failed, mut went_on) = (0, 0);
    for (seed, nth) in (0..6).flat_map(|seed| (1..40).map(move |nth| (seed, nth))) {
        println!("seed {seed}, flush {nth}");
        let (reached, second, third) = starts(seed, nth);
        if let Some(second) = second {
            assert_eq!(third, second);
            went_on += 1;
        }
        failed += u32::from(reached);
    }
    assert!(failed > 20 && went_on > 20, "{failed} flushes failed, {went_on} starts went on");
}
