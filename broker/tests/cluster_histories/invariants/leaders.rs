//! A term of a group has one leader.

use std::collections::BTreeMap;

#[derive(Default)]
pub struct Leaders {
    /// By shard and term: the node.
    led: BTreeMap<(u32, i64), usize>,
}

impl Leaders {
    /// A node says that it leads.
    pub fn leads(&mut self, shard: u32, term: i64, node: usize) {
        let known = *self.led.entry((shard, term)).or_insert(node);
        assert_eq!(known, node, "two nodes lead the group of shard {shard} in term {term}");
    }

    /// Terms in which somebody was seen to lead.
    pub fn terms(&self) -> usize {
        self.led.len()
    }

    /// Who was seen to lead a group last.
    pub fn last(&self, shard: u32) -> Option<usize> {
        let mut led = self.led.range((shard, i64::MIN)..=(shard, i64::MAX));
        led.next_back().map(|(_, node)| *node)
    }
}
