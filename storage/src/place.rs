//! Placing a batch: from here on every offset in it is settled.
//!
//! Where an entry goes and how a queue counts is a pure function of the log before it, so a leader
//! stamps what followers can check.

use model::{LogIndex, PhysicalOffset, Term, UnixMillis, record};

use crate::batch::{Batch, BatchEntry, BatchRecord, Stamped};
use crate::command::TopicCommand;
use crate::crc;
use crate::entry::{ENTRY_HEADER_LEN, Kind, Local, Replicated};
use crate::segment::SEGMENT_HEADER_LEN;
use crate::topics::Topics;

/// The end of the log: all that the next entry depends on.
#[derive(Clone, Debug)]
pub(crate) struct LogEnd {
    /// Index that the next entry gets.
    pub index: LogIndex,
    pub offset: PhysicalOffset,
    pub chain: u32,
    pub timestamp: UnixMillis,
    pub topics: Topics,
}

/// A placed entry.
#[derive(Debug)]
pub(crate) struct PlacedEntry {
    pub header: Replicated,
    /// Position of its header in the batch's buffer.
    pub at: usize,
    /// Its messages.
    pub records: Vec<BatchRecord>,
}

impl LogEnd {
    /// Stamps every entry of `batch`: headers, chain, offsets. `now` is the wall clock.
    pub(crate) fn place(
        &mut self,
        batch: &mut Batch,
        term: Term,
        local: Local,
        now: UnixMillis,
    ) -> Vec<PlacedEntry> {
        assert!(batch.start >= self.offset, "a batch is placed behind the log");
        let mut placed = Vec::with_capacity(batch.entries.len());
        self.timestamp = self.timestamp.max(now);
        for mut entry in std::mem::take(&mut batch.entries) {
            let offset = batch.base.plus(entry.at as u64);
            let payload_crc = match entry.kind {
                Kind::Messages => self.stamp(&mut entry, batch),
                _ => crc32c::crc32c(&batch.buf[entry.payload()]),
            };
            let mut header = Replicated {
                chain: 0,
                payload_len: u32::try_from(entry.payload_len)
                    .expect("an entry fits into a segment"),
                kind: entry.kind,
                index: self.index,
                term,
                offset,
                timestamp: self.timestamp,
                records: u32::try_from(entry.records.len()).expect("an entry fits into a segment"),
            };
            let bytes = &mut batch.buf[entry.at..entry.at + ENTRY_HEADER_LEN];
            header.chain = header.encode(self.chain, bytes, payload_crc);
            local.encode(bytes);
            self.note_topic(entry.topic.as_ref());
            (self.chain, self.index) = (header.chain, self.index.next());
            assert_eq!(entry.kind == Kind::Topic, entry.topic.is_some());
            placed.push(PlacedEntry { header, at: entry.at, records: entry.records });
        }
        self.offset = batch.end_offset();
        placed
    }

    /// Stamps the messages of an entry, which are all of its payload, and tells the CRC-32C of that.
    fn stamp(&mut self, entry: &mut BatchEntry, batch: &mut Batch) -> u32 {
        let (mut crc, mut end) = (0, entry.payload().start);
        for record in &mut entry.records {
            let physical = batch.base.plus(record.at as u64);
            let (name, _) =
                self.topics.at(record.topic).expect("a message in a batch has its topic");
            assert!(*name == record.name, "topics stand in the same places for all");
            let counted = self.topics.count(record.topic, record.queue, physical);
            let (_, queue_offset) = counted.expect("a message in a batch has its queue");
            assert_eq!(record.at, end, "messages follow each other without a gap");
            end += record.len;
            let bytes = &mut batch.buf[record.at..end];
            record::stamp(bytes, queue_offset, physical, self.timestamp);
            let of_record = crc32c::crc32c(bytes);
            crc = crc::joined(crc, of_record, record.len);
            let before =
                record.stamped.replace(Stamped { offset: queue_offset, physical, crc: of_record });
            assert!(before.is_none(), "a batch is placed once");
        }
        assert_eq!(end, entry.payload().end, "the payload is the messages and nothing else");
        crc
    }

    /// Counts what a topic command changes; `self.index` is the command's own.
    fn note_topic(&mut self, command: Option<&TopicCommand>) {
        match command {
            Some(TopicCommand::Put { name, queues, .. }) => {
                self.topics.put(name, *queues, self.index)
            }
            Some(TopicCommand::Delete { name }) => drop(self.topics.delete(name)),
            None => {}
        }
    }
}

/// Where an entry of `len` bytes goes when the log ends at `end`: there, or behind the header of the
/// next segment if it does not fit any more. A pure function of the log, so every node agrees.
pub(crate) fn entry_start(end: PhysicalOffset, len: u64, segment_size: u64) -> PhysicalOffset {
    assert!(len <= segment_size - SEGMENT_HEADER_LEN, "the largest entry fits into a segment");
    let into = end.0 % segment_size;
    if into == 0 {
        return end.plus(SEGMENT_HEADER_LEN);
    }
    assert!(into >= SEGMENT_HEADER_LEN, "the log never ends within a segment's header");
    if into + len <= segment_size {
        end
    } else {
        end.plus(segment_size - into + SEGMENT_HEADER_LEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u64 = 64 * 1024;

    #[test]
    fn entries_start_where_they_fit() {
        let header = SEGMENT_HEADER_LEN;
        let at = |end, len| entry_start(PhysicalOffset(end), len, SEGMENT).0;
        assert_eq!(at(0, 100), header);
        assert_eq!(at(header, 100), header);
        assert_eq!(at(SEGMENT - 100, 100), SEGMENT - 100);
        assert_eq!(at(SEGMENT - 96, 100), SEGMENT + header);
        assert_eq!(at(SEGMENT, 100), SEGMENT + header);
    }
}
