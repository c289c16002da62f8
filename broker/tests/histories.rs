//! Random histories of a broker with one node: clients on another node send, pull and commit over the simulated
//! network, while the broker's process dies, its power goes and its disk fails. Checked against what was answered.
//!
//! `SEED=s` runs one seed, `SEEDS=n` so many fresh ones: see [`runtime::sim::run_seeds`], and `cargo xtask sim`.

mod support;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use runtime::sim::{Disk, DiskOp, Node, Simulation, When, run_seeds};
use support::answers::{Shared, check_all, client, with};
use support::{IP, LIMIT, Place, Running, config, simulated};

const FIXED: std::ops::Range<u64> = 0..3;
const CLIENTS: u64 = 4;

/// A broker's process.
async fn serve(shared: Shared, place: Place, flush: &'static str) {
    let settings = [("flushDiskType", flush)];
    match Running::try_start_alone(&config(&place, &settings), &place).await {
        Ok(running) => {
            with(&shared, |answers| answers.diary.push("it serves".to_owned()));
            runtime::sleep(Duration::from_secs(1 << 20)).await;
            running.stop().await;
        }
        Err(error) => with(&shared, |answers| answers.diary.push(error.to_string())),
    }
}

/// What a history's disk does wrong.
fn plan(dice: &mut Dice, disk: &Disk, flush: &str) {
    match dice.below(7) {
        0 => disk.fail(DiskOp::Write, When::Nth(1 + dice.below(100))),
        1 => disk.fail(DiskOp::Read, When::OneIn(10 + dice.below(100))),
        2 => disk.slow(1 + u32::try_from(dice.below(50)).expect("small")),
        3 => disk.stall(Duration::from_millis(dice.below(4_000))),
        4 if flush == "SYNC_FLUSH" => disk.fail(DiskOp::Flush, When::Nth(1 + dice.below(100))),
        5 => disk.resize(disk.used() + dice.below(1 << 20)),
        _ => {}
    }
}

/// Random numbers of the history itself (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

fn history(seed: u64) -> u64 {
    let simulation = Simulation::new(seed);
    let mut dice = Dice(seed);
    let node = simulation.node("broker", IP);
    let shared = Shared::default();
    let place = simulated();
    let clients = simulation.node("clients", Ipv4Addr::new(10, 0, 0, 2));
    for number in 0..CLIENTS {
        let (mine, addr) = (Arc::clone(&shared), place.addr());
        drop(clients.start("client", move || client(mine, number, addr)));
    }
    let (kills_only, troubled) = (dice.below(3) == 0, dice.below(2) == 0);
    // What is acknowledged without a flush survives only the process.
    let flush = if kills_only && dice.below(2) == 0 { "ASYNC_FLUSH" } else { "SYNC_FLUSH" };
    for _ in 0..2 + dice.below(5) {
        live(&simulation, &node, &shared, &mut dice, troubled, flush);
        let dies = kills_only || dice.below(2) == 0;
        let end = if dies { "dies" } else { "is without power" };
        with(&shared, |answers| answers.diary.push(end.to_owned()));
        if dies {
            node.crash()
        } else {
            node.power_cut()
        }
        if dice.below(2) == 0 {
            node.disk().heal();
        }
    }
    node.disk().heal();
    live(&simulation, &node, &shared, &mut dice, false, flush);
    clients.crash();
    let (mine, addr) = (Arc::clone(&shared), place.addr());
    let checked = clients.start("check", move || check_all(mine, addr));
    let unanswered = simulation.join(checked, LIMIT).expect("the check ends");
    assert_eq!(unanswered, 0, "all questions are answered");
    simulation.trace_hash()
}

/// The broker runs until some more is acknowledged, or it is clear that nothing will be.
fn live(
    simulation: &Simulation,
    node: &Node,
    shared: &Shared,
    dice: &mut Dice,
    troubled: bool,
    flush: &'static str,
) {
    let place = simulated();
    let mine = Arc::clone(shared);
    let note = |what: String| with(shared, |answers| answers.diary.push(what));
    note(format!("{:?}: it starts, {flush}, troubled: {troubled}", simulation.now()));
    drop(node.start("broker", move || serve(mine, place, flush)));
    if troubled {
        plan(dice, &node.disk(), flush);
    }
    let more = with(shared, |answers| answers.acknowledged) + 5;
    let limit = if troubled { Duration::from_secs(10) } else { LIMIT };
    let works = simulation.run_until(limit, || with(shared, |answers| answers.acknowledged) > more);
    let diary = with(shared, |answers| answers.diary.join("\n"));
    assert!(works || troubled, "a broker on a healthy disk takes no messages:\n{diary}");
    if troubled {
        plan(dice, &node.disk(), flush);
    }
    simulation.run_for(Duration::from_micros(dice.below(300_000)));
}

#[test]
fn whatever_happens_what_was_answered_stays_true() {
    run_seeds("broker", FIXED, |seed| {
        history(seed);
    });
}

#[test]
fn the_same_seed_is_the_same_history() {
    assert_eq!(history(50), history(50));
    assert_ne!(history(50), history(51));
}
