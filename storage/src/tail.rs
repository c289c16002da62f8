//! The newest part of the log, still in the buffers it was written from.
//!
//! Readers at the tail are served from here without the disk and without waiting. The buffers are
//! pinned within a budget; whoever is further behind reads segments.

use std::collections::VecDeque;
use std::rc::Rc;

use model::PhysicalOffset;
use runtime::{Buffer, Slice};

/// A written buffer.
#[derive(Debug)]
pub(crate) struct Part {
    /// Physical offset of the buffer's first byte.
    pub base: PhysicalOffset,
    /// Physical offset of the first entry that this part holds.
    pub start: PhysicalOffset,
    pub end: PhysicalOffset,
    pub buf: Rc<Buffer>,
    /// Bytes of memory behind `buf`: what the budget is charged.
    pub memory: usize,
}

/// Written buffers, oldest first.
#[derive(Debug)]
pub(crate) struct Tail {
    parts: VecDeque<Part>,
    bytes: usize,
    budget: usize,
}

impl Tail {
    pub(crate) fn new(budget: usize) -> Self {
        Self { parts: VecDeque::new(), bytes: 0, budget }
    }

    /// Adds a written buffer; the oldest go when the budget is used up, but never the newest.
    pub(crate) fn push(&mut self, part: Part) {
        let in_order = self.parts.back().is_none_or(|last| last.end <= part.start);
        assert!(
            in_order && part.base <= part.start && part.start < part.end,
            "it grows at its end"
        );
        assert!(part.memory >= part.buf.len(), "a buffer has memory for all of it");
        self.bytes += part.memory;
        self.parts.push_back(part);
        while self.bytes > self.budget && self.parts.len() > 1 {
            let oldest = self.parts.pop_front().expect("there are two at least");
            self.bytes -= oldest.memory;
        }
    }

    /// Forgets what is at `end` and behind.
    pub(crate) fn cut(&mut self, end: PhysicalOffset) {
        while self.parts.back().is_some_and(|last| last.start >= end) {
            let newest = self.parts.pop_back().expect("it was just seen");
            self.bytes -= newest.memory;
        }
        if let Some(last) = self.parts.back_mut() {
            last.end = last.end.min(end);
        }
    }

    /// The bytes `offset..offset + len`, if they are still here in one part.
    pub(crate) fn find(&self, offset: PhysicalOffset, len: usize) -> Option<Slice> {
        let after = self.parts.partition_point(|part| part.start <= offset);
        let part = self.parts.get(after.checked_sub(1)?)?;
        let end = offset.0.checked_add(len as u64)?;
        if end > part.end.0 {
            return None;
        }
        let at = usize::try_from(offset.since(part.base)).ok()?;
        Some(Slice::new(Rc::clone(&part.buf), at..at + len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_counts_memory_and_not_what_is_used_of_it() {
        let mut tail = Tail::new(64 * 1024);
        for at in 0..10 {
            let mut buf = runtime::buffer(16 * 1024);
            buf.shrink_to(4096);
            let base = PhysicalOffset(at * 4096);
            let (start, end) = (base, base.plus(4096));
            tail.push(Part { base, start, end, buf: Rc::new(buf), memory: 16 * 1024 });
        }
        let kept = (0..10).filter(|at| tail.find(PhysicalOffset(at * 4096), 100).is_some());
        assert_eq!(kept.collect::<Vec<_>>(), [6, 7, 8, 9]);
    }
}
