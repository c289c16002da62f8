//! The network between members: three of them over TCP, simulated and real; strangers at the door; and single lanes.
//!
//! `SEED=s` runs one seed, `SEEDS=n` so many fresh ones: see [`runtime::sim::run_seeds`].
#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]
#![allow(clippy::cast_possible_truncation, reason = "test data is small")]
#![allow(
    clippy::disallowed_methods,
    reason = "a test makes and removes its own directory, and waits"
)]

mod forward;
mod group;
mod lanes;
mod lines;
#[path = "../group/machine.rs"]
mod machine;
mod member;
mod stand_in;
mod strangers;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use raft::net::Limits;
use runtime::sim::{Node, Simulation, run_seeds};
use runtime::{Executor, Placement, Spec};

use group::{Group, LIMIT, World, id, others};
use member::{Board, Order, Start, live};

const SEEDS: std::ops::Range<u64> = 1..5;
const HEARTBEAT: Duration = Duration::from_millis(50);
const PORT: u16 = 40911;

impl World for Simulation {
    fn until(&self, holds: &mut dyn FnMut() -> bool) -> bool {
        // A look every millisecond: the world makes many small steps.
        let end = self.now() + LIMIT;
        while !holds() {
            if self.now() > end {
                return false;
            }
            self.run_for(Duration::from_millis(1));
        }
        true
    }
}

/// The machine this runs on.
struct Real;

impl World for Real {
    fn until(&self, holds: &mut dyn FnMut() -> bool) -> bool {
        let end = Instant::now() + LIMIT;
        while !holds() {
            if Instant::now() > end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }
}

/// Three simulated machines.
struct Machines {
    nodes: [Node; 3],
    boards: [Board; 3],
    limits: fn(usize) -> Limits,
}

impl Machines {
    fn new(sim: &Simulation, limits: fn(usize) -> Limits) -> Machines {
        let node = |at: u8| sim.node(&format!("n{at}"), Ipv4Addr::new(10, 0, 0, at + 1));
        let machines = Machines { nodes: [0, 1, 2].map(node), boards: Default::default(), limits };
        (0..3).for_each(|at| drop(machines.start(at)));
        machines
    }

    fn start(&self, at: usize) -> Executor<()> {
        let start = Start {
            id: id(at),
            dir: PathBuf::from("/member"),
            listen: SocketAddr::from((self.nodes[at].ip(), PORT)),
            heartbeat: HEARTBEAT,
            limits: self.limits,
        };
        let board = self.boards[at].clone();
        self.nodes[at].start("member", move || live(start, board))
    }

    /// Kills the process of a member.
    fn kill(&self, at: usize) {
        self.nodes[at].crash();
        let mut notes = self.boards[at].notes();
        (notes.leads, notes.applied_to) = (false, 0);
        notes.orders.clear();
    }

    /// Cuts a member off from the others, or mends that.
    fn cut(&self, sim: &Simulation, at: usize, is_cut: bool) {
        for other in others(at) {
            match is_cut {
                true => sim.cut(&self.nodes[at], &self.nodes[other]),
                false => sim.mend(&self.nodes[at], &self.nodes[other]),
            }
        }
    }
}

fn simulated<'a>(sim: &'a Simulation, machines: &Machines) -> Group<'a, Simulation> {
    Group { world: sim, boards: machines.boards.clone() }
}

const ALL: [usize; 3] = [0, 1, 2];

/// Elections, a leader that is cut off, a follower and a leader that are killed: the fingerprint of it.
fn history(seed: u64) -> u64 {
    let sim = Simulation::new(seed);
    // Every other seed meets the edges of small limits.
    let limits = if seed.is_multiple_of(2) { Limits::new } else { Limits::test_min };
    let machines = Machines::new(&sim, limits);
    let group = simulated(&sim, &machines);
    group.found();
    let first = group.leader(&ALL);
    group.commit(0..200, &ALL);

    machines.cut(&sim, first, true);
    let second = group.leader(&others(first));
    group.commit(200..300, &others(first));
    machines.cut(&sim, first, false);
    group.until("the old leader follows", || !machines.boards[first].notes().leads);
    group.settle(&ALL, 0..300);

    let follower = others(second)[seed as usize % 2];
    machines.kill(follower);
    group.commit(300..400, &others(follower));
    drop(machines.start(follower));
    group.settle(&ALL, 0..400);

    let leader = group.leader(&ALL);
    machines.kill(leader);
    group.until("that a process is gone is news", || {
        let knows = |at: &usize| machines.boards[*at].notes().gone.contains(&id(leader));
        others(leader).iter().any(knows)
    });
    group.leader(&others(leader));
    group.commit(400..450, &others(leader));
    drop(machines.start(leader));
    group.settle(&ALL, 0..450);
    group.until("nobody is gone", || {
        ALL.iter().all(|at| !machines.boards[*at].notes().gone.contains(&id(leader)))
    });

    let from = group.leader(&ALL);
    let to = others(from)[0];
    // A leader asks once, and only whom it reaches; else the next one is whoever hears nothing first.
    group.until("there is a way to the next one", || {
        let peers = &machines.boards[from].notes().peers;
        peers.get(&id(to)).is_some_and(|(is_up, _)| *is_up)
    });
    machines.boards[from].order(Order::Transfer(id(to)));
    group.until("the next one leads", || {
        machines.boards[to].notes().leads && !machines.boards[from].notes().leads
    });
    group.commit(450..460, &ALL);
    group.settle(&ALL, 0..460);
    sim.trace_hash()
}

#[test]
fn a_group_survives_cuts_and_kills_and_loses_nothing_that_was_acknowledged() {
    let last = AtomicU64::new(0);
    run_seeds("raft net", SEEDS, |seed| {
        let trace = history(seed);
        assert_ne!(last.swap(trace, Ordering::Relaxed), trace, "the seed decides nothing");
    });
    assert_eq!(history(1), history(1), "two runs under one seed");
}

#[test]
fn a_follower_with_a_slow_disk_slows_nobody_and_catches_up() {
    run_seeds("raft net, slow follower", 1..4, |seed| {
        let sim = Simulation::new(seed);
        let machines = Machines::new(&sim, Limits::new);
        let group = simulated(&sim, &machines);
        group.found();
        let leader = group.leader(&ALL);
        group.commit(0..20, &ALL);
        let slow = others(leader)[0];
        let term = machines.boards[leader].notes().term;
        let timed = |numbers| {
            let before = sim.now();
            group.commit(numbers, &ALL);
            sim.now() - before
        };
        let usual = timed(20..110);
        machines.nodes[slow].disk().stall(Duration::from_secs(20));
        let took = timed(110..200);
        let bound = 2 * usual + Duration::from_millis(100);
        assert!(took < bound, "it waited for the slow one: {took:?}, and {usual:?} before");
        assert_eq!(machines.boards[leader].notes().term, term, "the leader was lost");
        group.settle(&ALL, 0..200);
        // Without any follower nothing is committed: a slow disk is one that is waited for.
        let wait = Duration::from_secs(5);
        others(leader).iter().for_each(|at| machines.nodes[*at].disk().stall(wait));
        let before = sim.now();
        group.commit(200..210, &ALL);
        assert!(sim.now() - before > wait / 2, "it was committed without a disk");
        group.settle(&ALL, 0..210);
    });
}

#[test]
fn a_group_elects_and_commits_over_the_loopback_of_this_machine() {
    let name = format!("raft-net-{}", std::process::id());
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let boards: [Board; 3] = Default::default();
    let start = |at: usize| {
        let start = Start {
            id: id(at),
            dir: dir.join(at.to_string()),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            // A shared machine may stall for some 100 ms: that must not look like a dead leader.
            heartbeat: Duration::from_millis(300),
            limits: Limits::new,
        };
        std::fs::create_dir_all(&start.dir).unwrap();
        let spec = Spec { name: format!("n{at}"), placement: Placement::Any, busy_poll: None };
        let board = boards[at].clone();
        runtime::start(spec, move || live(start, board)).unwrap()
    };
    let executors = ALL.map(start);
    let group = Group { world: &Real, boards: boards.clone() };
    group.found();
    group.leader(&ALL);
    group.commit(0..300, &ALL);
    group.settle(&ALL, 0..300);
    let leader = group.leader(&ALL);
    boards[leader].order(Order::Stop);
    group.until("that a process is gone is news", || {
        others(leader).iter().any(|at| boards[*at].notes().gone.contains(&id(leader)))
    });
    boards[leader].notes().leads = false;
    group.commit(300..350, &others(leader));
    group.settle(&others(leader), 0..350);
    others(leader).iter().for_each(|at| boards[*at].order(Order::Stop));
    executors.into_iter().for_each(|executor| executor.join().unwrap());
    std::fs::remove_dir_all(&dir).unwrap();
}
