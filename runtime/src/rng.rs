//! Randomness: from the system, or from the seed in a simulation. Not for secrets.

/// 64 random bits.
pub fn random_u64() -> u64 {
    todo!()
}

/// A number below `n`, evenly spread. `n` must not be zero.
pub fn random_below(n: u64) -> u64 {
    todo!("{n}")
}

/// Fills `bytes` with random bytes.
pub fn fill(bytes: &mut [u8]) {
    todo!("{}", bytes.len())
}
