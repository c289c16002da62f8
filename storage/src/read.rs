//! Reading committed records: from the tail's buffers, from the cache, or from the disk.

use std::rc::Rc;

use model::{PhysicalOffset, Record, record};
use runtime::{IoError, Slice};

use crate::cache::{FetchError, FileId, Place, Source, WINDOW, Want};
use crate::error::ReadError;
use crate::index::Unit;
use crate::segment::Segment;
use crate::store::Store;

/// Records of one pull that lie at most this far apart are read together, in bytes: reading what
/// lies between costs less than another read.
const GAP: u64 = 16 * 1024;
/// The most bytes that are read together, unless a single record is larger.
const MAX_READ: u64 = WINDOW as u64;
/// Bytes that are read to see how long a record is.
const PROBE: u32 = 4096;
/// Windows of the cache that the answer to one request keeps alive, at [`WINDOW`] bytes each. When records
/// lie further apart than that, the rest of them is copied.
const MAX_PINNED: usize = 64;

impl Source for Segment {
    async fn read_at(&self, pos: u64, len: usize) -> Result<Slice, IoError> {
        self.file.read_at(pos, len).await
    }

    async fn read_windows(&self, pos: u64, count: usize) -> Result<Vec<Slice>, IoError> {
        self.file.read_pieces(pos, WINDOW, count).await
    }
}

/// Committed bytes and the segment that holds them.
struct Located {
    segment: Rc<Segment>,
    /// Where they begin in the segment.
    pos: u64,
    /// End of the segment's committed bytes, from its beginning.
    limit: u64,
    /// They lie so near to the end of the log that several readers are to be expected.
    near: bool,
}

impl Located {
    fn place(&self) -> Place<'_, Segment> {
        let file = self.segment.cache_id();
        Place { source: &self.segment, file, limit: self.limit, shared: self.near }
    }

    fn error(&self, offset: PhysicalOffset, why: FetchError) -> Option<ReadError> {
        let segment = self.segment.path();
        match why {
            FetchError::Forgotten => None,
            FetchError::Short => {
                let why = "the segment is shorter than it was".into();
                Some(ReadError::Damaged { segment, offset, why })
            }
            FetchError::Io(source) => Some(ReadError::Io { offset, source }),
        }
    }
}

impl Segment {
    /// What the segment is called in the cache. Its base is a multiple of a block: numbers that are not
    /// are free for other files.
    pub(crate) fn cache_id(&self) -> FileId {
        FileId(self.header.base.0)
    }
}

impl Store {
    /// The committed bytes `offset..offset + len`, if they are still in memory. No copy, no waiting.
    #[must_use]
    pub fn try_read(&self, offset: PhysicalOffset, len: u32) -> Option<Slice> {
        // The tail of a member has what is written, and not committed.
        let end = offset.0.checked_add(u64::from(len))?;
        if end > self.inner.committed.get().0 {
            return None;
        }
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
        self.fetch(offset, len, len).await
    }

    /// Waits until the log is not being written or flushed, half a millisecond at most: for work that can wait. The kernel
    /// has a flush made by a thread on the core of the shard, so all that the shard does meanwhile holds it up. False when
    /// the log is being written all the same: that takes longer, or the next write has begun. Cancel safe.
    pub async fn between_writes(&self) -> bool {
        self.inner.cache.between_writes().await
    }

    /// At least `len` and at most `run` bytes from `offset` on, from the cache or the disk. `run` ends
    /// within the segment.
    async fn fetch(&self, offset: PhysicalOffset, len: u32, run: u32) -> Result<Slice, ReadError> {
        loop {
            let at = self.locate(offset, run)?;
            let want = Want { pos: at.pos, len: len as usize, run: run as usize };
            match self.inner.cache.fetch(&at.place(), want).await {
                Ok(bytes) => return Ok(bytes),
                Err(why) => match at.error(offset, why) {
                    Some(error) => return Err(self.noted(offset, error)),
                    // A segment was recycled, or the log was cut. If it was another one, this read has
                    // nothing to fear but must be made again.
                    None => continue,
                },
            }
        }
    }

    /// As [`Store::read`] from the disk, for a few bytes that nobody will ask for again.
    pub(crate) async fn peek(&self, offset: PhysicalOffset, len: u32) -> Result<Slice, ReadError> {
        loop {
            let at = self.locate(offset, len)?;
            match self.inner.cache.peek(&at.place(), at.pos, len as usize).await {
                Ok(bytes) => return Ok(bytes),
                Err(why) => match at.error(offset, why) {
                    Some(error) => return Err(self.noted(offset, error)),
                    None => continue,
                },
            }
        }
    }

    /// Notes what the disk does not give, for whoever repairs.
    fn noted(&self, offset: PhysicalOffset, error: ReadError) -> ReadError {
        let is_damage = match &error {
            ReadError::Io { source, .. } => source.is_unreadable(),
            _ => true,
        };
        if is_damage {
            self.inner.spots.note(offset);
        }
        error
    }

    fn locate(&self, offset: PhysicalOffset, len: u32) -> Result<Located, ReadError> {
        let (min, max) = (self.inner.oldest(), self.inner.committed.get());
        let outside = ReadError::OutOfRange { offset, len: u64::from(len), min, max };
        if offset < min || len == 0 {
            return Err(outside);
        }
        let Some(segment) = self.inner.log.at(offset) else {
            return Err(outside);
        };
        let base = segment.header.base;
        let limit = max.min(segment.end());
        if offset.0.checked_add(u64::from(len)).is_none_or(|end| end > limit.0) {
            return Err(outside);
        }
        let options = &self.inner.options;
        let near = max.since(offset) <= (options.tail_budget + options.cache_size / 2) as u64;
        Ok(Located { pos: offset.since(base), limit: limit.since(base), near, segment })
    }

    /// The records of `units`, each checked against its CRC when it comes from the disk. Records that
    /// lie close together are read together. Cancel safe.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] names the record that is not what was written.
    pub async fn read_units(&self, units: &[Unit]) -> Result<Vec<Slice>, ReadError> {
        let mut records = Vec::with_capacity(units.len());
        let mut left = units;
        let mut pinned = 0;
        while let Some(first) = left.first() {
            if let Some(found) = self.try_read(first.offset, first.size) {
                records.push(found);
                left = &left[1..];
                continue;
            }
            let (_, run) = together(left, self.inner.log.segment_size);
            let mut bytes = self.fetch(first.offset, first.size, run).await?;
            let (count, len) = within(left, bytes.len());
            pinned += 1;
            if pinned > MAX_PINNED {
                let mut copy = runtime::buffer(len);
                copy.copy_from_slice(&bytes[..len]);
                bytes = Slice::new(Rc::new(copy), 0..len);
            }
            for unit in &left[..count] {
                let at = usize::try_from(unit.offset.since(first.offset)).expect("within one read");
                let record = bytes.slice(at..at + unit.size as usize);
                self.check_unit(&record, *unit)?;
                records.push(record);
            }
            self.served(&left[..count]);
            left = &left[count..];
        }
        Ok(records)
    }

    /// Tells the cache what was read from it.
    fn served(&self, units: &[Unit]) {
        let Some(segment) = self.inner.log.at(units[0].offset) else {
            return;
        };
        let bytes = units.iter().map(|unit| u64::from(unit.size)).sum();
        let pos = units[0].offset.since(segment.header.base);
        self.inner.cache.served(segment.cache_id(), pos, bytes);
    }

    /// Checks that `bytes` are the record that was written at `offset`. If they are not, the next reader
    /// finds them on the disk and not in the cache.
    pub(crate) fn check<'a>(
        &self,
        bytes: &'a [u8],
        offset: PhysicalOffset,
    ) -> Result<Record<'a>, ReadError> {
        check(bytes, offset).map_err(|why| self.damaged(offset, bytes.len(), why))
    }

    /// As [`Store::check`], of a message that a queue has: every byte of its record is looked at.
    pub(crate) fn check_unit<'a>(
        &self,
        bytes: &'a [u8],
        unit: Unit,
    ) -> Result<Record<'a>, ReadError> {
        check_unit(bytes, unit).map_err(|why| self.damaged(unit.offset, bytes.len(), why))
    }

    /// What is said of bytes that are not what was written.
    pub(crate) fn damaged(&self, offset: PhysicalOffset, len: usize, why: String) -> ReadError {
        let Some(segment) = self.inner.log.at(offset) else {
            let (min, max) = (self.inner.oldest(), self.inner.committed.get());
            return ReadError::OutOfRange { offset, len: len as u64, min, max };
        };
        let pos = offset.since(segment.header.base);
        self.inner.cache.distrust(segment.cache_id(), pos, len as u64);
        self.inner.spots.note(offset);
        ReadError::Damaged { segment: segment.path(), offset, why }
    }

    /// The record that begins at `offset`, checked: all of it if its queue still has it, else its body.
    /// Cancel safe.
    ///
    /// # Errors
    /// [`ReadError::NoRecord`] when none begins there.
    pub async fn record_at(&self, offset: PhysicalOffset) -> Result<Slice, ReadError> {
        let bytes = self.body_checked_at(offset).await?;
        self.check_whole(&bytes).await?;
        Ok(bytes)
    }

    /// Checks `bytes`, which are a record by its body, against what its queue says of it.
    pub(crate) async fn check_whole(&self, bytes: &[u8]) -> Result<(), ReadError> {
        let record = Record::parse(bytes).expect("it was just checked");
        if !self.still_holds(&record) {
            return Ok(());
        }
        let (queue, offset) = (record.queue_id(), record.queue_offset());
        let units = self.older_units(record.topic(), queue, offset, 1).await?;
        let Some((_, unit)) = units.first() else {
            return Ok(()); // trimmed or deleted meanwhile
        };
        let at = record.physical_offset();
        if unit.offset != at {
            let why =
                format!("message {offset} of queue {queue} of `{}` is elsewhere", record.topic());
            return Err(self.damaged(at, bytes.len(), why));
        }
        self.check_unit(bytes, *unit).map(drop)
    }

    /// The record that begins at `offset`, of which the body is checked.
    pub(crate) async fn body_checked_at(&self, offset: PhysicalOffset) -> Result<Slice, ReadError> {
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
        let bytes = if len <= begin.len() {
            begin.slice(0..len)
        } else {
            let len = u32::try_from(len).expect("a record is within its segment");
            self.read(offset, len).await?
        };
        let record = Record::parse(&bytes).map_err(|why| ReadError::NoRecord { offset, why })?;
        // A body may hold bytes that look like a record; only a real one knows its own place.
        if record.physical_offset() != offset {
            let why = model::RecordError::Magic(0);
            return Err(ReadError::NoRecord { offset, why });
        }
        self.check(&bytes, offset)?;
        Ok(bytes)
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

/// How many of the leading units lie within the first `available` bytes from the first one, and the bytes
/// to their end.
fn within(units: &[Unit], available: usize) -> (usize, usize) {
    let (mut count, mut len) = (0, 0);
    for unit in units {
        let Some(at) = unit.offset.0.checked_sub(units[0].offset.0) else {
            break;
        };
        let end = at + u64::from(unit.size);
        if end > available as u64 {
            break;
        }
        len = len.max(usize::try_from(end).expect("within the bytes that are there"));
        count += 1;
    }
    assert!(count > 0, "the first unit was read");
    (count, len)
}

/// The record that was written at `offset`, if `bytes` are that.
fn check(bytes: &[u8], offset: PhysicalOffset) -> Result<Record<'_>, String> {
    let record = Record::parse(bytes).map_err(|why| why.to_string())?;
    record.check_body().map_err(|why| why.to_string())?;
    if record.physical_offset() != offset {
        return Err(format!("the record says it is at {}", record.physical_offset()));
    }
    if record.bytes().len() != bytes.len() {
        let (says, was) = (record.bytes().len(), bytes.len());
        return Err(format!("the record says it has {says} bytes, {was} were written"));
    }
    Ok(record)
}

/// The record of `unit`, if `bytes` are that.
fn check_unit(bytes: &[u8], unit: Unit) -> Result<Record<'_>, String> {
    let found = crc32c::crc32c(bytes);
    if found != unit.crc {
        return Err(format!("the record has CRC {found:08x}, {:08x} was written", unit.crc));
    }
    let record = Record::parse(bytes).map_err(|why| why.to_string())?;
    assert_eq!(
        record.physical_offset(),
        unit.offset,
        "a unit is made of the record that it is for"
    );
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_read_together() {
        let unit =
            |offset, size| Unit { offset: PhysicalOffset(offset), size, tag_hash: 0, crc: 0 };
        let near = [unit(100, 50), unit(150, 50), unit(1000, 10)];
        assert_eq!(together(&near, 1 << 20), (3, 910));
        let far = [unit(100, 50), unit(150 + GAP + 1, 50)];
        assert_eq!(together(&far, 1 << 20), (1, 50));
        let crossing = [unit(900, 100), unit(1100, 50)];
        assert_eq!(together(&crossing, 1000), (1, 100));
        let large = [unit(0, 1_000_000), unit(1_000_000, 1_000_000)];
        assert_eq!(together(&large, 1 << 30), (1, 1_000_000));
    }

    #[test]
    fn units_are_taken_while_they_are_there_whole() {
        let unit =
            |offset, size| Unit { offset: PhysicalOffset(offset), size, tag_hash: 0, crc: 0 };
        let units = [unit(100, 50), unit(160, 50), unit(300, 10)];
        assert_eq!(within(&units, 50), (1, 50));
        assert_eq!(within(&units, 109), (1, 50));
        assert_eq!(within(&units, 110), (2, 110));
        assert_eq!(within(&units, 1000), (3, 210));
        assert_eq!(within(&[unit(100, 50), unit(90, 5)], 1000), (1, 50));
    }
}
