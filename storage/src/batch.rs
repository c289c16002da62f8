//! A batch on its way to the disk: records and commands are laid down once, where they will be written
//! from. Nothing here waits or does I/O.

use std::ops::Range;
use std::rc::Rc;

use model::{Draft, PhysicalOffset, QueueId, QueueOffset};
use runtime::{BLOCK, Buffer};

use crate::command::TopicCommand;
use crate::entry::{ENTRY_ALIGN, ENTRY_HEADER_LEN, Kind, entry_len};
use crate::place::entry_start;
use crate::topics::Slot;

const _: () = assert!(ENTRY_ALIGN.is_power_of_two() && BLOCK.is_multiple_of(ENTRY_ALIGN));

/// A record in a batch; its offsets are stamped when the batch is placed.
#[derive(Debug)]
pub(crate) struct BatchRecord {
    /// Position in the buffer.
    pub at: usize,
    pub len: usize,
    /// Bytes of its property text, which it ends with.
    pub properties: usize,
    pub topic: Slot,
    /// The name of that topic.
    pub name: Rc<str>,
    pub queue: QueueId,
    /// What placing has found.
    pub stamped: Option<Stamped>,
}

/// What is known of a record once it is placed, so that nobody has to read it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamped {
    pub offset: QueueOffset,
    pub physical: PhysicalOffset,
    /// CRC-32C of all its bytes.
    pub crc: u32,
}

/// An entry in a batch, its header still blank.
#[derive(Debug)]
pub(crate) struct BatchEntry {
    pub kind: Kind,
    /// Position of the header in the buffer.
    pub at: usize,
    pub payload_len: usize,
    pub records: Vec<BatchRecord>,
    /// The command of a topic entry, for those who count its queues.
    pub topic: Option<TopicCommand>,
}

impl BatchEntry {
    pub(crate) fn end(&self) -> usize {
        self.at + entry_len(self.payload_len)
    }

    /// Where its payload lies in the buffer, without what fills it up.
    pub(crate) fn payload(&self) -> Range<usize> {
        let start = self.at + ENTRY_HEADER_LEN;
        start..start + self.payload_len
    }
}

/// Entries that are written together. They lie in one segment.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Begins at a block boundary of the file; the first entry may begin later in that block.
    pub buf: Buffer,
    /// Bytes of memory behind `buf`, of which it may use only a part.
    pub memory: usize,
    /// Physical offset of the buffer's first byte.
    pub base: PhysicalOffset,
    /// Physical offset of the first entry.
    pub start: PhysicalOffset,
    /// Position in the buffer where the last entry ends, padding included.
    pub end: usize,
    pub entries: Vec<BatchEntry>,
    /// Position beyond which the batch cannot grow: the end of its segment.
    segment_end: usize,
}

impl Batch {
    /// A batch that begins at or after `next`, wherever an entry of `first` bytes fits.
    pub(crate) fn open(
        next: PhysicalOffset,
        first: usize,
        segment_size: u64,
        capacity: usize,
    ) -> Self {
        let start = entry_start(next, first as u64, segment_size);
        let block = BLOCK as u64;
        let base = PhysicalOffset(start.0 / block * block);
        let residue = to_usize(start.since(base));
        let segment_end = PhysicalOffset((start.0 / segment_size + 1) * segment_size);
        let capacity = capacity.max(residue + first).next_multiple_of(BLOCK);
        let mut buf = Buffer::with_capacity(capacity);
        buf.grow_to(to_usize(start.since(base)));
        Self {
            buf,
            memory: capacity,
            base,
            start,
            end: residue,
            entries: Vec::new(),
            segment_end: to_usize(segment_end.since(base)),
        }
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of entries in it.
    pub(crate) fn len(&self) -> usize {
        self.end - to_usize(self.start.since(self.base))
    }

    /// Physical offset of its end.
    pub(crate) fn end_offset(&self) -> PhysicalOffset {
        self.base.plus(self.end as u64)
    }

    /// Whether `more` bytes may still be added: a batch takes at least one entry, stays within `most`
    /// bytes after that, and always within its segment.
    pub(crate) fn takes(&self, more: usize, most: usize) -> bool {
        let small_enough = self.is_empty() || self.len() + more <= most;
        small_enough && self.end + more <= self.segment_end
    }

    /// Lays down a blank header and makes room for `payload_len` bytes behind it.
    pub(crate) fn begin(&mut self, kind: Kind, payload_len: usize) -> &mut BatchEntry {
        let at = self.end;
        self.grow_to(at + entry_len(payload_len));
        self.end = at + entry_len(payload_len);
        self.buf[at + ENTRY_HEADER_LEN + payload_len..self.end].fill(0);
        self.entries.push(BatchEntry { kind, at, payload_len, records: Vec::new(), topic: None });
        self.entries.last_mut().expect("just pushed")
    }

    /// The open message entry, if the last entry is one.
    fn message_entry(&mut self) -> Option<&mut BatchEntry> {
        self.entries.last_mut().filter(|entry| entry.kind == Kind::Messages)
    }

    /// Bytes that a record of `len` bytes adds.
    pub(crate) fn record_cost(&self, len: usize) -> usize {
        match self.entries.last().filter(|entry| entry.kind == Kind::Messages) {
            Some(entry) => entry.at + entry_len(entry.payload_len + len) - self.end,
            None => entry_len(len),
        }
    }

    pub(crate) fn push_record(&mut self, draft: &Draft<'_>, topic: Slot, name: Rc<str>) {
        let len = draft.encoded_len();
        if self.message_entry().is_none() {
            self.begin(Kind::Messages, 0);
        }
        let entry = self.message_entry().expect("just made");
        let at = entry.at + ENTRY_HEADER_LEN + entry.payload_len;
        entry.payload_len += len;
        let (properties, queue) = (draft.properties_len(), draft.queue_id);
        let record = BatchRecord { at, len, properties, topic, name, queue, stamped: None };
        entry.records.push(record);
        let end = entry.end();
        self.reserve(end);
        self.buf.shrink_to(at); // behind it is what filled up the payload before
        draft.write(|part| self.buf.append(part));
        assert_eq!(self.buf.len(), at + len, "a record has its length");
        self.buf.grow_to(end);
        self.end = end;
    }

    /// Makes the buffer longer by zeros, up to `len` bytes.
    fn grow_to(&mut self, len: usize) {
        self.reserve(len);
        self.buf.grow_to(len);
    }

    /// Lets the buffer have memory for `len` bytes. Buffers are chosen large enough that it mostly has.
    fn reserve(&mut self, len: usize) {
        assert!(len <= self.segment_end, "a batch stays within its segment");
        if len <= self.buf.capacity() {
            return;
        }
        let capacity = len.next_power_of_two().min(self.segment_end).next_multiple_of(BLOCK);
        let mut larger = Buffer::with_capacity(capacity);
        larger.append(&self.buf);
        (self.buf, self.memory) = (larger, capacity);
    }

    /// One of its entries as a batch of its own, behind a log that ends at `next`.
    pub(crate) fn alone(&self, entry: BatchEntry, next: PhysicalOffset, segment_size: u64) -> Self {
        let mut alone = Self::open(next, entry_len(entry.payload_len), segment_size, 0);
        let BatchEntry { at: before, kind, payload_len, records, topic } = entry;
        let begun = alone.begin(kind, payload_len);
        let at = begun.at;
        begun.topic = topic;
        begun.records = records;
        for record in &mut begun.records {
            record.at = record.at - before + at;
        }
        let (from, to) = (before + ENTRY_HEADER_LEN, at + ENTRY_HEADER_LEN);
        alone.buf[to..to + payload_len].copy_from_slice(&self.buf[from..from + payload_len]);
        alone.close()
    }

    /// Ends the batch at a block boundary.
    pub(crate) fn close(mut self) -> Self {
        assert!(!self.is_empty(), "an empty batch is never written");
        self.buf.grow_to(self.end.next_multiple_of(BLOCK));
        self
    }
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).expect("what lies in memory is counted with a usize")
}
