//! No store goes on after a flush that failed, whatever it was for: it had to empty the device's cache of everything, and the
//! flush after it may succeed although what was lost is not there.

mod support;

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use model::QueueId;
use runtime::channel::Flag;
use runtime::sim::{DiskOp, Simulation, When};
use storage::{AppendError, Event, Options, Scale, Store};
use support::{STATE, draft, options, try_open};

const LIMIT: Duration = Duration::from_secs(600);
const QUEUE: QueueId = QueueId(0);
/// Time for what goes on in the background.
const IDLE: Duration = Duration::from_secs(20);

/// Parts of the index come often, and files of segments are deleted.
fn often() -> Options {
    let mut options = options(Path::new("/store"));
    options.scale = Scale { interval: 1 << 20, spare_bytes: 0, ..Scale::default() };
    options
}

/// Appends until the log has grown by `segments`, or fails.
async fn fill(store: &Store, segments: u64) {
    let to = store.stats().max.0 + segments * often().segment_size;
    while store.stats().max.0 < to {
        match store.append_message(&draft("T", QUEUE, &[0x5A; 800_000])) {
            Ok(())
            | Err(AppendError::Busy { .. } | AppendError::NoSegment | AppendError::NoFile { .. }) =>
                {}
            Err(AppendError::Failed) => return,
            Err(error) => panic!("{error}"),
        }
        runtime::sleep(Duration::from_millis(1)).await;
    }
}

/// A life that flushes for all that it does in the background: segments are filled, zeroed, trimmed and used again, and parts of
/// the index merged. Whether the store has failed.
async fn life() -> bool {
    let Ok((store, mut events)) = try_open(often()).await else { return true };
    let failed = Rc::new(Cell::new(false));
    let told = Rc::clone(&failed);
    let ready = Flag::new();
    let begun = ready.clone();
    let owner = runtime::spawn(async move {
        loop {
            match events.next().await {
                Event::StateWanted(wanted) => wanted.give(STATE.to_vec()),
                Event::Recovered(_) => begun.raise(),
                Event::Failed(_) => {
                    told.set(true);
                    return begun.raise();
                }
                Event::Stopped => return,
                _ => {}
            }
        }
    });
    ready.raised().await;
    if store.append_create_topic("T", 1, b"").is_ok() {
        fill(&store, 4).await;
        runtime::sleep(IDLE).await;
        let times = store.segment_times();
        if let Some(last) = times.iter().rev().nth(1) {
            drop(store.append_trim(last.to).await);
        }
        runtime::sleep(IDLE).await;
        fill(&store, 1).await;
        runtime::sleep(IDLE).await;
    }
    store.stop().await;
    owner.await;
    failed.get()
}

#[test]
fn a_store_fails_with_any_flush_of_it() {
    for nth in 1.. {
        let simulation = Simulation::new(nth);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        node.disk().fail(DiskOp::Flush, When::Nth(nth));
        let failed = simulation.join(node.start("store", life), LIMIT).expect("it ends");
        let reached = node.disk().failures() > 0;
        assert_eq!(failed, reached, "flush {nth}");
        if !reached {
            println!("{} flushes", nth - 1);
            assert!(nth > 50, "more is flushed in such a life: {nth}");
            return;
        }
    }
}
