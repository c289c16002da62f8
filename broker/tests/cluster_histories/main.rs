//! Random histories of whole clusters in one process: NameServers, three or five nodes with a broker of one to three shards each, and clients
//! that find leaders as stock ones do, by routes. Nodes are killed, lose their power, stand still, are cut off and have bad disks and
//! wrong clocks; then all is well again, and everything must go on by itself.
//!
//! `SEED=s` runs one seed, `SEEDS=n` so many fresh ones: see [`runtime::sim::run_seeds`], and `cargo xtask sim`. With `TELL` each says
//! what happens.
#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]
#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod clients;
mod content;
mod dice;
mod faults;
mod history;
mod invariants;
mod liveness;
mod machine;
mod names;
mod network;
mod outcome;
mod plan;
mod rot;
mod spectator;
#[path = "../support/mod.rs"]
mod support;
mod witness;

use std::ops::Range;
use std::sync::Mutex;

use outcome::Outcome;
use runtime::sim::run_seeds;

/// Run at every commit.
const SEEDS: Range<u64> = 0..4;

/// What the histories of the fixed seeds came to.
static MET: Mutex<Vec<Outcome>> = Mutex::new(Vec::new());

#[test]
fn whatever_happens_to_a_cluster_its_clients_lose_nothing_and_it_goes_on() {
    run_seeds("clusters", SEEDS, |seed| {
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
    // A short one, most of which is a power cut, comes to some tens.
    assert_eq!(count(|one| one.acknowledged > 20), met.len(), "they are at work: {met:?}");
    assert!(2 * count(|one| one.acknowledged > 500) >= met.len(), "and mostly a lot: {met:?}");
    assert_eq!(count(|one| one.consumed > 20), met.len(), "consumers are: {met:?}");
    assert_eq!(count(|one| one.looks > 20), met.len(), "NameServers are looked at: {met:?}");
    assert!(2 * count(|one| one.terms > one.groups) >= met.len(), "leaders change: {met:?}");
    assert!(count(|one| one.groups > 1) > 0, "there are several shards: {met:?}");
    assert!(count(|one| one.settings > 5) > 0, "settings change: {met:?}");
    assert!(count(|one| one.locks > 20) > 0, "queues are locked: {met:?}");
    assert_eq!(count(|one| one.compared > 20), met.len(), "members are compared: {met:?}");
    assert_eq!(count(|one| one.busy > 0), met.len(), "too much is sent at a time: {met:?}");
    // One that is full, one that is written, and one that is ready.
    let many = |one: &Outcome| one.segments > 2 * one.groups;
    assert!(2 * count(many) >= met.len(), "logs have several segments: {met:?}");
}

#[test]
fn the_same_seed_is_the_same_history() {
    assert_eq!(history::run(50), history::run(50));
    assert_ne!(history::run(50).trace, history::run(51).trace, "the seed decides");
}
