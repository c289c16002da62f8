//! What hand-overs and elections cost since the shard was started, for operators.

use std::cell::Cell;

/// Counts, each since the shard was started.
#[derive(Debug, Default)]
pub struct Tally {
    /// How often another member, or this one, came to lead.
    pub leaders: Count,
    /// Messages of which their senders were told that nobody knows whether they are stored: so many may be stored twice.
    pub unknown: Count,
    /// Sends that were refused because this node does not lead, or was about to lead no more.
    pub sends_refused: Count,
    /// Consumer offsets that were dropped for the same reason, or may have been on the way to the leader, and whose senders want no
    /// answer.
    pub commits_dropped: Count,
}

/// A number that grows.
#[derive(Debug, Default)]
pub struct Count(Cell<u64>);

impl Count {
    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.set(self.0.get() + more);
    }

    /// How many there are.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}
