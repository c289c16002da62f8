//! Processes that stand still while their machines go on, and wall clocks that are wrong.
#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use runtime::sim::{Node, Simulation};
use runtime::{TcpListener, TcpStream, now, sleep, unix_millis};

const SECOND: Duration = Duration::from_secs(1);
const PORT: u16 = 80;

fn two(seed: u64) -> (Simulation, Node, Node) {
    let simulation = Simulation::new(seed);
    let node = |name, last| simulation.node(name, Ipv4Addr::new(10, 0, 0, last));
    let (one, other) = (node("one", 1), node("other", 2));
    (simulation, one, other)
}

/// Counts, every millisecond.
fn count(node: &Node) -> Arc<AtomicU64> {
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    drop(node.start("count", move || async move {
        loop {
            sleep(Duration::from_millis(1)).await;
            counted.fetch_add(1, Ordering::Relaxed);
        }
    }));
    count
}

#[test]
fn a_process_that_stands_still_does_nothing_and_others_go_on() {
    let (simulation, one, other) = two(1);
    let (still, goes_on) = (count(&one), count(&other));
    simulation.run_for(SECOND);
    one.pause();
    let (before, others_before) = (still.load(Ordering::Relaxed), goes_on.load(Ordering::Relaxed));
    assert!(before > 900);
    simulation.run_for(SECOND);
    assert_eq!(still.load(Ordering::Relaxed), before);
    assert!(goes_on.load(Ordering::Relaxed) > others_before + 900);
    one.resume();
    simulation.run_for(SECOND);
    let after = still.load(Ordering::Relaxed) - before;
    assert!((900..1100).contains(&after), "what became due meanwhile comes once: {after}");
}

#[test]
fn time_has_passed_when_a_process_goes_on_and_what_was_sent_to_it_is_there() {
    let (simulation, one, other) = two(2);
    let served = one.start("serve", || async {
        let listener = TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], PORT))).await.unwrap();
        let began = now();
        let (stream, _) = listener.accept().await.unwrap();
        let (mut read, _write) = stream.into_split();
        let mut bytes = BytesMut::new();
        while bytes.len() < 8 {
            assert!(read.read(&mut bytes, 100).await.unwrap() > 0);
        }
        began.elapsed()
    });
    simulation.run_for(SECOND);
    one.pause();
    let to = SocketAddr::from((one.ip(), PORT));
    let sent = other.start("send", move || async move {
        let (_read, mut write) = TcpStream::connect(to).await.unwrap().into_split();
        write.write_all(&[7; 8]).await.unwrap();
        sleep(3600 * SECOND).await;
    });
    simulation.run_for(10 * SECOND);
    assert!(!served.is_finished() && !sent.is_finished());
    one.resume();
    let waited = simulation.join(served, SECOND).unwrap();
    assert!(waited > 10 * SECOND, "{waited:?}");
}

#[test]
fn a_process_that_is_killed_while_it_stands_still_is_gone_and_the_next_one_runs() {
    let (simulation, one, _) = two(3);
    let first = count(&one);
    simulation.run_for(SECOND);
    one.pause();
    simulation.run_for(SECOND);
    one.crash();
    let before = first.load(Ordering::Relaxed);
    let second = count(&one);
    simulation.run_for(SECOND);
    assert_eq!(first.load(Ordering::Relaxed), before);
    assert!(second.load(Ordering::Relaxed) > 900);
}

#[test]
fn a_wall_clock_that_is_wrong_is_wrong_on_one_node_and_its_monotonic_clock_is_right() {
    let (simulation, one, other) = two(4);
    let clocks = |node: &Node| {
        let read = node.start("read", || async { (unix_millis(), now()) });
        simulation.join(read, SECOND).unwrap()
    };
    let right = clocks(&other);
    one.shift_clock(3_600_000);
    let (ahead, monotonic) = clocks(&one);
    assert!((3_600_000..3_601_000).contains(&(ahead - right.0)), "{ahead}");
    assert!(monotonic >= right.1 && monotonic - right.1 < SECOND);
    one.shift_clock(-3_600_000);
    let (behind, _) = clocks(&one);
    assert!(right.0 - behind > 3_599_000);
    one.shift_clock(0);
    assert!(clocks(&one).0 - right.0 < 1000);
}

#[test]
fn the_same_seed_stands_still_the_same_way() {
    let run = |seed| {
        let (simulation, one, other) = two(seed);
        let (_one, _other) = (count(&one), count(&other));
        simulation.run_for(SECOND);
        one.pause();
        simulation.run_for(SECOND);
        one.resume();
        simulation.run_for(SECOND);
        simulation.trace_hash()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
