//! When messages were stored, and which message stands for a time.

use model::record::{self, Head};
use model::{QueueId, QueueOffset, UnixMillis};

use crate::error::ReadError;
use crate::index::Unit;
use crate::store::Store;

/// Records of at most so many bytes are read whole: they lie in two blocks at most, as a head may.
const WHOLE: u32 = 4096;

/// Which message a time stands for when several share it, or none has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// The first message at or after the time.
    Lower,
    /// The last message at or before the time.
    Upper,
}

impl Store {
    /// When the message was stored; `None` when the queue does not hold it.
    ///
    /// # Errors
    /// As [`Store::read_units`].
    pub async fn store_time(
        &self,
        topic: &str,
        queue: QueueId,
        offset: QueueOffset,
    ) -> Result<Option<UnixMillis>, ReadError> {
        let Some(unit) = self.unit(topic, queue, offset).await? else {
            return Ok(None);
        };
        self.store_time_of(unit, queue, offset).await.map(Some)
    }

    /// The store time of the record that `unit` and `offset` stand for. A search reads many: of a large record
    /// only the head is read, which no checksum covers alone, and everything in it that is known is compared.
    async fn store_time_of(
        &self,
        unit: Unit,
        queue: QueueId,
        offset: QueueOffset,
    ) -> Result<UnixMillis, ReadError> {
        let head_len = u32::try_from(record::HEAD_LEN).expect("a head is small");
        let len = if unit.size <= WHOLE { unit.size } else { head_len };
        let bytes = match self.try_read(unit.offset, unit.size) {
            Some(bytes) => bytes,
            None => self.peek(unit.offset, len).await?,
        };
        if bytes.len() == unit.size as usize {
            self.check_unit(&bytes, unit)?;
        }
        let damaged = |why| self.damaged(unit.offset, bytes.len(), why);
        let head = Head::parse(&bytes).map_err(|why| damaged(why.to_string()))?;
        let found = (head.physical_offset, head.len, head.queue_id, head.queue_offset);
        if found != (unit.offset, unit.size, queue, offset) {
            return Err(damaged(format!("another record is there: {head:?}")));
        }
        Ok(head.store_time)
    }

    /// The message that stands for `time` in the queue. Below the oldest message that is the oldest;
    /// beyond the newest it is the end of the queue ([`Boundary::Lower`]) or the newest message
    /// ([`Boundary::Upper`]), as RocketMQ 5.5.0's `ConsumeQueue.getOffsetInQueueByTime` has it. `None`
    /// when there is no such queue. Store times never fall along a queue, so this is a binary search.
    ///
    /// # Errors
    /// As [`Store::read_units`].
    pub async fn offset_by_time(
        &self,
        topic: &str,
        queue: QueueId,
        time: UnixMillis,
        boundary: Boundary,
    ) -> Result<Option<QueueOffset>, ReadError> {
        let Some(range) = self.queue(topic, queue) else {
            return Ok(None);
        };
        // The first message whose store time is at or after `time` (Lower), or after it (Upper).
        let (mut low, mut high) = (range.min, range.max);
        while low < high {
            let middle = QueueOffset(low.0 + (high.0 - low.0) / 2);
            let Some(stored) = self.store_time(topic, queue, middle).await? else {
                return Ok(self.queue(topic, queue).map(|range| range.min));
            };
            let before = match boundary {
                Boundary::Lower => stored < time,
                Boundary::Upper => stored <= time,
            };
            if before {
                low = middle.plus(1);
            } else {
                high = middle;
            }
        }
        Ok(Some(match boundary {
            Boundary::Lower => low,
            Boundary::Upper => QueueOffset(low.0.saturating_sub(1)).max(range.min),
        }))
    }
}
