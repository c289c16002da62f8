//! The segments of a log, open for reading and writing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use model::PhysicalOffset;
use runtime::IoError;

use crate::flushing::Flushing;
use crate::segment::{self, Segment};

/// All segments, by the offset they begin at. The last one is written to.
pub(crate) struct Log {
    pub dir: PathBuf,
    pub segment_size: u64,
    segments: RefCell<BTreeMap<PhysicalOffset, Rc<Segment>>>,
    /// Older segments, behind which some are missing. They are no part of the log: a trim that a power cut has
    /// partly undone leaves them, and so does the loss of a segment.
    cut_off: RefCell<Vec<Rc<Segment>>>,
    flushing: Flushing,
}

impl Log {
    pub(crate) fn new(dir: PathBuf, segment_size: u64, segments: Vec<Segment>) -> Self {
        let by_base = segments.into_iter().map(|segment| (segment.header.base, Rc::new(segment)));
        let segments = RefCell::new(by_base.collect());
        Self {
            dir,
            segment_size,
            segments,
            cut_off: RefCell::default(),
            flushing: Flushing::default(),
        }
    }

    /// As [`Log::new`], with older segments (oldest first) that a hole cuts off from those.
    pub(crate) fn with_cut_off(self, older: Vec<Segment>) -> Self {
        self.cut_off.replace(older.into_iter().map(Rc::new).collect());
        self
    }

    /// Where the hole before the oldest segment begins, if there are segments before it.
    pub(crate) fn hole(&self) -> Option<PhysicalOffset> {
        self.cut_off.borrow().last().map(|segment| segment.end())
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

    /// Flushes what was written to the log and not flushed yet: that is in the segment that is written to, as the one before
    /// it was flushed before it was made. As [`Flushing::flush`], which says who waits and what is refused.
    pub(crate) async fn flush(&self) -> Result<(), IoError> {
        self.flushing.flush(async || self.active().file.sync().await).await
    }

    /// Flushes what was written again in this segment. As [`Log::flush`].
    pub(crate) async fn flush_again(&self, segment: &Segment) -> Result<(), IoError> {
        self.flushing.flush(async || segment.file.sync().await).await
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

    /// Takes the segments before `to` out of the log, oldest first; what is cut off comes before them. The one
    /// that is written to stays.
    pub(crate) fn take_before(&self, to: PhysicalOffset) -> Vec<Rc<Segment>> {
        let mut segments = self.segments.borrow_mut();
        let kept = segments.split_off(&to);
        assert!(!kept.is_empty(), "the segment that is written to is never given up");
        let before = std::mem::replace(&mut *segments, kept);
        let oldest = before.keys().chain(segments.keys()).next().copied();
        if oldest.is_none_or(|oldest| oldest > to) {
            return Vec::new(); // what is before the hole is not known to be trimmed
        }
        let mut taken = std::mem::take(&mut *self.cut_off.borrow_mut());
        assert!(taken.iter().all(|segment| segment.end() < to), "a hole is before the log");
        taken.extend(before.into_values());
        taken
    }

    /// Takes the segments behind the one at `base` out of the log, oldest first.
    pub(crate) fn take_behind(&self, base: PhysicalOffset) -> Vec<Rc<Segment>> {
        let mut segments = self.segments.borrow_mut();
        assert!(segments.contains_key(&base), "a log ends in one of its segments");
        segments.split_off(&base.plus(1)).into_values().collect()
    }

    /// Puts a segment into the place of the only one there is, which has the same file.
    pub(crate) fn replace(&self, segment: Segment) {
        let mut segments = self.segments.borrow_mut();
        assert_eq!(segments.len(), 1, "what another segment follows keeps its header");
        let before = segments.insert(segment.header.base, Rc::new(segment));
        assert!(before.is_some(), "it is the same segment");
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
