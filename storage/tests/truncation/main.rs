//! Random histories of a log whose entries are appended, then committed or cut, in the simulator.
//!
//! A seed decides everything: what is appended in which term, where the log is cut, what is appended there instead (often
//! the very same entries), when the process dies or the power goes. After every start the log must be
//! what the model says: all of what was durable and not cut, in order, and nothing that was cut.
//!
//! `SEED=s` runs one seed, `SEEDS=n` so many fresh ones: see [`runtime::sim::run_seeds`], and `cargo xtask sim`.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod life;
mod model;
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code, reason = "it has more kinds of trouble than are made here")]
#[path = "../histories/trouble.rs"]
mod trouble;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use runtime::sim::{Disk, DiskOp, Node, Simulation, When, run_seeds};
use storage::{Flush, FlushMethod, Options};

use crate::life::{Ended, Script, Shared, live, with};
use crate::trouble::Dice;

const FIXED: std::ops::Range<u64> = 0..12;
/// A bound on the virtual time of a life that ends by itself.
const LIMIT: Duration = Duration::from_secs(600);

/// How long a life goes on for what is rare.
const A_WHILE: Duration = Duration::from_secs(1);

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
        let (mut dice, disk) = (Dice::new(seed), node.disk());
        let fails = dice.one_in(4);
        let (shared, diary) = (Shared::default(), Vec::new());
        History { simulation, node, disk, dice, shared, fails, diary }
    }

    fn note(&mut self, what: &str) {
        self.diary.push(format!("{:?}: {what}", self.simulation.now()));
    }

    fn script(&mut self) -> Script {
        let mut options: Options = support::options(Path::new("/log"));
        if self.dice.one_in(3) {
            options.flush = Flush::Async { interval: Duration::from_secs(1) };
        }
        options.method = self.dice.pick(&[FlushMethod::Fdatasync, FlushMethod::Dsync]);
        options.max_batch = self.dice.pick(&[1, 20_000, 1024 * 1024]);
        let large_one_in = self.dice.pick(&[1, 4, 1_000_000]);
        Script { options, large_one_in, turns: None }
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
        let time = match self.dice.below(3) {
            0 => self.dice.micros(0, 5_000),
            1 => self.dice.micros(0, 50_000),
            _ => self.dice.micros(0, 400_000),
        };
        self.simulation.run_for(time);
        if self.dice.one_in(3) {
            // Half a header of this append may come to the disk, before the other half of an older one.
            let shared = Arc::clone(&self.shared);
            let is_split = || with(&shared, |model| model.is_split_again);
            self.simulation.run_until(A_WHILE, || is_split() || executor.is_finished());
            self.simulation.run_for(self.dice.micros(0, 300));
        }
        // What a failed flush was to cover is gone for good, though it can be read until the power goes.
        let failed = self.disk.failures() > 0;
        if failed || self.dice.one_in(2) {
            self.note("the power goes");
            self.node.power_cut();
            with(&self.shared, |model| model.power_cut = true);
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
fn what_is_cut_never_comes_back_and_nothing_else_is_lost() {
    run_seeds("truncation", FIXED, |seed| {
        history(seed);
    });
}

#[test]
fn the_same_seed_is_the_same_history() {
    assert_eq!(history(77), history(77));
    assert_ne!(history(77), history(78));
}
