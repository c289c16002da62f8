//! A consumer offset that was acknowledged is told to whoever asks from then on, until another one is.
//!
//! Who has the lock of a queue commits for it, so that one client does at a time.

use std::collections::BTreeMap;

use super::register::{Register, Since};
use crate::content::Queue;

#[derive(Default)]
pub struct Offsets {
    registers: BTreeMap<Queue, Register>,
}

impl Offsets {
    pub fn of(&mut self, queue: Queue) -> &mut Register {
        self.registers.entry(queue).or_default()
    }

    /// Somebody is told where to go on, who began to ask then.
    pub fn is_told(&mut self, queue: Queue, offset: Option<i64>, since: Since) {
        self.of(queue).is_told(&queue, offset, since);
    }
}
