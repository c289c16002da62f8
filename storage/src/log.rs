//! The segments of a log, open for reading and writing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use model::PhysicalOffset;

use crate::segment::{self, Segment};

/// All segments, by the offset they begin at. The last one is written to.
pub(crate) struct Log {
    pub dir: PathBuf,
    pub segment_size: u64,
    segments: RefCell<BTreeMap<PhysicalOffset, Rc<Segment>>>,
}

impl Log {
    pub(crate) fn new(dir: PathBuf, segment_size: u64, segments: Vec<Segment>) -> Self {
        let by_base = segments.into_iter().map(|segment| (segment.header.base, Rc::new(segment)));
        Self { dir, segment_size, segments: RefCell::new(by_base.collect()) }
    }

    /// The segment that holds `offset`.
    pub(crate) fn at(&self, offset: PhysicalOffset) -> Option<Rc<Segment>> {
        let segments = self.segments.borrow();
        let (_, segment) = segments.range(..=offset).next_back()?;
        (offset < segment.end()).then(|| Rc::clone(segment))
    }

    /// The segment that is written to.
    pub(crate) fn active(&self) -> Rc<Segment> {
        let segments = self.segments.borrow();
        Rc::clone(segments.values().next_back().expect("a log has a segment"))
    }

    pub(crate) fn add(&self, segment: Segment) -> Rc<Segment> {
        let segment = Rc::new(segment);
        let mut segments = self.segments.borrow_mut();
        let last = segments.values().next_back();
        assert!(
            last.is_none_or(|last| last.end() == segment.header.base),
            "segments follow each other"
        );
        segments.insert(segment.header.base, Rc::clone(&segment));
        segment
    }

    /// The file that would hold `offset`.
    pub(crate) fn path_of(&self, offset: PhysicalOffset) -> PathBuf {
        self.dir
            .join(segment::name(PhysicalOffset(offset.0 / self.segment_size * self.segment_size)))
    }

    /// Takes the segments before `to` out of the log, oldest first. The one that is written to stays.
    pub(crate) fn take_before(&self, to: PhysicalOffset) -> Vec<Rc<Segment>> {
        let mut segments = self.segments.borrow_mut();
        let kept = segments.split_off(&to);
        assert!(!kept.is_empty(), "the segment that is written to is never given up");
        std::mem::replace(&mut *segments, kept).into_values().collect()
    }

    /// All segments, oldest first.
    pub(crate) fn all(&self) -> Vec<Rc<Segment>> {
        self.segments.borrow().values().cloned().collect()
    }

    /// Where the oldest segment begins.
    pub(crate) fn oldest_base(&self) -> PhysicalOffset {
        *self.segments.borrow().keys().next().expect("a log has a segment")
    }

    /// The oldest entry's offset.
    pub(crate) fn oldest(&self) -> PhysicalOffset {
        let segments = self.segments.borrow();
        segments.values().next().expect("a log has a segment").first_entry()
    }
}
