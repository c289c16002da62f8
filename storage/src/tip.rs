//! Where the log grows: the one way in which entries come onto the disk.

use std::cell::Cell;
use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use model::{LogIndex, PhysicalOffset};
use runtime::{BLOCK, Buffer, File, IoError};

use crate::identity::StoreId;
use crate::log::Log;
use crate::options::{Flush, FlushMethod};
use crate::provision::Spares;
use crate::segment::{Segment, SegmentHeader};
use crate::trouble::{Trouble, Troubles};
use crate::vote::{Vote, VoteFile};

/// Time between two attempts to get a file on a full disk.
const RETRY: Duration = Duration::from_millis(500);

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
    /// Waits for space where a segment cannot be made because the disk is full. Whoever drafts what is written asks
    /// before that whether there is a file; what comes from elsewhere has to wait.
    pub patient: Rc<Cell<bool>>,
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
        let (file, name) = self.take_file().await?;
        Segment::give_name(dir, file, &name, &header).await?;
        let named = async || Segment::named(dir, header, method).await;
        let segment = self.troubles.opening(named).await?;
        self.spares.adopted();
        self.last_block.clear();
        Ok(self.log.add(segment))
    }

    async fn take_file(&self) -> Result<(File, PathBuf), IoError> {
        loop {
            match self.spares.take(&self.troubles).await {
                Err(error) if self.patient.get() && error.is_storage_full() => {
                    self.troubles.begin(Trouble::SegmentFile, error);
                    self.spares.wake();
                    runtime::sleep(RETRY).await;
                }
                taken => return taken,
            }
        }
    }

    /// Writes entries to `segment`, as [`Tip::write_whole`], but for what `buf` begins with: that is copied into it.
    pub(crate) async fn write(
        &mut self,
        segment: &Segment,
        mut buf: Buffer,
        base: PhysicalOffset,
        entries: Range<usize>,
    ) -> Result<Rc<Buffer>, IoError> {
        continue_block(&mut buf, entries.start, &self.last_block);
        let buf = Rc::new(buf);
        self.write_whole(segment, &buf, base, entries).await?;
        Ok(buf)
    }

    /// Writes entries to `segment`: whole blocks in `buf`, which begin at `base`, with the log's last block. The entries
    /// lie at `entries`, the first of them where the log ends. Flushed when it returns, with [`Flush::Sync`].
    pub(crate) async fn write_whole(
        &mut self,
        segment: &Segment,
        buf: &Rc<Buffer>,
        base: PhysicalOffset,
        entries: Range<usize>,
    ) -> Result<(), IoError> {
        assert!(entries.end <= buf.len() && entries.start < BLOCK, "the entries lie in the buffer");
        assert!(
            buf[..entries.start] == self.last_block,
            "what is written continues the log's last block"
        );
        keep_block(&mut self.last_block, buf, entries.end);
        match (self.flush, self.method) {
            (Flush::Sync, FlushMethod::Fdatasync) => segment.write_and_sync(buf, base).await?,
            _ => segment.write(buf, base).await?,
        }
        if self.flush == Flush::Sync {
            self.durable.set(base.plus(entries.end as u64));
        }
        Ok(())
    }
}

/// Copies the log's last block into a buffer that continues it at `residue`.
pub(crate) fn continue_block(buf: &mut Buffer, residue: usize, last_block: &[u8]) {
    assert_eq!(residue, last_block.len(), "what is written continues the log's last block");
    buf[..residue].copy_from_slice(last_block);
}

/// Keeps the block that entries end in which lie in `buf` up to `end`.
pub(crate) fn keep_block(last_block: &mut Vec<u8>, buf: &Buffer, end: usize) {
    last_block.clear();
    last_block.extend_from_slice(&buf[end / BLOCK * BLOCK..end]);
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
