//! The newest entries, in memory: those that wait to be written, and before them some of those that are.
//!
//! A payload keeps the whole buffer alive in which it lies: a batch with thousands of messages, or a large buffer with
//! nothing else in it. So each buffer is charged once, by all the memory behind it, to the last entry that lies in it: the
//! memory comes back when that one goes, and not before.

use std::collections::VecDeque;

use openraft::EntryPayload;
use openraft::type_config::alias::EntryOf;
use runtime::Slice;

use super::entry::weight;
use crate::types::{Proposal, Types};

/// An entry, and the bytes of memory that are charged to it.
struct Charged {
    entry: EntryOf<Types>,
    memory: usize,
}

impl Charged {
    /// The buffer that it keeps alive.
    fn body(&self) -> Option<&Slice> {
        body(&self.entry)
    }
}

fn body(entry: &EntryOf<Types>) -> Option<&Slice> {
    let EntryPayload::Normal(Proposal::Entry(content)) = &entry.payload else { return None };
    Some(&content.body).filter(|body| body.memory() > 0)
}

/// The newest entries, oldest first.
#[derive(Default)]
pub(super) struct Newest {
    entries: VecDeque<Charged>,
    memory: usize,
    /// How many of them are not written: the last ones.
    waiting: usize,
    waiting_memory: usize,
}

impl Newest {
    /// Adds the next one, which waits.
    pub(super) fn push(&mut self, entry: EntryOf<Types>) {
        let mut memory = size_of::<Charged>();
        if let Some(body) = body(&entry) {
            self.take_over(body);
            memory += body.memory();
        }
        self.entries.push_back(Charged { entry, memory });
        self.memory += memory;
        self.waiting += 1;
        self.waiting_memory += memory;
    }

    /// Whoever comes next is charged for the buffer of `next`, and not the one before it any more.
    fn take_over(&mut self, next: &Slice) {
        let kept = self.kept();
        let mut newest_first = self.entries.iter_mut().enumerate().rev();
        let Some((at, last)) = newest_first.find(|(_, entry)| entry.body().is_some()) else {
            return;
        };
        if last.body().is_some_and(|body| body.shares_memory_with(next)) {
            last.memory -= next.memory();
            self.memory -= next.memory();
            if at >= kept {
                self.waiting_memory -= next.memory();
            }
        }
    }

    /// Index of the oldest; `None` if there is none.
    pub(super) fn first(&self) -> Option<u64> {
        self.entries.front().map(|oldest| oldest.entry.log_id.index)
    }

    /// All but the oldest `skipped`, oldest first.
    pub(super) fn behind(&self, skipped: usize) -> impl Iterator<Item = &EntryOf<Types>> {
        let skipped = skipped.min(self.entries.len());
        self.entries.range(skipped..).map(|charged| &charged.entry)
    }

    /// How many of them are written.
    fn kept(&self) -> usize {
        self.entries.len() - self.waiting
    }

    /// Those that wait, oldest first.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &EntryOf<Types>> {
        self.behind(self.kept())
    }

    /// How many wait.
    pub(super) fn count_waiting(&self) -> usize {
        self.waiting
    }

    /// Bytes of memory of those that wait.
    pub(super) fn waiting_memory(&self) -> usize {
        self.waiting_memory
    }

    /// Bytes of some of those that wait, as they are written: `count` of them behind the oldest `skipped`.
    pub(super) fn weight_behind(&self, skipped: usize, count: usize) -> usize {
        self.behind(self.kept() + skipped).take(count).map(weight).sum()
    }

    /// The oldest `count` of those that waited are written. As many of those that are written are kept as come to `most` bytes
    /// of memory, the newest ones.
    pub(super) fn written(&mut self, count: usize, most: usize) {
        assert!(count <= self.waiting, "what is written has waited");
        let written = self.entries.range(self.kept()..).take(count);
        self.waiting_memory -= written.map(|entry| entry.memory).sum::<usize>();
        self.waiting -= count;
        while self.memory - self.waiting_memory > most {
            let oldest = self.entries.pop_front().expect("what has memory is there");
            self.memory -= oldest.memory;
        }
        assert!(self.entries.len() >= self.waiting, "what waits stays");
    }

    /// Forgets all of them, none of which waits.
    pub(super) fn clear(&mut self) {
        assert_eq!(self.waiting, 0, "what waits is written first");
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use std::rc::{Rc, Weak};

    use model::UnixMillis;
    use openraft::type_config::alias::LogIdOf;
    use runtime::Buffer;
    use storage::EntryKind;

    use super::*;
    use crate::types::Content;

    const LARGE: usize = 64 * 1024;
    const MOST: usize = 4 * LARGE;

    fn entry(index: u64, body: Option<Slice>) -> EntryOf<Types> {
        let (kind, timestamp) = (EntryKind::Messages, UnixMillis(0));
        let content = |body| Content { kind, timestamp, records: 1, body };
        let payload = body.map_or(EntryPayload::Blank, |body| {
            EntryPayload::Normal(Proposal::Entry(content(body)))
        });
        let log_id = LogIdOf::<Types>::new_term_index(1, index);
        EntryOf::<Types> { log_id, payload, laid: None }
    }

    /// Adds `count` small entries that lie in a large buffer of their own, with one without a payload among them.
    fn add(newest: &mut Newest, next: &mut u64, count: u64) -> Weak<Buffer> {
        let mut buffer = runtime::buffer(LARGE);
        buffer.shrink_to(4096); // the memory stays as it is
        let buffer = Rc::new(buffer);
        for at in 0..count {
            let body = (at != 1).then(|| Slice::new(Rc::clone(&buffer), 0..10));
            newest.push(entry(*next, body));
            *next += 1;
        }
        Rc::downgrade(&buffer)
    }

    fn alive(buffers: &[Weak<Buffer>]) -> usize {
        buffers.iter().filter(|buffer| buffer.strong_count() > 0).count()
    }

    #[test]
    fn what_is_kept_holds_no_more_memory_than_it_may_however_small_the_entries_are() {
        let (mut newest, mut next) = (Newest::default(), 0);
        let buffers: Vec<_> = (0..100).map(|_| add(&mut newest, &mut next, 3)).collect();
        assert_eq!(alive(&buffers), 100, "what waits stays, whatever it takes");
        assert!(newest.waiting_memory() > 100 * LARGE);
        for written in 1..=100 {
            newest.written(3, MOST);
            let held = alive(&buffers[..written]) * LARGE;
            assert!(held <= MOST, "{held} bytes of what is written");
        }
        assert_eq!(newest.waiting_memory(), 0);
        assert!(alive(&buffers) >= MOST / LARGE - 1, "as much is kept as may be");
        assert_eq!(newest.behind(0).last().map(|entry| entry.log_id.index), Some(next - 1));
    }

    #[test]
    fn a_buffer_is_charged_once() {
        let (mut newest, mut next) = (Newest::default(), 0);
        let buffers = [add(&mut newest, &mut next, 50), add(&mut newest, &mut next, 50)];
        newest.written(100, MOST);
        assert_eq!((newest.first(), alive(&buffers)), (Some(0), 2), "all of both is kept");
        // What comes later and lies in the same buffer takes the charge over, also from what is written.
        let buffer = buffers[1].upgrade().expect("it is kept");
        newest.push(entry(next, Some(Slice::new(buffer, 0..10))));
        assert!(newest.waiting_memory() > LARGE && newest.memory < 3 * LARGE);
        newest.written(1, 2 * LARGE);
        assert_eq!(alive(&buffers), 1, "the older one goes as a whole");
        newest.written(0, 0);
        assert_eq!((alive(&buffers), newest.memory, newest.first()), (0, 0, None));
    }
}
