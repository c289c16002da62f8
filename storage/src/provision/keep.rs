//! How many files are kept for segments to come.

/// How many files are kept for segments to come. Whatever this says, a log that is due its next segment gets a file for it.
///
/// Where the device is told of freed blocks as they are freed (`discard`), every flush of the log waits behind
/// that. So, while messages come, files that are not kept are deleted in small steps with long rests, which
/// can take hours; but with anything less than [`Keep::Many`], as in idle times and while the disk is full, as fast as the
/// file system can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// As many as there may be ([`crate::Scale::spare_bytes`]).
    #[default]
    Many,
    /// As many, but of segments that are given up: early in a segment nothing is zeroed for the next one. A log
    /// whose beginning goes as its end grows takes no more space then, and has nothing to delete.
    Recycled,
    /// As [`Keep::Recycled`], but only one: what is ready beyond that is deleted, before anything that is given up is.
    Next,
}

/// Whether a log of which `full` bytes are in a segment of `size` should have a file for the next one soon, where space is
/// short: a segment that goes may become it from here on.
pub(super) fn needs_next(full: u64, size: u64) -> bool {
    full == 0 || full >= size / 4
}

impl Keep {
    /// Whether a segment that was given up is used again, where `held` files are ready or being made, and `full` bytes are of a
    /// segment of `size`.
    pub(super) fn recycles(self, held: usize, full: u64, size: u64) -> bool {
        self != Self::Next || (held == 0 && needs_next(full, size))
    }

    /// Of `held` files that are ready or being made, so many are to go.
    pub(super) fn surplus(self, held: usize) -> usize {
        if self == Self::Next { held.saturating_sub(1) } else { 0 }
    }

    /// Whether a file is zeroed for the next segment, where `full` bytes are of one of `size`.
    pub(super) fn zeroes(self, full: u64, size: u64) -> bool {
        // Later than one that is given up is used, and with time for it until one is due.
        self == Self::Many || full == 0 || full >= size / 8 * 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_less_space_there_is_the_fewer_are_kept() {
        for keep in [Keep::Many, Keep::Recycled] {
            assert!(keep.recycles(7, 1, 8) && keep.surplus(7) == 0);
        }
        assert!(Keep::Next.recycles(0, 2, 8) && Keep::Next.recycles(0, 0, 8));
        assert!(!Keep::Next.recycles(1, 2, 8) && !Keep::Next.recycles(0, 1, 8));
        assert_eq!([0, 1, 3].map(|held| Keep::Next.surplus(held)), [0, 0, 2]);
        assert!(Keep::Many.zeroes(1, 8) && Keep::Recycled.zeroes(3, 8) && Keep::Next.zeroes(0, 8));
        assert!(!Keep::Recycled.zeroes(2, 8) && !Keep::Next.zeroes(2, 8));
    }
}
