//! A message as the index takes it.

use model::record::Head;
use model::{PhysicalOffset, QueueId, QueueOffset, Record, UnixMillis};

use crate::batch::BatchRecord;
use crate::entry::Replicated;
use crate::topics::Slot;

/// What the index has to know of a committed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub topic: &'a str,
    /// Where its topic stands, as far as the caller knows.
    pub slot: Option<Slot>,
    pub queue: QueueId,
    pub offset: QueueOffset,
    pub physical: PhysicalOffset,
    /// Bytes of its record.
    pub size: u32,
    /// CRC-32C of its record.
    pub crc: u32,
    pub stored: UnixMillis,
    /// Its property text.
    pub properties: &'a [u8],
}

impl<'a> Message<'a> {
    /// As it is read from the log.
    pub(crate) fn read(record: &Record<'a>) -> Self {
        Self {
            topic: record.topic(),
            slot: None,
            queue: record.queue_id(),
            offset: record.queue_offset(),
            physical: record.physical_offset(),
            size: size(record.bytes().len()),
            crc: crc32c::crc32c(record.bytes()),
            stored: record.store_time(),
            properties: record.properties(),
        }
    }

    /// As it was just written in the entry of this header: `record` are its bytes. What was found when it was drafted
    /// and placed is not looked for in them again.
    pub(crate) fn written(draft: &'a BatchRecord, header: &Replicated, record: &'a [u8]) -> Self {
        let stamped = draft.stamped.expect("what was written was placed");
        assert!(record.len() == draft.len && draft.properties <= draft.len);
        let head = Head::parse(record).expect("a record was written");
        assert!(head.len as usize == draft.len && head.physical_offset == stamped.physical);
        assert!(head.queue_id == draft.queue && head.queue_offset == stamped.offset);
        Self {
            topic: &draft.name,
            slot: Some(draft.topic),
            queue: draft.queue,
            offset: stamped.offset,
            physical: stamped.physical,
            size: size(record.len()),
            crc: stamped.crc,
            stored: header.timestamp,
            properties: &record[record.len() - draft.properties..],
        }
    }
}

fn size(len: usize) -> u32 {
    u32::try_from(len).expect("a record fits into a segment")
}
