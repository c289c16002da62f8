//! Placing a batch: from here on every offset in it is settled.
//!
//! Where an entry goes and how a queue counts is a pure function of the log before it, so a leader
//! stamps what followers can check.

use model::{LogIndex, PhysicalOffset, Term, UnixMillis, record};

use crate::batch::Batch;
use crate::command::TopicCommand;
use crate::entry::{ENTRY_HEADER_LEN, Kind, Local, Replicated};
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

/// Bounds of a placed entry within the batch's buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlacedEntry {
    pub header: Replicated,
    pub at: usize,
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
        for entry in &batch.entries {
            let offset = batch.base.plus(entry.at as u64);
            for draft in &entry.records {
                let physical = batch.base.plus(draft.at as u64);
                let counted = self.topics.count(&draft.topic, draft.queue, physical);
                let (_, queue_offset) = counted.expect("a drafted message has its queue");
                let bytes = &mut batch.buf[draft.at..draft.at + draft.len];
                record::stamp(bytes, queue_offset, physical, self.timestamp);
            }
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
            let end = entry.at + ENTRY_HEADER_LEN + entry.payload_len;
            let bytes = &mut batch.buf[entry.at..end];
            header.chain = header.encode(self.chain, bytes);
            local.encode(&mut bytes[..ENTRY_HEADER_LEN]);
            self.note_topic(entry.topic.as_ref());
            (self.chain, self.index) = (header.chain, self.index.next());
            placed.push(PlacedEntry { header, at: entry.at });
            assert_eq!(entry.kind == Kind::Topic, entry.topic.is_some());
        }
        self.offset = batch.end_offset();
        placed
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
