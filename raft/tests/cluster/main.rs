//! Groups of three and five on machines of their own, each with a disk: histories of kills, power cuts, stops, cuts and losses
//! of the network, bad disks, trims and members that come and go, under load; and what must hold all the same.
//!
//! `SEED=s` runs one seed, `SEEDS=n` so many fresh ones: see [`runtime::sim::run_seeds`], and `cargo xtask sim`.
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

use runtime::sim::run_seeds;

/// Run at every commit.
const SEEDS: Range<u64> = 0..8;

#[test]
fn what_a_group_has_acknowledged_is_in_all_members_and_in_one_order() {
    run_seeds("cluster", SEEDS, |seed| {
        let outcome = history::run(seed);
        if std::env::var_os("TELL").is_some() {
            println!("seed {seed}: {outcome:?}");
        }
    });
}

#[test]
fn the_same_seed_is_the_same_history() {
    assert_eq!(history::run(3).trace, history::run(3).trace);
    assert_ne!(history::run(4).trace, history::run(5).trace, "the seed decides");
}
