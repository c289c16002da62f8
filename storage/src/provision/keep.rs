//! How many files are kept for segments to come.

/// How many files are kept for segments to come. Whatever this says, a log that is due its next segment gets a file for it.
///
/// Where the device is told of freed blocks as they are freed (`discard`), every flush of the log waits behind
/// that. So, while messages come, files that are not kept are deleted in small steps with long rests, which
/// can take hours; but with anything less than [`Keep::Many`], as in idle times and while the disk is full, as fast as the
/// file system can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// As many as there may be ([`crate::Scale::spare_bytes`]): segments that are given up are used again.
    #[default]
    Many,
    /// One, for the next segment. What is ready beyond that is deleted.
    Next,
    /// As [`Keep::Next`], but where there is none the space is not taken before the log is due one: what is given up is
    /// deleted, and nothing is zeroed ahead.
    Due,
}

impl Keep {
    /// Whether a segment that was given up is used again, where `held` files are ready or being made.
    pub(super) fn recycles(self, held: usize) -> bool {
        match self {
            Self::Many => true,
            Self::Next => held == 0,
            Self::Due => false,
        }
    }

    /// Of `held` files that are ready or being made, so many are to go.
    pub(super) fn surplus(self, held: usize) -> usize {
        if self == Self::Many { 0 } else { held.saturating_sub(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_less_space_there_is_the_fewer_are_kept() {
        assert!(Keep::Many.recycles(7) && Keep::Next.recycles(0));
        assert!(!Keep::Next.recycles(1) && !Keep::Due.recycles(0));
        let surplus = |held| [Keep::Many, Keep::Next, Keep::Due].map(|keep| keep.surplus(held));
        assert_eq!((surplus(0), surplus(1), surplus(3)), ([0, 0, 0], [0, 0, 0], [0, 2, 2]));
    }
}
