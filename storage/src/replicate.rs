//! Who makes a batch durable, and says when it is committed.

use std::rc::Rc;

use model::{PhysicalOffset, Term, UnixMillis};
use runtime::{Buffer, IoError};

use crate::batch::Batch;
use crate::entry::Local;
use crate::identity::StoreId;
use crate::log::Log;
use crate::options::{Flush, FlushMethod};
use crate::place::{LogEnd, PlacedEntry};
use crate::position::Position;
use crate::provision::Spares;
use crate::segment::{Segment, SegmentHeader};
use crate::trouble::Troubles;

/// A batch that is committed.
#[derive(Debug)]
pub(crate) struct Committed {
    pub buf: Rc<Buffer>,
    /// Bytes of memory behind `buf`.
    pub memory: usize,
    pub base: PhysicalOffset,
    pub start: PhysicalOffset,
    pub end: PhysicalOffset,
    pub entries: Vec<PlacedEntry>,
}

/// Makes batches durable in the order in which they are proposed.
pub(crate) trait Replicator {
    /// Whether batches may be proposed here now, or somewhere else.
    fn accepts(&self) -> bool;

    /// Places the batch, makes it durable and resolves when it is committed. Not to be cancelled:
    /// what a dropped proposal has written is unknown. After an error nothing more may be proposed.
    async fn propose(&mut self, batch: Batch) -> Result<Committed, IoError>;
}

/// A group of one: what the local disk has is committed.
pub(crate) struct Standalone {
    pub log: Rc<Log>,
    pub store: StoreId,
    pub flush: Flush,
    pub term: Term,
    pub generation: u64,
    pub end: LogEnd,
    /// The block that the log ends in, up to that end.
    pub last_block: Vec<u8>,
    /// Up to here the log is known to be durable.
    pub durable: Rc<std::cell::Cell<PhysicalOffset>>,
    /// Where the newest entry begins.
    pub last: PhysicalOffset,
    /// Where the next segment's file comes from.
    pub spares: Rc<Spares>,
    pub troubles: Rc<Troubles>,
    pub method: FlushMethod,
}

impl Replicator for Standalone {
    fn accepts(&self) -> bool {
        true
    }

    async fn propose(&mut self, mut batch: Batch) -> Result<Committed, IoError> {
        let segment = self.segment_for(&batch).await?;
        let residue = usize::try_from(batch.start.since(batch.base)).expect("less than a block");
        assert_eq!(
            residue,
            self.last_block.len(),
            "a batch continues the block that the log ends in"
        );
        batch.buf[..residue].copy_from_slice(&self.last_block);
        let local = Local {
            generation: self.generation,
            durable_through: self.durable.get(),
            committed: self.end.index,
        };
        let entries =
            self.end.place(&mut batch, self.term, local, UnixMillis(runtime::unix_millis()));
        let (base, start, end) = (batch.base, batch.start, self.end.offset);
        let begin_of_last = batch.end / runtime::BLOCK * runtime::BLOCK;
        self.last_block.clear();
        self.last_block.extend_from_slice(&batch.buf[begin_of_last..batch.end]);
        let (buf, memory) = (Rc::new(batch.buf), batch.memory);
        segment.write(&buf, base).await?;
        if self.flush == Flush::Sync {
            if self.method == FlushMethod::Fdatasync {
                segment.file.sync().await?;
            }
            self.durable.set(end);
        }
        self.last = entries.last().expect("a batch has an entry").header.offset;
        Ok(Committed { buf, memory, base, start, end, entries })
    }
}

impl Standalone {
    /// The end of the log.
    pub(crate) fn position(&self) -> Position {
        Position {
            offset: self.end.offset,
            index: self.end.index,
            term: self.term,
            chain: self.end.chain,
            timestamp: self.end.timestamp,
            generation: self.generation,
            last: self.last,
        }
    }

    /// The segment that the batch goes to: the active one, or a new one behind it.
    async fn segment_for(&mut self, batch: &Batch) -> Result<Rc<Segment>, IoError> {
        let active = self.log.active();
        if batch.start < active.end() {
            return Ok(active);
        }
        // What the old segment holds is durable before the new one exists: recovery relies on it.
        active.file.sync().await?;
        self.durable.set(self.end.offset);
        let header = SegmentHeader {
            store: self.store,
            base: active.end(),
            index: self.end.index,
            size: self.log.segment_size,
            chain: self.end.chain,
        };
        let (dir, method) = (&self.log.dir, self.method);
        let (file, name) = self.spares.take(&self.troubles).await?;
        Segment::give_name(dir, file, &name, &header).await?;
        let named = async || Segment::named(dir, header, method).await;
        let segment = self.troubles.opening(named).await?;
        self.spares.adopted();
        self.last_block.clear();
        self.end.offset = segment.first_entry();
        Ok(self.log.add(segment))
    }
}
