//! Windows that are not in memory and were read from lately.

use std::collections::{BTreeMap, VecDeque};

use super::windows::Key;

/// Windows that are remembered.
const MAX_TOUCHED: usize = 1024;

/// Counts small reads per window. A window that is read from again and again is worth reading whole.
#[derive(Debug, Default)]
pub(super) struct Touched {
    counts: BTreeMap<Key, u32>,
    order: VecDeque<Key>,
}

impl Touched {
    /// Counts one more; how many there were.
    pub(super) fn note(&mut self, key: Key) -> u32 {
        if let Some(count) = self.counts.get_mut(&key) {
            *count += 1;
            return *count;
        }
        if self.order.len() >= MAX_TOUCHED
            && let Some(oldest) = self.order.pop_front()
        {
            self.counts.remove(&oldest);
        }
        self.order.push_back(key);
        self.counts.insert(key, 1);
        assert!(self.counts.len() == self.order.len() && self.order.len() <= MAX_TOUCHED);
        1
    }
}
