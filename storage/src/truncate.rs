//! Cutting the end of the log off: what was appended and will never be committed.
//!
//! What was cut must never come back, and a crash at any moment must leave a log that a start can read: the
//! old one, a beginning of it that has all that stays, or the new one. So, in this order, each step durable
//! before the next:
//!
//! 1. All that stays is flushed.
//! 2. The vote gets a new generation, and its mark falls to the cut. From here on no entry of before proves
//!    that anything behind the cut was durable, and none of them can follow one that is written after it.
//! 3. Segments behind the cut lose their names, the newest first: the log has no gap at any time.
//! 4. The block of the cut is written again, with zeros behind the cut as far as an entry's header would reach.
//!
//! Entries further behind stay where they are, in the segment and in the files that became spares. The next
//! generation keeps them out, and where a segment begins the zeros that it is adopted with.

use std::rc::Rc;

use model::PhysicalOffset;
use runtime::IoError;

use crate::log::Log;
use crate::position::Position;
use crate::segment::Segment;
use crate::tip::Tip;
use crate::vote::{Vote, VoteFile};

/// Cuts the log at `to`, which lies between two of its entries or behind the last; `last_block` is the block
/// that it then ends in, up to `to`. Returns the generation of what is appended next.
///
/// Nothing may be under way on the log, and nothing behind `to` may be committed. Not to be cancelled; after an
/// error nothing more may be written.
pub(crate) async fn truncate(
    tip: &mut Tip,
    vote: &mut VoteFile,
    to: Position,
    last_block: Vec<u8>,
) -> Result<u64, IoError> {
    let segment = ends_in(&tip.log, to.offset);
    assert!(to.offset >= segment.first_entry(), "a cut lies behind a segment's header");
    assert!(last_block.len() as u64 == to.offset.0 % runtime::BLOCK as u64, "up to the cut");
    if tip.durable.get() < to.offset {
        tip.log.flush().await?;
    }
    let before = vote.vote();
    let generation = before.generation + 1;
    let marked = Vote { generation, idle_mark: to.offset, clean: false, ..before };
    vote.store(marked).await?;
    for later in tip.log.take_behind(segment.header.base).into_iter().rev() {
        tip.spares.take_back(&later.path()).await?;
    }
    segment.blank_behind(to.offset, &last_block).await?;
    tip.log.flush().await?;
    tip.durable.set(to.offset);
    tip.last_block = last_block;
    assert!(Rc::ptr_eq(&segment, &tip.log.active()), "the log ends where it was cut");
    Ok(generation)
}

/// The segment that a log ends in which ends at `offset`.
fn ends_in(log: &Log, offset: PhysicalOffset) -> Rc<Segment> {
    let is_full = offset.0.is_multiple_of(log.segment_size);
    let within = PhysicalOffset(offset.0 - u64::from(is_full));
    log.at(within).expect("a log is cut where it has entries, or begins")
}
