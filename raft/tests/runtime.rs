//! openraft's conformance suite for runtimes, on both backends.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test: it panics on errors and bounds a suite in time from another thread"
)]

use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use openraft::testing::runtime::Suite;
use raft::Runtime;
use runtime::sim::Simulation;

const SEEDS: Range<u64> = 1..17;

/// The suite sleeps for half a second; a wake-up that is lost would let it wait for ever.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn the_suite_passes_on_uring() {
    let (done, is_done) = channel::<()>();
    let suite = thread::spawn(move || {
        Suite::<Runtime>::test_all();
        drop(done);
    });
    // A suite that panics lets go of its end as well.
    assert_eq!(is_done.recv_timeout(LIMIT), Err(RecvTimeoutError::Disconnected), "the suite hangs");
    suite.join().unwrap();
}

fn trace_of_the_suite(seed: u64) -> u64 {
    let sim = Simulation::new(seed);
    let start = sim.now();
    sim.node("n0", Ipv4Addr::new(10, 0, 0, 1)).thread(Suite::<Runtime>::test_all);
    // Its sleeps were virtual: they add up to more than this.
    assert!(sim.now() - start >= Duration::from_millis(300));
    sim.trace_hash()
}

#[test]
fn the_suite_passes_in_the_simulation_and_the_same_seed_gives_the_same_trace() {
    let traces: Vec<u64> = SEEDS.map(trace_of_the_suite).collect();
    for (seed, trace) in SEEDS.zip(&traces) {
        assert_eq!(trace_of_the_suite(seed), *trace, "two traces under seed {seed}");
    }
    let first = traces[0];
    assert!(traces.iter().any(|trace| *trace != first), "the seed decides nothing");
}
