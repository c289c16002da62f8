//! The newest part of the log, still in the buffers it was written from.
//!
//! Readers at the tail are served from here without the disk and without waiting. The buffers are
//! pinned within a budget; whoever is further behind reads segments.

use std::collections::VecDeque;
use std::rc::Rc;

use model::PhysicalOffset;
use runtime::{Buffer, Slice};

#[derive(Debug)]
struct Part {
    /// Physical offset of the buffer's first byte.
    base: PhysicalOffset,
    /// Physical offset of the first entry that this part holds.
    start: PhysicalOffset,
    end: PhysicalOffset,
    buf: Rc<Buffer>,
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

    /// Adds a written buffer whose entries are `start..end`; the oldest go when the budget is used up.
    pub(crate) fn push(
        &mut self,
        buf: Rc<Buffer>,
        base: PhysicalOffset,
        start: PhysicalOffset,
        end: PhysicalOffset,
    ) {
        let in_order = self.parts.back().is_none_or(|last| last.end <= start);
        assert!(in_order && base <= start && start < end, "the tail grows at its end");
        self.bytes += buf.len();
        self.parts.push_back(Part { base, start, end, buf });
        while self.bytes > self.budget && self.parts.len() > 1 {
            let oldest = self.parts.pop_front().expect("there are two at least");
            self.bytes -= oldest.buf.len();
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
