//! Runs histories under many seeds: fixed ones, and fresh ones for as long as asked.

use std::ops::Range;
use std::panic::{RefUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::{Duration, Instant};

/// Fresh seeds when nothing else is asked for.
const FRESH: u64 = 2;

/// Runs `history` under the seeds that the environment asks for, and says how many and how fast:
///
/// - `SEED=s`: that one alone;
/// - `SEEDS=n`: so many fresh ones, from `SEEDS_FROM` or from wherever the clock and the process id lead;
/// - `SEEDS_MINUTES=m`: fresh ones for so long, at least `SEEDS` of them.
///
/// The fixed ones run first, unless `SEEDS_FROM` is given.
///
/// # Panics
/// At the first history that panics; the message has the seed, the commit, and how to run it again.
pub fn run_seeds(what: &str, fixed: Range<u64>, history: impl Fn(u64) + RefUnwindSafe) {
    let started = Instant::now();
    if let Some(seed) = number("SEED") {
        run(what, seed, 1, &history);
        return;
    }
    let minutes = number("SEEDS_MINUTES");
    let least = number("SEEDS").unwrap_or(if minutes.is_some() { 0 } else { FRESH });
    let from = number("SEEDS_FROM");
    let fixed = if from.is_some() { 0..0 } else { fixed };
    let mut ran = 0;
    for seed in fixed.clone() {
        ran += 1;
        run(what, seed, ran, &history);
    }
    let end = started + Duration::from_secs(60 * minutes.unwrap_or(0));
    let from = from.unwrap_or_else(fresh_from);
    let mut fresh = 0;
    while fresh < least || Instant::now() < end {
        ran += 1;
        run(what, from + fresh, ran, &history);
        fresh += 1;
    }
    let rate = ran as f64 / started.elapsed().as_secs_f64();
    println!(
        "{what}: {ran} seeds passed, {rate:.1}/s: fixed {fixed:?}, fresh {from}..{}, commit {}",
        from + fresh,
        commit()
    );
}

fn run(what: &str, seed: u64, nth: u64, history: &(impl Fn(u64) + RefUnwindSafe)) {
    if catch_unwind(|| history(seed)).is_err() {
        panic!(
            "{what}: seed {seed} fails at commit {}, the {nth}th seed of this run; again: SEED={seed}",
            commit()
        );
    }
}

/// Where fresh seeds begin: in a container that is new each time the process id alone is the same each time.
fn fresh_from() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = now.map_or(0, |now| now.as_secs());
    (seconds << 24) + (u64::from(std::process::id() % 256) << 16)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// The commit that is checked out, if git can tell.
fn commit() -> String {
    let told = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let told = told.ok().filter(|output| output.status.success());
    let text = told.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|| "unknown".to_owned())
}
