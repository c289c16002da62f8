//! Where entries are: a point every now and then, from which the log is read on.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use model::{LogIndex, PhysicalOffset};

use crate::log::Log;
use crate::position::Position;
use crate::segment::{Segment, SegmentHeader};

/// Bytes of log between two points: what has to be read in vain to find an entry, at most. A point costs less
/// than 100 bytes, so the log costs a ten-thousandth of itself in memory.
const EVERY: u64 = 1024 * 1024;
const _: () = assert!(size_of::<Position>() < 100);

/// Bytes that are no long way: two points may be as far apart as this, because an entry lies between them.
const NEAR: u64 = 2 * EVERY;

/// Points of a log, by the index of the entry behind each.
#[derive(Debug)]
pub(crate) struct Marks {
    points: BTreeMap<LogIndex, Position>,
}

impl Marks {
    /// For a log that begins at `begin`.
    pub(super) fn new(begin: Position) -> Self {
        Self { points: BTreeMap::from([(begin.index, begin)]) }
    }

    /// Where the segments of a log begin before `start`, and `start`, which is where it is read from. Nothing before that
    /// is ever cut: where a segment begins is where its first entry goes, and not where the log ended before.
    pub(crate) fn of(log: &Log, start: Position) -> Self {
        let begin = |segment: Rc<Segment>| {
            let SegmentHeader { index, chain, .. } = segment.header;
            (index, Position::beginning(segment.first_entry(), index, chain))
        };
        let mut points: BTreeMap<_, _> = log.all().into_iter().map(begin).collect();
        points.retain(|index, _| *index < start.index);
        points.insert(start.index, start);
        Self { points }
    }

    /// The log is there up to this point at least.
    pub(crate) fn note(&mut self, end: Position) {
        let (_, last) = self.points.range(..=end.index).next_back().expect("the log begins before");
        if end.offset.0.saturating_sub(last.offset.0) >= EVERY {
            self.points.insert(end.index, end);
        }
    }

    /// The last point before the entry `index`, or right there.
    pub(super) fn before(&self, index: LogIndex) -> Position {
        let before = self.points.range(..=index).next_back();
        *before.expect("the log begins before what is looked for").1
    }

    /// Whether little has to be read to find the entry `index`, in a log that ends at `end`.
    pub(super) fn is_near(&self, index: LogIndex, end: PhysicalOffset) -> bool {
        let behind = self.points.range((Bound::Excluded(index), Bound::Unbounded)).next();
        let behind = behind.map_or(end, |(_, point)| point.offset);
        behind.0.saturating_sub(self.before(index).offset.0) <= NEAR
    }

    /// The last point that lies at `offset` or before it, if the log begins there.
    pub(crate) fn before_offset(&self, offset: PhysicalOffset) -> Option<Position> {
        self.points.values().rev().find(|point| point.offset <= offset).copied()
    }

    /// The point before the entry `index`, if there is one.
    pub(crate) fn at(&self, index: LogIndex) -> Option<Position> {
        self.points.get(&index).copied()
    }

    /// The log ends before the entry `index`.
    pub(super) fn cut(&mut self, index: LogIndex) {
        self.points.retain(|at, _| *at <= index);
        assert!(!self.points.is_empty(), "a log is not cut before it begins");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(index: u64, offset: u64) -> Position {
        Position::beginning(PhysicalOffset(offset), LogIndex(index), 0)
    }

    #[test]
    fn the_nearest_point_before_is_found() {
        let mut marks = Marks::new(point(5, 4096));
        for index in 6..200 {
            marks.note(point(index, 4096 + (index - 5) * 100_000));
        }
        let spacing = EVERY.div_ceil(100_000);
        for index in 5..300 {
            let found = marks.before(LogIndex(index)).index.0;
            assert!(
                found <= index && (index >= 200 || index - found < spacing),
                "{index}: {found}"
            );
        }
        marks.cut(LogIndex(20));
        assert_eq!(marks.before(LogIndex(300)).index.0, 5 + spacing);
    }

    #[test]
    fn what_lies_in_a_segment_that_was_not_read_is_not_near() {
        let size = 64 * EVERY;
        let mut marks = Marks::new(point(0, 4096));
        marks.points.insert(LogIndex(1000), point(1000, size));
        let near = |marks: &Marks, index, end| marks.is_near(LogIndex(index), PhysicalOffset(end));
        assert!(!near(&marks, 0, size) && !near(&marks, 999, size));
        assert!(near(&marks, 1000, size) && near(&marks, 1001, size + NEAR));
        assert!(!near(&marks, 1001, size + NEAR + 1), "it is a long way to the end");
        for index in 1..1000 {
            marks.note(point(index, 4096 + index * 67_000));
        }
        assert!(near(&marks, 0, size) && near(&marks, 999, size), "it was read");
    }
}
