//! A consumer offset that was acknowledged is told to whoever asks from then on, until another one is.
//!
//! Who has the lock of a queue commits for it, so that one client does at a time.

use std::collections::BTreeMap;

use super::register::Register;
use crate::content::Queue;

#[derive(Default)]
pub struct Offsets {
    registers: BTreeMap<Queue, Register>,
}

impl Offsets {
    pub fn of(&mut self, queue: Queue) -> &mut Register {
        self.registers.entry(queue).or_default()
    }

    /// A consumer is told where to go on, which it asked when the offset was `before`.
    pub fn is_told(&mut self, queue: Queue, offset: Option<i64>, before: Option<i64>) {
        self.of(queue).is_told(&queue, offset, before);
    }
}
