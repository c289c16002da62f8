//! Seeds that the protocol between members makes itself.

use raft::net::fuzz::samples;

use super::Seed;

/// A message of each kind.
pub(super) fn seeds() -> Vec<Seed> {
    samples().into_iter().map(|(name, input)| Seed::new("peers", name, input)).collect()
}
