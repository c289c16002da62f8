//! Which seed finds a bug. One that fails without it, too, says nothing of the bug.

use std::ops::Range;

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The last of so many seeds fails with the bug, and passes without it.
    After(u64),
    /// All pass.
    Never,
    /// This seed fails either way: the tree is broken, or the machine.
    WithoutIt(u64),
}

/// Runs seeds until one fails; that one again without the bug.
pub(super) fn search(
    seeds: Range<u64>,
    mut fails_with: impl FnMut(u64) -> Result<bool, String>,
    mut fails_without: impl FnMut(u64) -> Result<bool, String>,
) -> Result<Found, String> {
    for (count, seed) in (1..).zip(seeds) {
        if fails_with(seed)? {
            return Ok(match fails_without(seed)? {
                true => Found::WithoutIt(seed),
                false => Found::After(count),
            });
        }
    }
    Ok(Found::Never)
}

#[cfg(test)]
mod tests {
    use super::{Found, search};

    #[test]
    fn a_seed_finds_a_bug_that_passes_without_it() {
        let found = search(10..20, |seed| Ok(seed == 12), |_| Ok(false));
        assert_eq!(found, Ok(Found::After(3)));
        let found = search(10..20, |_| Ok(false), |_| Ok(false));
        assert_eq!(found, Ok(Found::Never));
    }

    #[test]
    fn a_seed_that_fails_in_any_case_finds_nothing() {
        let found = search(10..20, |_| Ok(true), |_| Ok(true));
        assert_eq!(found, Ok(Found::WithoutIt(10)));
    }

    #[test]
    fn only_a_seed_that_fails_is_run_again() {
        let mut again = Vec::new();
        let note = |seed| {
            again.push(seed);
            Ok(false)
        };
        assert_eq!(search(0..9, |seed| Ok(seed > 4), note), Ok(Found::After(6)));
        assert_eq!(again, [5]);
        let broken = search(0..9, |_| Err("it does not run".to_owned()), |_| Ok(false));
        assert_eq!(broken, Err("it does not run".to_owned()));
    }
}
