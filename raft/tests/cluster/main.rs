//! Groups of three and five on machines of their own, each with a disk: histories of kills, power cuts, cuts of the network and
//! slow disks under load, and what must hold all the same.
//!
//! `SEED=s` runs one seed, `SEEDS=n` so many fresh ones: see [`runtime::sim::run_seeds`], and `cargo xtask sim`.
#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]
#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod board;
mod dice;
mod history;
mod invariants;
mod node;

use std::ops::Range;

use runtime::sim::run_seeds;

/// Run at every commit.
const SEEDS: Range<u64> = 0..8;

#[test]
fn what_a_group_has_acknowledged_is_in_all_members_and_in_one_order() {
    run_seeds("cluster", SEEDS, |seed| {
        history::run(seed);
    });
}

/// A leader was killed with an entry in flight that its followers had and its own disk had not; it went on as the leader of the
/// same term, and gave the index to another entry.
#[test]
fn a_leader_that_was_killed_leads_no_more_in_its_term() {
    history::run(13_301_186_563);
}

#[test]
fn the_same_seed_is_the_same_history() {
    assert_eq!(history::run(3), history::run(3));
    assert_ne!(history::run(4), history::run(5), "the seed decides");
}
