//! Who makes a batch durable, and says when it is committed.

use std::rc::Rc;

use model::{PhysicalOffset, Term, UnixMillis};
use runtime::{Buffer, IoError};

use crate::batch::Batch;
use crate::entry::Local;
use crate::place::{LogEnd, PlacedEntry};
use crate::position::Position;
use crate::tip::{Before, Tip};

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
    pub tip: Tip,
    pub term: Term,
    pub generation: u64,
    pub end: LogEnd,
    /// Where the newest entry begins.
    pub last: PhysicalOffset,
}

impl Replicator for Standalone {
    fn accepts(&self) -> bool {
        true
    }

    async fn propose(&mut self, mut batch: Batch) -> Result<Committed, IoError> {
        let LogEnd { index, offset, chain, .. } = self.end;
        let segment = self.tip.segment_for(batch.start, Before { offset, index, chain }).await?;
        let residue = usize::try_from(batch.start.since(batch.base)).expect("less than a block");
        let local = Local {
            generation: self.generation,
            durable_through: self.tip.durable.get(),
            committed: self.end.index,
        };
        let entries =
            self.end.place(&mut batch, self.term, local, UnixMillis(runtime::unix_millis()));
        let (base, start, end) = (batch.base, batch.start, self.end.offset);
        let (used, memory) = (residue..batch.end, batch.memory);
        let buf = self.tip.write(&segment, batch.buf, base, used).await?;
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
}
