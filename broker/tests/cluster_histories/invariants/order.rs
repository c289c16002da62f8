//! What is sent once another message of the queue is acknowledged comes behind that one, whoever leads by then.

use std::collections::BTreeMap;

use crate::content::Queue;

#[derive(Default)]
pub struct Order {
    /// Messages under way: behind which offset they come, at least.
    least: BTreeMap<u64, u64>,
}

impl Order {
    pub fn sends(&mut self, number: u64, acknowledged_end: u64) {
        self.least.insert(number, acknowledged_end);
    }

    pub fn acknowledged(&mut self, queue: Queue, number: u64, offset: u64) {
        let least = self.least.remove(&number).expect("it was sent, and is acknowledged once");
        assert!(
            offset >= least,
            "message {number} is at {offset} of {queue:?}, and was sent when {least} were acknowledged"
        );
    }
}
