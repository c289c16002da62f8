//! Reading committed records: from the tail's buffers, or from the disk.

use model::{PhysicalOffset, QueueId, QueueOffset, Record, UnixMillis, record};
use runtime::Slice;

use crate::error::ReadError;
use crate::index::{Boundary, Unit};
use crate::store::Store;

/// Records of one pull that lie at most this far apart are read together, in bytes: reading what
/// lies between costs less than another read.
const GAP: u64 = 16 * 1024;
/// The most bytes of one read, unless a single record is larger.
const MAX_READ: u64 = 1024 * 1024;
/// Bytes that are read to see how long a record is.
const PROBE: u32 = 4096;

impl Store {
    /// The committed bytes `offset..offset + len`, if they are still in memory. No copy, no waiting.
    #[must_use]
    pub fn try_read(&self, offset: PhysicalOffset, len: u32) -> Option<Slice> {
        self.inner.tail.borrow().find(offset, len as usize)
    }

    /// The committed bytes `offset..offset + len`. They are given as they are on the disk; see
    /// [`Store::read_units`] for checked records. Cancel safe.
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`] for what is not in the log, [`ReadError::Io`] for the disk.
    pub async fn read(&self, offset: PhysicalOffset, len: u32) -> Result<Slice, ReadError> {
        if let Some(found) = self.try_read(offset, len) {
            return Ok(found);
        }
        let (min, max) = (self.inner.oldest(), self.inner.committed.get());
        let outside = ReadError::OutOfRange { offset, len: u64::from(len), min, max };
        if offset < min || offset.0.checked_add(u64::from(len)).is_none_or(|end| end > max.0) {
            return Err(outside);
        }
        let Some(segment) = self.inner.log.at(offset) else {
            return Err(outside);
        };
        let bytes = segment.file.read_at(offset.since(segment.header.base), len as usize).await?;
        if bytes.len() < len as usize {
            return Err(ReadError::Damaged {
                offset,
                why: "the segment is shorter than it was".into(),
            });
        }
        Ok(bytes)
    }

    /// The records of `units`, each checked against its CRC when it comes from the disk. Records that
    /// lie close together are read together. Cancel safe.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] names the record that is not what was written.
    pub async fn read_units(&self, units: &[Unit]) -> Result<Vec<Slice>, ReadError> {
        let mut records = Vec::with_capacity(units.len());
        let mut left = units;
        while let Some(first) = left.first() {
            if let Some(found) = self.try_read(first.offset, first.size) {
                records.push(found);
                left = &left[1..];
                continue;
            }
            let (count, len) = together(left, self.inner.log.segment_size);
            let bytes = self.read(first.offset, len).await?;
            for unit in &left[..count] {
                let at = usize::try_from(unit.offset.since(first.offset)).expect("within one read");
                let slice = bytes.slice(at..at + unit.size as usize);
                check(&slice, unit.offset)?;
                records.push(slice);
            }
            left = &left[count..];
        }
        Ok(records)
    }

    /// The record that begins at `offset`, checked. Cancel safe.
    ///
    /// # Errors
    /// [`ReadError::NoRecord`] when none begins there.
    pub async fn record_at(&self, offset: PhysicalOffset) -> Result<Slice, ReadError> {
        let (min, max) = (self.inner.oldest(), self.inner.committed.get());
        let shortest = record::MIN_LEN as u64;
        if offset < min || offset.0.checked_add(shortest).is_none_or(|end| end > max.0) {
            return Err(ReadError::OutOfRange { offset, len: shortest, min, max });
        }
        let probe = u32::try_from(max.since(offset)).unwrap_or(PROBE).min(PROBE);
        let segment_end =
            (offset.0 / self.inner.log.segment_size + 1) * self.inner.log.segment_size;
        let in_segment = u32::try_from(segment_end - offset.0).unwrap_or(u32::MAX);
        let begin = self.read(offset, probe.min(in_segment)).await?;
        let len = match Record::parse(&begin) {
            Ok(record) => record.bytes().len(),
            Err(model::RecordError::Short { needed, .. }) if needed > begin.len() => needed,
            Err(why) => return Err(ReadError::NoRecord { offset, why }),
        };
        // Bytes that only look like a record may claim any length; no more is read than a record has.
        let most = in_segment.min(self.inner.index.borrow().largest_record());
        if len as u64 > u64::from(most) {
            let why = model::RecordError::Short { needed: len, available: most as usize };
            return Err(ReadError::NoRecord { offset, why });
        }
        let len = u32::try_from(len).expect("a record is within its segment");
        let bytes = self.read(offset, len).await?;
        let record = Record::parse(&bytes).map_err(|why| ReadError::NoRecord { offset, why })?;
        // A body may hold bytes that look like a record; only a real one knows its own place.
        if record.physical_offset() != offset {
            let why = model::RecordError::Magic(0);
            return Err(ReadError::NoRecord { offset, why });
        }
        check(&bytes, offset)?;
        Ok(bytes)
    }

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
        self.store_time_of(unit).await.map(Some)
    }

    async fn store_time_of(&self, unit: Unit) -> Result<UnixMillis, ReadError> {
        let bytes = self.read(unit.offset, unit.size).await?;
        let record = check(&bytes, unit.offset)?;
        Ok(record.store_time())
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

/// How many of the leading units are read together, and the bytes from the first to their end.
fn together(units: &[Unit], segment_size: u64) -> (usize, u32) {
    let first = units[0];
    let segment = first.offset.0 / segment_size;
    let mut end = first.offset.plus(u64::from(first.size));
    let mut count = 1;
    for unit in &units[1..] {
        let unit_end = unit.offset.plus(u64::from(unit.size));
        let close = unit.offset >= end && unit.offset.since(end) <= GAP;
        let same = unit.offset.0 / segment_size == segment;
        if !close || !same || unit_end.since(first.offset) > MAX_READ {
            break;
        }
        end = unit_end;
        count += 1;
    }
    (count, u32::try_from(end.since(first.offset)).expect("one read is below 4 GiB"))
}

/// Checks that `bytes` are the record that was written at `offset`.
fn check(bytes: &[u8], offset: PhysicalOffset) -> Result<Record<'_>, ReadError> {
    let damaged = |why: String| ReadError::Damaged { offset, why };
    let record = Record::parse(bytes).map_err(|why| damaged(why.to_string()))?;
    record.check_body().map_err(|why| damaged(why.to_string()))?;
    if record.physical_offset() != offset {
        return Err(damaged(format!("the record says it is at {}", record.physical_offset())));
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_read_together() {
        let unit = |offset, size| Unit { offset: PhysicalOffset(offset), size, tag_hash: 0 };
        let near = [unit(100, 50), unit(150, 50), unit(1000, 10)];
        assert_eq!(together(&near, 1 << 20), (3, 910));
        let far = [unit(100, 50), unit(150 + GAP + 1, 50)];
        assert_eq!(together(&far, 1 << 20), (1, 50));
        let crossing = [unit(900, 100), unit(1100, 50)];
        assert_eq!(together(&crossing, 1000), (1, 100));
        let large = [unit(0, 1_000_000), unit(1_000_000, 1_000_000)];
        assert_eq!(together(&large, 1 << 30), (1, 1_000_000));
    }
}
