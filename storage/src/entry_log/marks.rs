//! Where entries are: a point every now and then, from which the log is read on.

use model::LogIndex;

use crate::position::Position;

/// Bytes of log between two points: what has to be read in vain to find an entry, at most. A point costs less
/// than 100 bytes, so the log costs a ten-thousandth of itself in memory.
const EVERY: u64 = 1024 * 1024;
const _: () = assert!(size_of::<Position>() < 100);

/// Points of a log, oldest first.
#[derive(Debug)]
pub(super) struct Marks {
    points: Vec<Position>,
}

impl Marks {
    /// For a log that begins at `begin`.
    pub(super) fn new(begin: Position) -> Self {
        Self { points: vec![begin] }
    }

    /// The log is this long now.
    pub(super) fn note(&mut self, end: Position) {
        let last = self.points.last().expect("there always is one");
        assert!(last.index <= end.index, "a log grows at its end");
        if end.offset.since(last.offset) >= EVERY {
            self.points.push(end);
        }
    }

    /// The last point before the entry `index`, or right there.
    pub(super) fn before(&self, index: LogIndex) -> Position {
        let after = self.points.partition_point(|point| point.index <= index);
        self.points[after.checked_sub(1).expect("the log begins before what is looked for")]
    }

    /// The log ends before the entry `index`.
    pub(super) fn cut(&mut self, index: LogIndex) {
        self.points.retain(|point| point.index <= index);
        assert!(!self.points.is_empty(), "a log is not cut before it begins");
    }
}

#[cfg(test)]
mod tests {
    use model::PhysicalOffset;

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
}
