//! Which seed finds a bug. One that fails without it, too, says nothing of the bug.

use std::ops::Range;

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The last of so many seeds fails with the bug, there, and passes without it.
    After(u64, String),
    /// All pass.
    Never,
    /// This seed fails either way: the tree is broken, or the machine.
    WithoutIt(u64),
}

/// Where a seed fails, if it does.
type Failure = Option<String>;

/// Runs seeds until one fails; that one again without the bug.
pub(super) fn search(
    seeds: Range<u64>,
    mut fails_with: impl FnMut(u64) -> Result<Failure, String>,
    mut fails_without: impl FnMut(u64) -> Result<Failure, String>,
) -> Result<Found, String> {
    for (count, seed) in (1..).zip(seeds) {
        if let Some(place) = fails_with(seed)? {
            return Ok(match fails_without(seed)? {
                Some(_) => Found::WithoutIt(seed),
                None => Found::After(count, place),
            });
        }
    }
    Ok(Found::Never)
}

/// Where a program has failed, and what it says there, as far as one line goes: which check it was that has found the bug.
pub(super) fn place(said: &str) -> String {
    const MOST: usize = 160;
    const SEEDS: &str = "runtime/src/sim/seeds.rs"; // it says which seed failed, and not why
    let mut lines = said.lines();
    while let Some(line) = lines.next() {
        let Some((_, place)) = line.split_once("panicked at ") else { continue };
        if !place.contains(SEEDS) {
            let why = lines.next().unwrap_or_default();
            return format!("{place} {why}").chars().take(MOST).collect();
        }
    }
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    last.unwrap_or("it says nothing").chars().take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::{Failure, Found, place, search};

    fn fails(does: bool) -> Result<Failure, String> {
        Ok(does.then(|| "here".to_owned()))
    }

    #[test]
    fn a_seed_finds_a_bug_that_passes_without_it() {
        let found = search(10..20, |seed| fails(seed == 12), |_| fails(false));
        assert_eq!(found, Ok(Found::After(3, "here".to_owned())));
        let found = search(10..20, |_| fails(false), |_| fails(false));
        assert_eq!(found, Ok(Found::Never));
    }

    #[test]
    fn the_place_is_that_of_the_check_and_not_of_the_seed() {
        let said = "running\nthread 'a' panicked at raft/tests/a.rs:7:9:\ntwo lead\nthread 'b' panicked at \
                    runtime/src/sim/seeds.rs:61:9:\nseed 7 fails\n";
        assert_eq!(place(said), "raft/tests/a.rs:7:9: two lead");
        assert_eq!(place("first\nlast\n\n"), "last");
    }

    #[test]
    fn a_seed_that_fails_in_any_case_finds_nothing() {
        let found = search(10..20, |_| fails(true), |_| fails(true));
        assert_eq!(found, Ok(Found::WithoutIt(10)));
    }

    #[test]
    fn only_a_seed_that_fails_is_run_again() {
        let mut again = Vec::new();
        let note = |seed| {
            again.push(seed);
            fails(false)
        };
        let found = search(0..9, |seed| fails(seed > 4), note);
        assert_eq!(found, Ok(Found::After(6, "here".to_owned())));
        assert_eq!(again, [5]);
        let broken = search(0..9, |_| Err("it does not run".to_owned()), |_| fails(false));
        assert_eq!(broken, Err("it does not run".to_owned()));
    }
}
