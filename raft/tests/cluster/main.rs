//! Groups of three and five on machines of their own, each with a disk: histories of kills, power cuts, stops, cuts and losses
//! of the network, bad disks, trims and members that come and go, under load; and what must hold all the same.
//!
//! `SEED=s` runs one seed, `SEEDS=n` so many fresh ones: see [`runtime::sim::run_seeds`], and `cargo xtask sim`. With `TELL`
//! each says what it came to.
#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]
#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod board;
mod changes;
mod content;
mod dice;
mod door;
mod faults;
mod history;
mod inspect;
mod invariants;
mod machine;
mod network;
mod node;
mod operator;
mod outcome;
mod owner;
mod reader;
mod report;
mod settings;
mod witness;

use std::ops::Range;
use std::sync::Mutex;

use runtime::sim::run_seeds;

use outcome::Outcome;

/// Run at every commit.
const SEEDS: Range<u64> = 9..17;

/// What the histories of the fixed seeds came to.
static MET: Mutex<Vec<Outcome>> = Mutex::new(Vec::new());

#[test]
fn what_a_group_has_acknowledged_is_in_all_members_and_in_one_order() {
    run_seeds("cluster", SEEDS, |seed| {
        let outcome = history::run(seed);
        if std::env::var_os("TELL").is_some() {
            println!("seed {seed}: {outcome:?}");
        }
        if SEEDS.contains(&seed) {
            MET.lock().unwrap().push(outcome);
        }
    });
    let met = MET.lock().unwrap();
    if met.len() == SEEDS.count() {
        assert_they_meet_what_they_are_about(&met);
    }
}

/// A history in which nothing happens finds nothing.
fn assert_they_meet_what_they_are_about(met: &[Outcome]) {
    let count = |which: fn(&Outcome) -> bool| met.iter().filter(|one| which(one)).count();
    assert!(3 * count(|one| one.snapshots > 0) >= met.len(), "snapshots: {met:?}");
    assert!(8 * count(|one| one.replaced > 0) >= met.len(), "members come and go: {met:?}");
    assert!(2 * count(|one| one.terms > 2) >= met.len(), "leaders change: {met:?}");
    assert!(2 * count(|one| one.acknowledged > 100) >= met.len(), "they are at work: {met:?}");
    assert!(2 * count(|one| one.entries > 50 && one.served > 50) >= met.len(), "{met:?}");
}

#[test]
fn the_same_seed_is_the_same_history() {
    assert_eq!(history::run(3).trace, history::run(3).trace);
    assert_ne!(history::run(4).trace, history::run(5).trace, "the seed decides");
}
