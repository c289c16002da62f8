//! The index in parts: where the messages of each queue are, and which messages have a key.
//!
//! A part covers a range of the log within one segment. The newest one grows in memory ([`Growing`]);
//! once it is large enough it is [`Frozen`] and written to a file ([`write()`]), and when its segment is
//! complete the files are made into one ([`merge()`]). A [`PartFile`] is read block by block.
//!
//! Parts are derived from the log and nothing else. A file that is damaged is found out by the CRC of
//! its blocks, never believed, and made anew from the log by whoever owns the parts.
//! `docs/format/index.md` has the tables.

use std::fmt;

use model::QueueId;

use crate::topics::Incarnation;

mod by_queue;
mod check;
mod dir;
mod error;
mod file;
mod format;
pub(crate) mod fuzz;
mod growing;
mod header;
mod join;
mod merge;
mod name;
mod output;
mod pace;
mod scan;
mod sorted;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use dir::PartDir;
#[cfg(test)]
pub(crate) use error::BadPart;
pub(crate) use error::PartError;
pub(crate) use file::{PartFile, RunAt};
pub(crate) use growing::{Frozen, Growing};
pub(crate) use merge::{MERGE_MAX_PARTS, merge};
pub(crate) use name::{Span, list};
pub(crate) use write::write;

/// A queue of one life of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct QueueKey {
    pub incarnation: Incarnation,
    pub queue: QueueId,
}

impl fmt::Display for QueueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue {} of the topic made by entry {}", self.queue, self.incarnation.0)
    }
}

/// A message of a queue, without what its segment already tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    /// Where its record begins, in bytes from the segment's beginning; segments are below 4 GiB.
    pub at: u32,
    /// Bytes of its record.
    pub size: u32,
    /// See [`model::tag::tag_hash`].
    pub tag_hash: i32,
    /// CRC-32C of its record.
    pub crc: u32,
}

const _: () = assert!(size_of::<Packed>() == 16);

/// A key and a message that has it, perhaps: other keys may have the same hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyAt {
    /// See [`key_hash`].
    pub hash: u32,
    /// As [`Packed::at`].
    pub at: u32,
}

const _: () = assert!(size_of::<KeyAt>() == 8);

/// The hash that a key of a topic's message is filed under: a key out of KEYS, or the unique key. It is
/// on the disk and therefore never changes. The pair is joined as RocketMQ 5.5.0's
/// `IndexService.buildKey` joins it.
pub(crate) fn key_hash(topic: &str, key: &str) -> u32 {
    let topic = crc32c::crc32c(topic.as_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(topic, b"#"), key.as_bytes())
}
