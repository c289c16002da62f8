//! Random histories of one store in the simulator, each checked against a model of what it was told.
//!
//! A seed decides everything: the theme, what is appended, when the process dies or the power goes, what the
//! disk does wrong. After every start all that the store shows is compared with the model; see `invariants`.
//!
//! `SEED=s` runs one seed, `SEEDS=n` so many fresh ones: see [`runtime::sim::run_seeds`], and `cargo xtask sim`.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod invariants;
mod life;
mod model;
mod observe;
mod rot;
#[path = "../support/mod.rs"]
mod support;
mod tiles;
mod trouble;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use runtime::sim::{Disk, DiskOp, Node, Simulation, When, run_seeds};
use storage::{Flush, FlushMethod, Options, Scale};

use crate::invariants::Loss;
use crate::life::{Ended, Script, Shared, live, with};
use crate::trouble::{Dice, Theme};

const FIXED: std::ops::Range<u64> = 0..6;
/// A bound on the virtual time of a life that ends by itself: disks stand still for seconds.
const LIMIT: Duration = Duration::from_secs(3_600);

/// One store, over all its lives.
pub struct History {
    simulation: Simulation,
    node: Node,
    disk: Disk,
    dice: Dice,
    theme: Theme,
    /// The same in all lives: how far a start looks depends on it.
    scale: Scale,
    /// All its lives append whole blocks, which are flushed now and then.
    tiles: bool,
    /// Its lives flush rarely and trim often, and the power goes right behind a trim.
    cut_behind_trims: bool,
    /// Its lives flush now and then on a slow disk, and a flush fails when a segment is almost full.
    fails_at_rolls: bool,
    shared: Shared,
    /// Since the store was last found right, an owner was told of what is not flushed.
    unflushed: bool,
    loss: Loss,
    /// How often it had been found right when this life began, and whether it flushes now and then only.
    under_way: Option<(u64, bool)>,
    /// The disk says that it has flushed, and has not: for the test of the tests.
    lies: bool,
    /// What has happened, for the one who reads of a failure.
    diary: Vec<String>,
}

impl Drop for History {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{:?}:\n  {}", self.theme, self.diary.join("\n  "));
        }
    }
}

impl History {
    fn new(seed: u64) -> History {
        let simulation = Simulation::new(seed);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        let mut dice = Dice::new(seed);
        let theme = Theme::draw(&mut dice);
        let (disk, shared) = (node.disk(), Shared::default());
        // Two files are kept ready, so that others are deleted; at the usual scale it is eight of this size.
        let (interval, furthest) = (300_000, 3_000_000);
        let small = Scale { interval, furthest, delete_step: 500_000, spare_bytes: 0 };
        let scale = dice.pick(&[small, small, Scale::default()]);
        // Drawn apart: what the other seeds do stays as it was.
        let tiles = theme.has_power_cuts() && Dice::new(seed.rotate_left(32)).one_in(6);
        let behind_trims = Dice::new(seed.rotate_left(16)).one_in(5);
        let cut_behind_trims = theme.has_power_cuts() && !tiles && behind_trims;
        let at_rolls = Dice::new(seed.rotate_left(48)).one_in(2);
        let fails_at_rolls = theme.has_failures() && !tiles && !cut_behind_trims && at_rolls;
        History {
            simulation,
            node,
            disk,
            dice,
            theme,
            scale,
            tiles,
            cut_behind_trims,
            fails_at_rolls,
            shared,
            unflushed: false,
            loss: Loss::Nothing,
            under_way: None,
            lies: false,
            diary: Vec::new(),
        }
    }

    fn note(&mut self, what: String) {
        let failures = self.disk.failures();
        self.diary.push(format!("{:?}, {failures} failures: {what}", self.simulation.now()));
    }

    fn script(&mut self) -> Script {
        let mut options: Options = support::options(Path::new("/store"));
        if self.dice.one_in(3) {
            let interval = Duration::from_millis(self.dice.pick(&[5, 5, 300]));
            options.flush = Flush::Async { interval };
        }
        if self.tiles {
            options.flush = Flush::Async { interval: Duration::from_millis(300) };
        }
        options.method = self.dice.pick(&[FlushMethod::Fdatasync, FlushMethod::Dsync]);
        options.tail_budget = self.dice.pick(&[8 * 1024, 64 * 1024, 1024 * 1024]);
        let large_one_in = self.dice.pick(&[1, 1, 20, 1_000_000]);
        options.scale = self.scale;
        let trim_one_in = self.dice.pick(&[20, 200, u64::MAX]);
        let (loss, faulty) = (self.loss, self.theme.has_failures());
        let tiles = self.tiles;
        let mut script =
            Script { options, loss, large_one_in, faulty, trim_one_in, tiles, turns: None };
        if self.cut_behind_trims {
            script.options.flush = Flush::Async { interval: Duration::from_millis(300) };
            (script.large_one_in, script.trim_one_in) = (1, 20);
        }
        if self.fails_at_rolls {
            script.options.flush = Flush::Async { interval: Duration::from_millis(1) };
            script.large_one_in = 1;
        }
        script
    }

    /// A life that is ended from outside, or ends because the disk fails.
    fn troubled_life(&mut self) {
        let mut script = self.script();
        if self.dice.one_in(6) {
            script.turns = Some(self.dice.below(100));
        }
        let failures = self.disk.failures();
        let executor = self.begin(script);
        if self.dice.one_in(2) {
            self.theme.plan(&mut self.dice, &self.disk);
        }
        let parts = self.dice.below(4);
        for _ in 0..=parts {
            let long = self.dice.micros(1_000, 200_000);
            let time = if self.dice.one_in(3) { self.dice.micros(0, 14_000) } else { long };
            self.simulation.run_for(time);
            self.theme.plan(&mut self.dice, &self.disk);
        }
        if self.cut_behind_trims {
            self.wait_for_trim(&executor);
        }
        if self.fails_at_rolls && self.dice.one_in(2) {
            self.fail_at_roll(&executor);
        }
        if with(&self.shared, |model| model.stopping) && self.dice.one_in(2) {
            self.note("the stop is heard out".to_owned());
            let ended = self.simulation.run_until(2 * life::STOP, || executor.is_finished());
            assert!(ended, "a stop does not end");
        }
        self.end();
        if let Ok(ended) = executor.join() {
            self.note(format!("it had ended before: {ended:?}"));
            let failed = self.disk.failures() > failures || self.theme.has_failures();
            let stopped = matches!(ended, Ended::Stopped);
            assert!(stopped || failed, "{:?}: nothing has failed, and {ended:?}", self.theme);
        }
        if self.dice.one_in(2) {
            self.disk.heal();
        }
    }

    /// Lets the life go on until a trim is committed, and a little longer: what it gave up may be used again by then, and
    /// the trim not be durable yet.
    fn wait_for_trim(&mut self, executor: &runtime::Executor<Ended>) {
        let shared = Arc::clone(&self.shared);
        let before = with(&shared, |model| model.trimmed);
        let is_trimmed = || with(&shared, |model| model.trimmed > before);
        let limit = Duration::from_secs(2);
        let ended = self.simulation.run_until(limit, || is_trimmed() || executor.is_finished());
        self.simulation.run_for(self.dice.micros(0, 20_000));
        self.note(format!("a trim was waited for: {}", ended && is_trimmed()));
    }

    /// Lets the life go on until a segment is almost full, and one of the next flushes fail while others are under way.
    fn fail_at_roll(&mut self, executor: &runtime::Executor<Ended>) {
        self.disk.heal();
        self.disk.slow(self.dice.pick(&[10, 50]));
        let size = support::options(Path::new("/store")).segment_size;
        let shared = Arc::clone(&self.shared);
        let left = || with(&shared, |model| size - model.end().0 % size);
        let before = left();
        let is_almost_full = || left() < 700_000 && left() != before;
        let limit = Duration::from_secs(3);
        let ended = self.simulation.run_until(limit, || is_almost_full() || executor.is_finished());
        self.disk.fail(DiskOp::Flush, When::Nth(1 + self.dice.below(8)));
        self.simulation.run_for(self.dice.micros(10_000, 500_000));
        self.note(format!("a segment was almost full: {}", ended && !executor.is_finished()));
    }

    fn begin(&mut self, script: Script) -> runtime::Executor<Ended> {
        self.disk.lie(self.lies);
        with(&self.shared, |model| model.stopping = false);
        let before = with(&self.shared, |model| model.recovered);
        self.under_way = Some((before, script.options.flush != Flush::Sync));
        self.note(format!(
            "a life begins, {:?} by {:?}, may lose {:?}",
            script.options.flush, script.options.method, script.loss
        ));
        let mine = Arc::clone(&self.shared);
        let executor = self.node.start("store", move || live(script, mine));
        // Most lives come to work.
        if self.dice.below(4) > 0 {
            let shared = Arc::clone(&self.shared);
            let is_right = || with(&shared, |model| model.recovered > before);
            let limit = Duration::from_secs(20);
            self.simulation.run_until(limit, || is_right() || executor.is_finished());
        }
        executor
    }

    /// The process dies, and perhaps the power goes.
    fn end(&mut self) {
        if let Some((before, is_async)) = self.under_way.take()
            && with(&self.shared, |model| model.recovered) > before
        {
            // A store that is found right has flushed all that it found.
            (self.unflushed, self.loss) = (is_async, Loss::Nothing);
        }
        if self.theme.has_power_cuts() && (self.dice.one_in(2) || self.cut_behind_trims) {
            let unsynced = self.node.unsynced_bytes();
            self.note(format!("the power goes, {unsynced} bytes are not synced"));
            self.node.power_cut();
            if self.unflushed {
                let durable = with(&self.shared, |model| model.durable);
                self.loss = Loss::Beyond(durable);
            }
        } else {
            self.note("the process dies".to_owned());
            self.node.crash();
        }
    }

    /// A life on a healthy disk, to its end in order.
    fn healthy_life(&mut self, turns: u64) {
        self.disk.heal();
        self.note("a life on a healthy disk begins".to_owned());
        let script = Script { turns: Some(turns), faulty: false, ..self.script() };
        let shared = Arc::clone(&self.shared);
        let executor = self.node.start("healthy", move || live(script, shared));
        let ended = self.simulation.join(executor, LIMIT).expect("it ends by itself");
        assert!(matches!(ended, Ended::Stopped), "on a healthy disk: {ended:?}");
        self.node.crash();
        (self.unflushed, self.loss) = (false, Loss::Nothing);
    }
}

fn history(seed: u64) -> u64 {
    run(History::new(seed))
}

fn run(mut history: History) -> u64 {
    for _ in 0..=history.dice.below(6) {
        history.troubled_life();
    }
    history.end();
    // What is appended is random: most of it needs a topic, and there may be none yet.
    let committed = |history: &History| with(&history.shared, |model| model.entries.len());
    for _ in 0..20 {
        history.healthy_life(50);
        if committed(&history) > 5 {
            break;
        }
    }
    history.healthy_life(0);
    if history.theme == Theme::Rot {
        rot::histories(&mut history);
    }
    assert!(committed(&history) > 5, "a history in which nothing was committed shows nothing");
    history.simulation.trace_hash()
}

#[test]
fn whatever_happens_nothing_acknowledged_is_lost_and_nothing_wrong_is_served() {
    run_seeds("storage", FIXED, |seed| {
        history(seed);
    });
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 100..102 {
        assert_eq!(history(seed), history(seed), "seed {seed}");
    }
    assert_ne!(history(100), history(101));
}

#[test]
fn logs_are_trimmed_in_histories() {
    let found = (0..20).find(|seed| {
        let history = History::new(*seed);
        let shared = Arc::clone(&history.shared);
        run(history);
        with(&shared, |model| model.trimmed.0 > 0)
    });
    println!("a log is trimmed with seed {}", found.expect("none is"));
}

/// A check that cannot fail is no check: no store can keep its word on a disk that does not.
#[test]
fn a_disk_that_lies_is_found() {
    let found = (0..40).find(|seed| {
        let mut history = History::new(*seed);
        history.lies = true;
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(history))).is_err()
    });
    println!("a disk that lies is found with seed {}", found.expect("it is not found"));
}

/// The file of the segment that holds `physical`.
fn segment_of(physical: u64) -> (PathBuf, u64) {
    let size = support::options(Path::new("/store")).segment_size;
    let base = physical / size * size;
    (PathBuf::from(format!("/store/log/{base:020}")), physical - base)
}
