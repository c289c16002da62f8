//! What was proven, and is written where it belongs.

use std::ops::Range;

use model::{LogIndex, PhysicalOffset};

use crate::position::Position;

/// Entries that are the ones which a damaged part of the log had. They have to be got once more, piece by piece.
#[derive(Debug)]
pub struct Patch {
    pub(super) pieces: Vec<Piece>,
    /// That of the entry behind: no entry before has a newer one, and none behind an older.
    pub(super) generation: u64,
}

/// Entries of one segment that are written in one go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub begin: Position,
    pub end: Position,
    /// Nothing damaged follows it.
    pub is_last: bool,
}

impl Patch {
    /// Indexes of the entries of each piece.
    pub fn pieces(&self) -> impl Iterator<Item = Range<LogIndex>> + '_ {
        self.pieces.iter().map(|piece| piece.begin.index..piece.end.index)
    }

    /// Bytes that a piece has in the log.
    ///
    /// # Panics
    /// When there is no such piece.
    #[must_use]
    pub fn bytes_of(&self, number: usize) -> u64 {
        let Piece { begin, end, .. } = self.pieces[number];
        end.offset.since(begin.offset)
    }

    /// Indexes of all of them.
    #[must_use]
    pub fn indexes(&self) -> Range<LogIndex> {
        let (first, last) = self.ends();
        first.index..last.index
    }

    /// Where they lie: the first byte, and the one behind the last.
    #[must_use]
    pub fn offsets(&self) -> Range<PhysicalOffset> {
        let (first, last) = self.ends();
        first.offset..last.offset
    }

    /// Bytes of them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (0..self.pieces.len()).map(|number| self.bytes_of(number)).sum()
    }

    fn ends(&self) -> (Position, Position) {
        let last = self.pieces.last().expect("a patch has a piece");
        (self.pieces[0].begin, last.end)
    }

    pub(crate) fn piece(&self, number: usize) -> Piece {
        self.pieces[number]
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }
}
