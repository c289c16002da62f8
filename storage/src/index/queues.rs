//! The queues as their readers see them, as far as their newest messages are in memory.

use std::ops::ControlFlow;

use model::{PhysicalOffset, QueueId, QueueOffset};

use super::Index;
use crate::part::{Packed, QueueKey};
use crate::topics::Counter;

/// A message in the log, as its queue knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Where its record begins.
    pub offset: PhysicalOffset,
    /// Bytes of its record.
    pub size: u32,
    /// See [`model::tag::tag_hash`].
    pub tag_hash: i64,
    /// CRC-32C of its record: whoever reads it knows whether that is what was written.
    pub crc: u32,
}

/// The committed messages of a queue: `min` up to, but without, `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueRange {
    /// The oldest message's offset, or `max` when there is none.
    pub min: QueueOffset,
    /// The offset that the next message gets.
    pub max: QueueOffset,
}

/// Whether all that was asked for is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It was, and has been seen.
    Memory,
    /// It begins in an older part of the index, which is on the disk; nothing was seen.
    Disk,
}

impl Index {
    /// A queue that is there, where it begins, and how far it has counted.
    pub(crate) fn queue(
        &self,
        topic: &str,
        queue: QueueId,
    ) -> Option<(QueueKey, QueueOffset, Counter)> {
        let topic = self.topics.find(topic)?;
        let counter = topic.counter(queue)?;
        let key = QueueKey { incarnation: topic.incarnation, queue };
        let min = self.mins.get(&key).copied().unwrap_or_default();
        assert!(min <= counter.next, "a queue's oldest message is not beyond its newest");
        Some((key, min, counter))
    }

    pub(crate) fn range(&self, topic: &str, queue: QueueId) -> Option<QueueRange> {
        let (_, min, counter) = self.queue(topic, queue)?;
        Some(QueueRange { min, max: counter.next })
    }

    /// Calls `visit` for the messages from `from` on, in order, until it breaks or `max` were seen; for
    /// none of them if the first one is not in memory.
    pub(crate) fn visit(
        &self,
        topic: &str,
        queue: QueueId,
        from: QueueOffset,
        max: usize,
        mut visit: impl FnMut(QueueOffset, Unit) -> ControlFlow<()>,
    ) -> Reach {
        let Some((key, min, Counter { next, .. })) = self.queue(topic, queue) else {
            return Reach::Memory;
        };
        let (mut at, mut left) = (from.max(min), max);
        if at >= next || left == 0 {
            return Reach::Memory;
        }
        let mut seen = false;
        for part in self.in_memory() {
            let Some((first, units)) = part.run(&key) else { continue };
            if first > at {
                assert!(!seen, "a queue's runs follow each other");
                return Reach::Disk;
            }
            let skip = usize::try_from(at.0 - first.0).unwrap_or(usize::MAX);
            for packed in units.iter().skip(skip).take(left) {
                seen = true;
                left -= 1;
                if visit(at, packed.unit(part.base())).is_break() || left == 0 {
                    return Reach::Memory;
                }
                at = at.plus(1);
            }
        }
        if seen { Reach::Memory } else { Reach::Disk }
    }
}

impl Packed {
    /// With what its segment, which begins at `base`, tells.
    pub(crate) fn unit(self, base: PhysicalOffset) -> Unit {
        let Self { at, size, tag_hash, crc } = self;
        Unit { offset: base.plus(u64::from(at)), size, tag_hash: tag_hash.into(), crc }
    }
}
