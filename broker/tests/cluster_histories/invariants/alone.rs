//! A node that reaches no majority acknowledges nothing that is sent while it does not.

use std::collections::BTreeMap;

use runtime::Instant;

#[derive(Default)]
pub struct Alone {
    since: BTreeMap<usize, Instant>,
}

impl Alone {
    /// From now on the node reaches a majority, or does not.
    pub fn reaches(&mut self, node: usize, majority: bool, now: Instant) {
        match majority {
            true => drop(self.since.remove(&node)),
            false => drop(self.since.entry(node).or_insert(now)),
        }
    }

    /// A node has stored a message.
    pub fn acknowledged(&self, node: usize, number: u64, sent: Instant) {
        let since = self.since.get(&node);
        assert!(
            since.is_none_or(|since| sent < *since),
            "n{node} has message {number} acknowledged, and no majority can have it"
        );
    }
}
