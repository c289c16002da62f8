//! When an executor writes and flushes by itself, rather than have a thread of the kernel do it.
//!
//! A flush through the ring is made by a worker thread of the kernel: two switches of tasks, on a core that has nothing
//! else to do. On a device that flushes in some ten microseconds that is a good part of the whole, and nobody gains by
//! it who has only one thing to do. So an executor without other work makes a small write and its flush with
//! blocking calls, as long as its device is that fast.

use std::cell::Cell;
use std::time::Duration;

/// A write that is larger goes through the ring: there is company, and the CPU has work meanwhile.
const LEN_MAX: usize = 8 * 1024;

/// For so long an executor may be away: what comes in meanwhile waits for it.
const AWAY_MAX: Duration = Duration::from_micros(250);

/// So many durable writes in a row must have been that fast.
const FAST_MIN: u32 = 16;

/// How fast the device was lately, as this executor saw it.
#[derive(Debug, Default)]
pub(super) struct AtOnce {
    /// Small durable writes in a row that took [`AWAY_MAX`] at most, counted up to [`FAST_MIN`].
    fast: Cell<u32>,
}

impl AtOnce {
    /// Whether the executor should make the next durable write of `len` bytes itself, given that it has no other work.
    pub(super) fn pays(&self, len: usize) -> bool {
        len <= LEN_MAX && self.fast.get() == FAST_MIN
    }

    /// A durable write of `len` bytes took so long, whoever made it.
    pub(super) fn note(&self, len: usize, took: Duration) {
        if len > LEN_MAX {
            return;
        }
        let fast = if took <= AWAY_MAX { self.fast.get() + 1 } else { 0 };
        self.fast.set(fast.min(FAST_MIN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = AWAY_MAX;
    const SLOW: Duration = Duration::from_micros(251);

    #[test]
    fn a_device_must_have_been_fast_for_a_while() {
        let at_once = AtOnce::default();
        for _ in 0..FAST_MIN {
            assert!(!at_once.pays(LEN_MAX));
            at_once.note(LEN_MAX, FAST);
        }
        assert!(at_once.pays(LEN_MAX));
        assert!(!at_once.pays(LEN_MAX + 1), "a large one goes through the ring");
    }

    #[test]
    fn one_slow_write_ends_it() {
        let at_once = AtOnce::default();
        for _ in 0..3 * FAST_MIN {
            at_once.note(1, FAST);
        }
        at_once.note(LEN_MAX + 1, SLOW); // says nothing of a small one
        assert!(at_once.pays(1));
        at_once.note(1, SLOW);
        for _ in 0..FAST_MIN {
            assert!(!at_once.pays(1));
            at_once.note(1, FAST);
        }
        assert!(at_once.pays(1));
    }
}
