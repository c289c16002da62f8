//! Checkpoints: what the log before a point comes to, so that a start reads only what follows it.
//!
//! A checkpoint is one file, named by its offset. It is written only once the log is durable up to that
//! point, and replaces nothing: the ones at the beginning of each segment stay as long as the segment
//! does (a trim begins there, and so does whoever has to rebuild an index), of the others the newest
//! two.

mod files;
pub(crate) mod format;

use std::collections::HashMap;
use std::rc::Rc;

use model::{PhysicalOffset, QueueOffset};

pub use files::CheckpointError;
pub(crate) use files::{Checkpoints, UNREADY, read_whole, write_whole};

use crate::membership::Membership;
use crate::part::QueueKey;
use crate::position::Position;
use crate::topics::Topics;

/// The oldest message of each queue that has lost some to a trim.
pub(crate) type Mins = Rc<HashMap<QueueKey, QueueOffset>>;

/// All state that the log before a point comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub position: Position,
    /// The log before this offset has been trimmed.
    pub trim: PhysicalOffset,
    /// Bytes of the largest record there ever was.
    pub largest_record: u32,
    pub membership: Membership,
    pub topics: Topics,
    pub mins: Mins,
    /// What the store's owner made of the log, in its own format.
    pub owner: Vec<u8>,
}

impl Checkpoint {
    /// The next offset of each queue: where a queue begins for those who trim the log to this point.
    pub(crate) fn ends(&self) -> Mins {
        let mut ends = HashMap::new();
        for (key, next) in self.topics.queues().filter(|(_, next)| *next > QueueOffset(0)) {
            ends.insert(key, next);
        }
        ends.into()
    }
}

#[cfg(test)]
mod tests;
