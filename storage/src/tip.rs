//! Where the log grows: the one way in which entries come onto the disk.

use std::cell::Cell;
use std::rc::Rc;

use model::{LogIndex, PhysicalOffset};
use runtime::{BLOCK, Buffer, IoError};

use crate::identity::StoreId;
use crate::log::Log;
use crate::options::{Flush, FlushMethod};
use crate::provision::Spares;
use crate::segment::{Segment, SegmentHeader};
use crate::trouble::Troubles;
use crate::vote::{Vote, VoteFile};

/// The end of the log on the disk. After an error nothing more may be written: what the disk holds is
/// unknown then. No write may be cancelled.
pub(crate) struct Tip {
    pub log: Rc<Log>,
    pub store: StoreId,
    pub flush: Flush,
    pub method: FlushMethod,
    /// Where the next segment's file comes from.
    pub spares: Rc<Spares>,
    pub troubles: Rc<Troubles>,
    /// Up to here the log is known to be durable.
    pub durable: Rc<Cell<PhysicalOffset>>,
    /// The block that the log ends in, up to that end.
    pub last_block: Vec<u8>,
}

/// What the header of a segment says of the log before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    /// End of the log.
    pub offset: PhysicalOffset,
    /// Index that the next entry gets.
    pub index: LogIndex,
    pub chain: u32,
}

impl Tip {
    /// The segment that entries from `start` on go to: the active one, or a new one behind it.
    pub(crate) async fn segment_for(
        &mut self,
        start: PhysicalOffset,
        before: Before,
    ) -> Result<Rc<Segment>, IoError> {
        let active = self.log.active();
        assert!(before.offset <= start, "the log grows at its end");
        if start < active.end() {
            return Ok(active);
        }
        // What the old segment holds is durable before the new one exists: recovery relies on it.
        self.log.flush().await?;
        self.durable.set(before.offset);
        let header = SegmentHeader {
            store: self.store,
            base: active.end(),
            index: before.index,
            size: self.log.segment_size,
            chain: before.chain,
        };
        let (dir, method) = (&self.log.dir, self.method);
        let (file, name) = self.spares.take(&self.troubles).await?;
        Segment::give_name(dir, file, &name, &header).await?;
        let named = async || Segment::named(dir, header, method).await;
        let segment = self.troubles.opening(named).await?;
        self.spares.adopted();
        self.last_block.clear();
        Ok(self.log.add(segment))
    }

    /// Writes entries to `segment`: whole blocks in `buf`, which begin at `base`. The entries begin `residue`
    /// bytes into it, where the log ends, and end at `used`. Flushed when it returns, with [`Flush::Sync`].
    pub(crate) async fn write(
        &mut self,
        segment: &Segment,
        mut buf: Buffer,
        base: PhysicalOffset,
        entries: std::ops::Range<usize>,
    ) -> Result<Rc<Buffer>, IoError> {
        let residue = entries.start;
        assert_eq!(
            residue,
            self.last_block.len(),
            "what is written continues the log's last block"
        );
        assert!(entries.end <= buf.len() && residue < BLOCK, "the entries lie in the buffer");
        buf[..residue].copy_from_slice(&self.last_block);
        self.last_block.clear();
        self.last_block.extend_from_slice(&buf[entries.end / BLOCK * BLOCK..entries.end]);
        let buf = Rc::new(buf);
        match (self.flush, self.method) {
            (Flush::Sync, FlushMethod::Fdatasync) => segment.write_and_sync(&buf, base).await?,
            _ => segment.write(&buf, base).await?,
        }
        if self.flush == Flush::Sync {
            self.durable.set(base.plus(entries.end as u64));
        }
        Ok(buf)
    }
}

/// Where what was written at `start` is the first of its segment: notes beside the vote that the log reaches
/// into a new segment, before anybody is told of what is in it. Should the segment be gone at the next start,
/// the log is not taken for a shorter one.
pub(crate) async fn note_segment(
    vote: &mut VoteFile,
    start: PhysicalOffset,
    segment_size: u64,
) -> Result<(), IoError> {
    let last = vote.vote();
    if begins_segment(start, last.idle_mark, segment_size) {
        assert!(start > last.idle_mark, "the log grows at its end");
        vote.store(Vote { idle_mark: start, ..last }).await?;
    }
    Ok(())
}

/// Whether what is written at `start` is the first of its segment behind a log that reached to `mark`: where that is a
/// segment's end, the next one has nothing yet.
fn begins_segment(start: PhysicalOffset, mark: PhysicalOffset, segment_size: u64) -> bool {
    start.0 / segment_size != mark.0.saturating_sub(1) / segment_size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_fills_its_segment_has_not_begun_the_next_one() {
        let begins =
            |start, mark| begins_segment(PhysicalOffset(start), PhysicalOffset(mark), 1000);
        assert!(begins(1100, 990) && begins(1100, 1000) && begins(3100, 1200));
        assert!(!begins(1200, 1100) && !begins(1999, 1001) && !begins(100, 100));
    }
}
