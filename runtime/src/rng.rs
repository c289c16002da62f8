//! Randomness: seeded by the system, or by the seed in a simulation. Not for secrets.

use std::cell::RefCell;

use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

use crate::context;

thread_local! {
    static SYSTEM: RefCell<SmallRng> = RefCell::new(SmallRng::from_os_rng());
}

fn with_rng<R>(draw: impl FnOnce(&mut SmallRng) -> R) -> R {
    match context::sim() {
        Some(seat) => seat.with_rng(draw),
        None => SYSTEM.with_borrow_mut(draw),
    }
}

/// 64 random bits. Works on any thread.
pub fn random_u64() -> u64 {
    with_rng(RngCore::next_u64)
}

/// A number below `n`, evenly spread. `n` must not be zero. Works on any thread.
pub fn random_below(n: u64) -> u64 {
    assert!(n > 0, "there is no number below zero");
    let drawn = with_rng(|rng| rng.random_range(0..n));
    assert!(drawn < n);
    drawn
}

/// Fills `bytes` with random bytes. Works on any thread.
pub fn fill(bytes: &mut [u8]) {
    with_rng(|rng| rng.fill_bytes(bytes));
}
