//! Finding out where a log is damaged.

use std::path::PathBuf;
use std::rc::Rc;

use model::{LogIndex, PhysicalOffset};

use crate::entry_log::{EntryReader, Shared};
use crate::error::StoreError;
use crate::position::Position;
use crate::replay::Replay;
use crate::segment::SegmentHeader;

/// Bytes before and behind a place that are looked at as well: what is damaged may be what was read together with it.
const AROUND: u64 = 128 * 1024;

/// Where the log of a member is damaged: the first entry that is not what was written.
#[derive(Clone, Debug)]
pub struct Damage {
    pub(super) at: Position,
    /// The segment's file.
    pub segment: PathBuf,
    /// What is wrong there.
    pub why: String,
}

impl Damage {
    /// Index of the first entry that is damaged.
    #[must_use]
    pub fn index(&self) -> LogIndex {
        self.at.index
    }

    /// Where it begins.
    #[must_use]
    pub fn offset(&self) -> PhysicalOffset {
        self.at.offset
    }
}

impl EntryReader {
    /// The first damage around `offset`, if there is some. Reads a segment of the log at most, from a point on that is known to be
    /// good, and lets others run meanwhile. Cancel safe.
    ///
    /// # Errors
    /// The disk failed, not in one place.
    pub async fn look(&self, offset: PhysicalOffset) -> Result<Option<Damage>, StoreError> {
        loop {
            let cuts = self.shared.cuts.get();
            let found = look_once(&self.shared, offset).await;
            if self.shared.cuts.get() == cuts {
                return found;
            }
        }
    }
}

async fn look_once(
    shared: &Rc<Shared>,
    offset: PhysicalOffset,
) -> Result<Option<Damage>, StoreError> {
    let oldest = shared.log.all().into_iter().next().expect("a log has a segment");
    if offset < oldest.header.base {
        return Ok(None); // it is trimmed
    }
    let SegmentHeader { index, chain, .. } = oldest.header;
    let begin = Position::beginning(oldest.first_entry(), index, chain);
    let (first, last) = (PhysicalOffset(offset.0.saturating_sub(AROUND)), offset.plus(AROUND));
    let mark = shared.marks.borrow().before_offset(first);
    let from = mark.filter(|mark| mark.offset >= begin.offset).unwrap_or(begin);
    let cuts = shared.cuts.get();
    let mut replay = replay_from(shared, from);
    while replay.position.offset <= last && replay.position.index < shared.end.get().index {
        let at = replay.position;
        match replay.step().await? {
            Ok(_) if shared.cuts.get() == cuts => {
                shared.marks.borrow_mut().note(replay.position);
            }
            Ok(_) => {} // whoever asked looks again
            Err(unsound) => {
                // The first of a segment stands behind the last of the one before.
                let at = Position { offset: replay.position.offset, ..at };
                let segment = shared.log.path_of(at.offset);
                return Ok(Some(Damage { at, segment, why: unsound.why }));
            }
        }
    }
    Ok(None)
}

/// A reader of what is there from a point on.
pub(super) fn replay_from(shared: &Rc<Shared>, from: Position) -> Replay {
    let no_limit = PhysicalOffset(u64::MAX);
    Replay::new(Rc::clone(&shared.log), shared.vote.get(), Some(from), no_limit)
}
