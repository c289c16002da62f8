//! Messages of a queue have store times that never fall, whatever the clocks of its leaders say.

use std::collections::BTreeMap;

use crate::content::Queue;

#[derive(Default)]
pub struct Times {
    stored: BTreeMap<(Queue, u64), u64>,
}

impl Times {
    pub fn learn(&mut self, queue: Queue, offset: u64, millis: u64) {
        let before = *self.stored.entry((queue, offset)).or_insert(millis);
        assert_eq!(before, millis, "offset {offset} of {queue:?} has another store time");
        let last = self.stored.range((queue, 0)..(queue, offset)).next_back();
        let next = self.stored.range((queue, offset + 1)..=(queue, u64::MAX)).next();
        let last = last.map_or(0, |(_, millis)| *millis);
        let next = next.map_or(u64::MAX, |(_, millis)| *millis);
        assert!(
            last <= millis && millis <= next,
            "offset {offset} of {queue:?} was stored at {millis}, others at {last} and {next}"
        );
    }
}
