//! Nothing is stored that nobody has sent, or in another queue than it was sent to.

use crate::content::{HEAVY, Queue};

#[derive(Default)]
pub struct Sent {
    /// The queue of every message, by its number.
    queues: Vec<Queue>,
}

impl Sent {
    pub fn sends(&mut self, queue: Queue) -> u64 {
        self.queues.push(queue);
        self.queues.len() as u64 - 1
    }

    pub fn queue_of(&self, number: u64) -> Option<Queue> {
        self.queues.get(usize::try_from(number & !HEAVY).ok()?).copied()
    }
}
