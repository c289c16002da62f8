//! What a member has served to a reader, whichever member that is and whoever leads, stays in its place for ever: it was
//! committed.

use std::collections::BTreeMap;

use crate::report::{Report, Taken};

#[derive(Default)]
pub struct Reads {
    served: BTreeMap<(u32, u64), Taken>,
    /// The furthest end of each queue that was told.
    ends: BTreeMap<u32, u64>,
}

impl Reads {
    pub fn served(&mut self, taken: Taken) {
        let before = *self.served.entry((taken.queue, taken.queue_offset)).or_insert(taken);
        assert_eq!(before, taken, "something else was served there");
    }

    /// A member has told how far a queue goes.
    pub fn ends(&mut self, queue: u32, end: u64) {
        let known = self.ends.entry(queue).or_insert(end);
        *known = end.max(*known);
    }

    pub fn is_there(&self, report: &Report) {
        let found: BTreeMap<_, _> =
            report.taken.iter().map(|taken| ((taken.queue, taken.queue_offset), *taken)).collect();
        for (place, taken) in self.served.iter().filter(|(_, taken)| taken.physical >= report.begin)
        {
            assert_eq!(found.get(place), Some(taken), "it was served there");
        }
        for (queue, end) in &self.ends {
            let found = report.ranges.get(queue).map_or(0, |(_, end)| *end);
            assert!(found >= *end, "queue {queue} had {end} messages, and has {found}");
        }
    }

    pub fn count(&self) -> usize {
        self.served.len()
    }
}
