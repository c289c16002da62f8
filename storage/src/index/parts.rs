//! The parts of the index: one that grows, those that are being written, and those on the disk.

use std::ops::Range;
use std::rc::Rc;

use model::PhysicalOffset;

use super::Index;
use crate::part::{Frozen, Growing, PartFile};

/// What becomes of others when parts were made into one.
pub(crate) struct Merged {
    /// The parts that it replaces.
    pub replaced: Vec<Rc<PartFile>>,
    /// The one itself, if its segment was trimmed meanwhile.
    pub late: Option<Rc<PartFile>>,
}

impl Index {
    /// Bytes of the log that the growing part covers when the log ends at `end`.
    pub(crate) fn grown(&self, end: PhysicalOffset) -> u64 {
        end.since(self.growing.from())
    }

    /// The segment that the growing part covers a part of.
    pub(crate) fn segment(&self) -> PhysicalOffset {
        self.growing.base()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.growing.is_full()
    }

    /// Parts that are being written.
    pub(crate) fn being_written(&self) -> usize {
        self.frozen.len()
    }

    /// Ends the growing part at `to` and begins the next one there. `None` when it covers nothing.
    pub(crate) fn freeze(&mut self, to: PhysicalOffset) -> Option<Rc<Frozen>> {
        let base = PhysicalOffset(to.0 / self.segment_size * self.segment_size);
        let next = Growing::new(base, to);
        let grown = std::mem::replace(&mut self.growing, next);
        if grown.from() == to {
            return None;
        }
        self.growing.reserve(grown.queues());
        let frozen = Rc::new(grown.freeze(to));
        self.frozen.push_back(Rc::clone(&frozen));
        Some(frozen)
    }

    /// The oldest part that is to be written.
    pub(crate) fn next_to_write(&self) -> Option<Rc<Frozen>> {
        self.frozen.front().cloned()
    }

    /// The oldest part that is to be written is not needed any more: it was trimmed.
    pub(crate) fn forget_oldest(&mut self) {
        let frozen = self.frozen.pop_front().expect("it was to be written");
        assert!(frozen.span().to <= self.trim, "only what was trimmed is forgotten");
    }

    /// The oldest part in writing is on the disk now. Gives back the one in memory.
    pub(crate) fn written(&mut self, file: PartFile) -> Rc<Frozen> {
        let frozen = self.frozen.pop_front().expect("it was being written");
        assert_eq!(frozen.span(), file.span(), "parts are written in their order");
        self.add_file(file);
        frozen
    }

    /// Takes a part over, or gives it back if all of it was trimmed.
    fn add_file(&mut self, file: PartFile) -> Option<Rc<PartFile>> {
        let (span, file) = (file.span(), Rc::new(file));
        if span.from < self.trim {
            return Some(file);
        }
        self.files.insert(span.from, file);
        None
    }

    /// Parts of one segment were made into one.
    pub(crate) fn merged(&mut self, file: PartFile) -> Merged {
        let span = file.span();
        let covered: Vec<_> = self.files.range(span.from..span.to).map(|(from, _)| *from).collect();
        let replaced = covered.into_iter().filter_map(|from| self.files.remove(&from)).collect();
        Merged { replaced, late: self.add_file(file) }
    }

    /// Parts on the disk, oldest first.
    pub(crate) fn files(&self) -> impl DoubleEndedIterator<Item = &Rc<PartFile>> {
        self.files.values()
    }

    /// Parts on the disk that begin within `range`, oldest first.
    pub(crate) fn files_in(
        &self,
        range: Range<PhysicalOffset>,
    ) -> impl Iterator<Item = &Rc<PartFile>> {
        self.files.range(range).map(|(_, file)| file)
    }

    /// Bytes of a segment.
    pub(crate) fn segment_size(&self) -> u64 {
        self.segment_size
    }

    /// The part on the disk that follows `after`.
    pub(crate) fn file_after(&self, after: PhysicalOffset) -> Option<Rc<PartFile>> {
        self.files.range(after..).next().map(|(_, file)| Rc::clone(file))
    }

    /// Parts in memory, oldest first.
    pub(crate) fn in_memory(&self) -> impl DoubleEndedIterator<Item = &Growing> {
        let frozen = self.frozen.iter().map(|frozen| &***frozen);
        frozen.chain(std::iter::once(&self.growing))
    }
}
