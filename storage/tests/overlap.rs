//! The disk is given the next batch before the last one is entered; what is told keeps its order and its truth.

mod support;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::QueueId;
use runtime::sim::{DiskOp, Simulation, When};
use storage::{Event, What};
use support::{Opened, body, draft, open, options};

const LIMIT: Duration = Duration::from_secs(600);
const STORE: &str = "/store";
/// Events that wait for the owner of a store (`store.rs`).
const MAX_EVENTS: u64 = 1024;

fn append(opened: &Opened, number: u64) {
    opened.store.append_message(&draft("T", QueueId(0), &body(number))).expect("there is room");
}

/// Appends two messages, the second when the first is on its way to the disk.
async fn append_two(opened: &Opened, number: u64) {
    append(opened, number);
    runtime::sleep(Duration::from_micros(1)).await;
    append(opened, number + 1);
}

/// A store with a topic of which its owner knows.
async fn begin() -> Opened {
    let mut opened = open(options(Path::new(STORE))).await;
    opened.store.append_create_topic("T", 1, b"").expect("there is room");
    opened.answer().await;
    opened
}

/// How many messages the next life finds.
async fn found() -> u64 {
    let opened = open(options(Path::new(STORE))).await;
    let found = opened.store.queue("T", QueueId(0)).expect("the queue is there").max.0;
    opened.stop().await;
    found
}

#[test]
fn a_batch_is_written_while_the_one_before_is_being_told() {
    let simulation = Simulation::new(3);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let first = node.start("first", || async {
        let opened = begin().await;
        for number in 0..MAX_EVENTS {
            append(&opened, number);
            runtime::sleep(Duration::from_millis(1)).await;
        }
        // Nobody takes the events: the first of these two cannot be told, and the second is on the disk all the same.
        append_two(&opened, MAX_EVENTS).await;
        runtime::sleep(Duration::from_millis(100)).await;
        append(&opened, MAX_EVENTS + 2); // and there it ends
        runtime::sleep(Duration::from_millis(100)).await;
    });
    simulation.join(first, LIMIT).expect("the first life ends");
    node.crash();
    let second = node.start("second", || async { assert_eq!(found().await, MAX_EVENTS + 2) });
    simulation.join(second, LIMIT).expect("the second life ends");
}

/// Two batches, of which an operation fails: how many messages were told of, and whether the store failed.
async fn tell(ready: Arc<AtomicBool>, planned: Arc<AtomicBool>) -> (u64, bool) {
    let mut opened = begin().await;
    ready.store(true, Ordering::Relaxed);
    while !planned.load(Ordering::Relaxed) {
        runtime::sleep(Duration::from_micros(1)).await;
    }
    append_two(&opened, 0).await;
    let mut told = 0;
    loop {
        match runtime::timeout(Duration::from_secs(1), opened.events.next()).await {
            Ok(Event::Committed(applied)) => {
                let What::Messages(messages) = applied.what else { continue };
                for message in messages {
                    assert_eq!(message.queue_offset.0, told, "in their order");
                    told += 1;
                }
            }
            Ok(Event::Failed(_)) => return (told, true),
            Ok(_) => {}
            Err(_) => return (told, false),
        }
    }
}

#[test]
fn a_batch_that_fails_is_not_told_of_and_the_one_before_is() {
    let mut seen = Vec::new();
    for (op, nth) in [DiskOp::Write, DiskOp::Flush]
        .map(|op| (1..5).map(move |nth| (op, nth)))
        .into_iter()
        .flatten()
    {
        let simulation = Simulation::new(nth);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        let (ready, planned) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (is_ready, is_planned) = (ready.clone(), planned.clone());
        let first = node.start("first", move || tell(is_ready, is_planned));
        assert!(simulation.run_until(LIMIT, || ready.load(Ordering::Relaxed)), "it begins");
        node.disk().fail(op, When::Nth(nth));
        planned.store(true, Ordering::Relaxed);
        let (told, failed) = simulation.join(first, LIMIT).expect("the first life ends");
        assert!(failed || told == 2, "{op:?} {nth}: {told} told of, and no failure");
        node.crash();
        node.disk().heal();
        let second = node.start("second", found);
        let found = simulation.join(second, LIMIT).expect("the second life ends");
        assert!(found >= told, "{op:?} {nth}: {told} told of, {found} there");
        seen.push((told, failed));
    }
    assert!(seen.contains(&(1, true)), "the second of two batches failed at least once: {seen:?}");
    assert!(seen.contains(&(0, true)), "and the first: {seen:?}");
}
