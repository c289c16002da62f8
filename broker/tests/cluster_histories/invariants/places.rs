//! What was acknowledged at a place, or read from it, stays there; no place is given twice, and no message is stored twice: clients
//! send each once.

use std::collections::BTreeMap;

use crate::content::Queue;

#[derive(Default)]
pub struct Places {
    /// By queue and offset: the number of the message there.
    known: BTreeMap<(Queue, u64), u64>,
    /// Where each message is.
    places: BTreeMap<u64, (Queue, u64)>,
    /// Behind the last offset that was acknowledged.
    acknowledged: BTreeMap<Queue, u64>,
}

impl Places {
    pub fn learn(&mut self, queue: Queue, offset: u64, number: u64) {
        let before = *self.known.entry((queue, offset)).or_insert(number);
        assert_eq!(before, number, "offset {offset} of {queue:?} was given twice");
        let place = *self.places.entry(number).or_insert((queue, offset));
        assert_eq!(place, (queue, offset), "message {number} is stored twice");
    }

    pub fn acknowledged(&mut self, queue: Queue, offset: u64, number: u64) {
        self.learn(queue, offset, number);
        let end = self.acknowledged.entry(queue).or_default();
        *end = (*end).max(offset + 1);
    }

    /// Behind the last message of a queue that is known.
    pub fn end(&self, queue: Queue) -> u64 {
        let mut known = self.known.range((queue, 0)..=(queue, u64::MAX));
        known.next_back().map_or(0, |((_, offset), _)| offset + 1)
    }

    pub fn acknowledged_end(&self, queue: Queue) -> u64 {
        self.acknowledged.get(&queue).copied().unwrap_or(0)
    }

    /// Queues that have messages.
    pub fn queues(&self) -> Vec<Queue> {
        let mut queues: Vec<Queue> = self.known.keys().map(|(queue, _)| *queue).collect();
        queues.dedup();
        queues
    }
}
