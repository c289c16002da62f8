//! Consumers are given every message that was acknowledged, each queue in order and without a gap: whoever takes it over goes on where
//! the one before has committed, or before that.

use std::collections::BTreeMap;

use crate::content::Queue;

#[derive(Default)]
pub struct Delivered {
    /// Up to here every message was given to some consumer.
    ends: BTreeMap<Queue, u64>,
    pub count: u64,
}

impl Delivered {
    /// A consumer was given the message at this offset.
    pub fn given(&mut self, queue: Queue, offset: u64) {
        let end = self.ends.entry(queue).or_default();
        assert!(offset <= *end, "consumers of {queue:?} were given {offset}, and not {end}");
        *end = (*end).max(offset + 1);
        self.count += 1;
    }

    pub fn end(&self, queue: Queue) -> u64 {
        self.ends.get(&queue).copied().unwrap_or(0)
    }
}
