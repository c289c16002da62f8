//! What the members of a group say to each other.

use raft::net::fuzz;

use crate::Outcome;

/// A byte that says which message, and the message.
pub fn check(bytes: &[u8]) -> Outcome {
    fuzz::check(bytes).into()
}
