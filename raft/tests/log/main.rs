//! Random histories of a member's log in the simulator: openraft's calls in any order, a crash or a power cut at any moment,
//! disks that fail.
//!
//! A seed decides everything. After every start the log must be what the model says: all that was told to be flushed and
//! not cut is there, nothing that was cut is, the vote is the last one, what is purged is purged.
//!
//! `SEED=s` runs one seed, `SEEDS=n` so many fresh ones: see [`runtime::sim::run_seeds`], and `cargo xtask sim`.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod content;
mod life;
mod model;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use runtime::sim::{Disk, DiskOp, Node, Simulation, When, run_seeds};
use storage::{Flush, FlushMethod, Options, Scale};

use crate::life::{Ended, Script, Shared, live, with};
use crate::model::UnderWay;

const FIXED: std::ops::Range<u64> = 0..12;
/// A bound on the virtual time of a life that ends by itself.
const LIMIT: Duration = Duration::from_secs(600);

/// Random numbers of the history itself (splitmix64), apart from those of the simulation.
struct Dice(u64);

impl Dice {
    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// One log, over all its lives.
struct History {
    simulation: Simulation,
    node: Node,
    disk: Disk,
    dice: Dice,
    shared: Shared,
    /// Calls to the disk fail now and then.
    fails: bool,
    diary: Vec<String>,
}

impl Drop for History {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.diary.join("\n"));
        }
    }
}

impl History {
    fn new(seed: u64) -> History {
        let simulation = Simulation::new(seed);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        let (mut dice, disk) = (Dice(seed ^ 0x0062_AF71_0600), node.disk());
        let fails = dice.one_in(4);
        let (shared, diary) = (Shared::default(), Vec::new());
        History { simulation, node, disk, dice, shared, fails, diary }
    }

    fn note(&mut self, what: &str) {
        self.diary.push(format!("{:?}: {what}", self.simulation.now()));
    }

    fn script(&mut self) -> Script {
        let flush = match self.dice.one_in(3) {
            true => Flush::Async { interval: Duration::from_secs(1) },
            false => Flush::Sync,
        };
        let mut options = Options {
            dir: Path::new("/log").to_owned(),
            log_dir: Path::new("/log/log").to_owned(),
            segment_size: 0,
            flush,
            method: self.dice.pick(&[FlushMethod::Fdatasync, FlushMethod::Dsync]),
            max_batch: 64 * 1024,
            tail_budget: 64 * 1024,
            cache_size: 4 * 1024 * 1024,
            max_queued: 1024 * 1024,
            max_request: 64 * 1024,
            shard: 0,
            shards: 1,
            scale: Scale::default(),
        };
        options.segment_size = options.smallest_segment();
        options.max_batch = self.dice.pick(&[1, 20_000, 1024 * 1024]);
        Script { options, large_one_in: self.dice.pick(&[1, 4, 1_000_000]), turns: None }
    }

    /// A life that is ended from outside, or by itself.
    fn life(&mut self) {
        let mut script = self.script();
        if self.dice.one_in(4) {
            script.turns = Some(self.dice.below(60));
        }
        self.note(&format!("a life begins: {:?}", script.options.flush));
        let shared = Arc::clone(&self.shared);
        let before = with(&shared, |model| model.recovered);
        let executor = self.node.start("log", move || live(script, shared));
        // Most lives come to work.
        if self.dice.below(5) > 0 {
            let shared = Arc::clone(&self.shared);
            let works = || with(&shared, |model| model.recovered) > before;
            self.simulation.run_until(LIMIT, || works() || executor.is_finished());
        }
        if self.fails && self.dice.one_in(2) {
            let op = self.dice.pick(&[DiskOp::Write, DiskOp::Flush, DiskOp::Metadata]);
            self.disk.fail(op, When::Nth(1 + self.dice.below(60)));
        }
        let mut longest = self.dice.pick(&[5_000, 50_000, 400_000]);
        // Many end in the middle of what takes several steps.
        if self.dice.one_in(3) {
            let shared = Arc::clone(&self.shared);
            let during = || with(&shared, |model| matches!(model.under_way, UnderWay::Purge(_)));
            self.simulation.run_until(LIMIT, || during() || executor.is_finished());
            longest = 2_000;
        }
        self.simulation.run_for(Duration::from_micros(self.dice.below(longest)));
        // What a failed flush was to cover is gone for good, though it can be read until the power goes.
        let failed = self.disk.failures() > 0;
        if failed || self.dice.one_in(2) {
            self.note("the power goes");
            self.node.power_cut();
        } else {
            self.note("the process dies");
            self.node.crash();
        }
        match executor.join() {
            Ok(Ended::Failed(why)) => {
                self.note(&format!("it had failed: {why}"));
                assert!(failed, "nothing has failed on the disk, and: {why}");
            }
            Ok(Ended::Closed) => self.note("it had been closed"),
            Err(_) => {}
        }
        self.disk.heal();
    }

    /// A life to its end in order, on a healthy disk.
    fn last_life(&mut self) {
        self.note("the last life begins");
        let script = Script { turns: Some(0), ..self.script() };
        let shared = Arc::clone(&self.shared);
        let executor = self.node.start("last", move || live(script, shared));
        let ended = self.simulation.join(executor, LIMIT).expect("it ends by itself");
        assert!(matches!(ended, Ended::Closed), "on a healthy disk: {ended:?}");
        self.node.crash();
    }
}

fn history(seed: u64) -> u64 {
    let mut history = History::new(seed);
    for _ in 0..2 + history.dice.below(8) {
        history.life();
    }
    history.last_life();
    history.simulation.trace_hash()
}

#[test]
fn what_is_told_to_be_flushed_stays_and_what_is_cut_does_not() {
    run_seeds("raft log", FIXED, |seed| {
        history(seed);
    });
}

#[test]
fn the_same_seed_is_the_same_history() {
    assert_eq!(history(77), history(77));
    assert_ne!(history(77), history(78));
}
