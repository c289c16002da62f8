//! Batches on their way to the disk: records and commands are laid down once, where they will be
//! written from.
//!
//! While the writer is busy with one batch, the next one fills; a batch is closed when the writer is
//! free, when it is full, or when its segment ends. Nothing here waits or does I/O.

use std::collections::VecDeque;
use std::rc::Rc;

use model::{Draft, LogIndex, PhysicalOffset, QueueId};
use runtime::{BLOCK, Buffer};

use crate::command::{CommandKind, TopicCommand, Trim};
use crate::entry::{ENTRY_ALIGN, ENTRY_HEADER_LEN, Kind, entry_len};
use crate::error::AppendError;
use crate::options::{MAX_COMMAND, Options};
use crate::segment::SEGMENT_HEADER_LEN;
use crate::topics::Topics;

/// Queues that a topic may have: their counters are kept in memory.
pub(crate) const MAX_QUEUES: u32 = 65_536;
/// The smallest buffer that a batch is given, in bytes.
const SMALLEST_BUFFER: usize = 4 * BLOCK;
/// The largest buffer that a batch is given because the one before needed it, in bytes.
const LARGEST_EXPECTED: usize = 1024 * 1024;
/// Bytes at a segment's end that messages leave to commands while there is no file for the next segment;
/// less in small segments.
const LEFT_TO_COMMANDS: u64 = 4 * 1024 * 1024;
/// Bytes that commands leave to trims.
const LEFT_TO_TRIMS: u64 = 64 * 1024;

/// A record in a batch; its offsets are stamped when the batch is placed.
#[derive(Debug)]
pub(crate) struct RecordDraft {
    /// Position in the buffer.
    pub at: usize,
    pub len: usize,
    pub topic: Rc<str>,
    pub queue: QueueId,
}

/// An entry in a batch, its header still blank.
#[derive(Debug)]
pub(crate) struct EntryDraft {
    pub kind: Kind,
    /// Position of the header in the buffer.
    pub at: usize,
    pub payload_len: usize,
    pub records: Vec<RecordDraft>,
    /// The command of a topic entry, for those who count its queues.
    pub topic: Option<TopicCommand>,
}

impl EntryDraft {
    fn end(&self) -> usize {
        self.at + entry_len(self.payload_len)
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
    pub entries: Vec<EntryDraft>,
    /// Position beyond which the batch cannot grow: the end of its segment.
    segment_end: usize,
}

impl Batch {
    /// A batch that begins at or after `next`, wherever an entry of `first` bytes fits.
    fn open(next: PhysicalOffset, first: usize, segment_size: u64, capacity: usize) -> Self {
        let start = entry_start(next, first as u64, segment_size);
        let block = BLOCK as u64;
        let base = PhysicalOffset(start.0 / block * block);
        let residue = to_usize(start.since(base));
        let segment_end = PhysicalOffset((start.0 / segment_size + 1) * segment_size);
        let capacity = capacity.max(residue + first).next_multiple_of(BLOCK);
        Self {
            buf: runtime::buffer(capacity),
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
    fn takes(&self, more: usize, most: usize) -> bool {
        let small_enough = self.is_empty() || self.len() + more <= most;
        small_enough && self.end + more <= self.segment_end
    }

    /// Lays down a blank header and makes room for `payload_len` bytes behind it.
    fn begin(&mut self, kind: Kind, payload_len: usize) -> &mut EntryDraft {
        let at = self.end;
        self.grow_to(at + entry_len(payload_len));
        self.end = at + entry_len(payload_len);
        self.buf[at + ENTRY_HEADER_LEN + payload_len..self.end].fill(0);
        self.entries.push(EntryDraft { kind, at, payload_len, records: Vec::new(), topic: None });
        self.entries.last_mut().expect("just pushed")
    }

    /// The open message entry, if the last entry is one.
    fn message_entry(&mut self) -> Option<&mut EntryDraft> {
        self.entries.last_mut().filter(|entry| entry.kind == Kind::Messages)
    }

    /// Bytes that a record of `len` bytes adds.
    fn record_cost(&self, len: usize) -> usize {
        match self.entries.last().filter(|entry| entry.kind == Kind::Messages) {
            Some(entry) => entry.at + entry_len(entry.payload_len + len) - self.end,
            None => entry_len(len),
        }
    }

    fn push_record(&mut self, draft: &Draft<'_>, topic: Rc<str>) {
        let len = draft.encoded_len();
        if self.message_entry().is_none() {
            self.begin(Kind::Messages, 0);
        }
        let entry = self.message_entry().expect("just made");
        let at = entry.at + ENTRY_HEADER_LEN + entry.payload_len;
        entry.payload_len += len;
        entry.records.push(RecordDraft { at, len, topic, queue: draft.queue_id });
        let end = entry.end();
        self.grow_to(end);
        self.end = end;
        draft.encode(&mut self.buf[at..at + len]);
        self.buf[at + len..end].fill(0);
    }

    /// Makes the buffer at least `len` bytes long. Buffers are chosen large enough that this is rare.
    fn grow_to(&mut self, len: usize) {
        assert!(len <= self.segment_end, "a batch stays within its segment");
        if len <= self.buf.len() {
            return;
        }
        let capacity = len.next_power_of_two().min(self.segment_end).next_multiple_of(BLOCK);
        let mut larger = runtime::buffer(capacity);
        larger[..self.end].copy_from_slice(&self.buf[..self.end]);
        (self.buf, self.memory) = (larger, capacity);
    }

    /// Ends the batch at a block boundary.
    fn close(mut self) -> Self {
        assert!(!self.is_empty(), "an empty batch is never written");
        let blocks = self.end.next_multiple_of(BLOCK);
        self.buf[self.end..blocks].fill(0);
        self.buf.shrink_to(blocks);
        self
    }
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).expect("what lies in memory is counted with a usize")
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

/// Who wants to append: the end of the last segment is kept for those without whom a full disk would
/// stay full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Messages,
    Command,
    Trim,
}

impl Purpose {
    /// Bytes of a segment that this leaves to others while there is no file for the next one.
    fn leaves(self, segment_size: u64) -> u64 {
        match self {
            Self::Messages => (segment_size / 16).min(LEFT_TO_COMMANDS),
            Self::Command => (segment_size / 64).min(LEFT_TO_TRIMS),
            Self::Trim => 0,
        }
    }
}

/// What a builder depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub segment_size: u64,
    /// Bytes that may wait.
    pub max_queued: usize,
    /// Bytes of the largest request.
    pub max_request: usize,
    /// Bytes of a batch of several requests.
    pub max_batch: usize,
}

impl From<&Options> for Limits {
    fn from(options: &Options) -> Self {
        let &Options { segment_size, max_queued, max_request, max_batch, .. } = options;
        Self { segment_size, max_queued, max_request, max_batch }
    }
}

/// What waits to be written: closed batches, and one that still fills.
#[derive(Debug)]
pub(crate) struct Builder {
    limits: Limits,
    /// Files that are ready for segments behind the one that is drafted into.
    rooms: usize,
    /// Something was refused because there was none.
    refused: bool,
    /// Where the log will end once everything that is closed has been written.
    end: PhysicalOffset,
    closed: VecDeque<Batch>,
    open: Option<Batch>,
    /// Bytes of entries in `closed` and `open`.
    queued: usize,
    /// Size of the next batch's buffer: what the last one came to.
    expected: usize,
    /// Topics with everything that was drafted.
    topics: Topics,
}

impl Builder {
    pub(crate) fn new(limits: Limits, end: PhysicalOffset, topics: Topics, rooms: usize) -> Self {
        let (closed, open, queued) = (VecDeque::new(), None, 0);
        let (expected, refused) = (SMALLEST_BUFFER, false);
        Self { limits, rooms, refused, end, closed, open, queued, expected, topics }
    }

    /// Another file is ready.
    pub(crate) fn add_room(&mut self) {
        self.rooms += 1;
        self.refused = false;
    }

    /// Whether the next segment's file must be there soon, and is not.
    pub(crate) fn wants_room(&self) -> bool {
        let into = self.drafted().0 % self.limits.segment_size;
        self.rooms == 0 && (self.refused || into > self.limits.segment_size / 4 * 3 || into == 0)
    }

    /// Where the log will end once everything that waits has been written.
    fn drafted(&self) -> PhysicalOffset {
        self.open.as_ref().map_or(self.end, Batch::end_offset)
    }

    /// Refuses what would need a segment for which there is no file.
    fn check_room(&mut self, cost: usize, purpose: Purpose) -> Result<(), AppendError> {
        if self.rooms > 0 {
            return Ok(());
        }
        let size = self.limits.segment_size;
        let into = self.drafted().0 % size;
        let left = if into == 0 { 0 } else { size - into };
        if cost as u64 + purpose.leaves(size) <= left {
            return Ok(());
        }
        self.refused = true;
        Err(AppendError::NoSegment)
    }

    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    pub(crate) fn topics(&self) -> &Topics {
        &self.topics
    }

    /// Encodes messages into the open batch: all of them, or none.
    pub(crate) fn push_messages(&mut self, drafts: &[Draft<'_>]) -> Result<(), AppendError> {
        let (mut len, mut cost) = (0, 0);
        for draft in drafts {
            let topic = self.topics.find(draft.topic).ok_or(AppendError::NoTopic)?;
            let (queue, queues) = (draft.queue_id.0, topic.queues());
            if queue >= queues {
                return Err(AppendError::NoQueue { queue, queues });
            }
            len += draft.encoded_len();
            cost += entry_len(draft.encoded_len());
        }
        self.admit(len, self.limits.max_request)?;
        self.check_room(cost, Purpose::Messages)?;
        for draft in drafts {
            self.push_record(draft);
        }
        Ok(())
    }

    fn push_record(&mut self, draft: &Draft<'_>) {
        let topic = self.topics.name(draft.topic).expect("checked by the caller");
        let len = draft.encoded_len();
        let cost = self.open.as_ref().map_or(entry_len(len), |batch| batch.record_cost(len));
        let before = self.room_for(cost, entry_len(len)).len();
        let batch = self.open.as_mut().expect("room was made");
        batch.push_record(draft, topic);
        self.queued += batch.len() - before;
    }

    pub(crate) fn push_topic(&mut self, command: TopicCommand) -> Result<(), AppendError> {
        match &command {
            TopicCommand::Put { queues, .. } if *queues > MAX_QUEUES => {
                return Err(AppendError::TooManyQueues { queues: *queues, max: MAX_QUEUES });
            }
            TopicCommand::Delete { name } if self.topics.find(name).is_none() => {
                return Err(AppendError::NoTopic);
            }
            _ => {}
        }
        let payload = command.to_bytes();
        self.push_entry(Kind::Topic, &[&payload], Purpose::Command)?;
        // The incarnation is settled when the batch is placed; drafting only asks whether it exists.
        match &command {
            TopicCommand::Put { name, queues, .. } => self.topics.put(name, *queues, LogIndex(0)),
            TopicCommand::Delete { name } => drop(self.topics.delete(name)),
        }
        let batch = self.open.as_mut().expect("an entry was just pushed");
        batch.entries.last_mut().expect("an entry was just pushed").topic = Some(command);
        Ok(())
    }

    pub(crate) fn push_command(
        &mut self,
        kind: CommandKind,
        payload: &[u8],
    ) -> Result<(), AppendError> {
        self.push_entry(Kind::Command, &[&[kind.0], payload], Purpose::Command)
    }

    pub(crate) fn push_membership(&mut self, payload: &[u8]) -> Result<(), AppendError> {
        self.push_entry(Kind::Membership, &[payload], Purpose::Command)
    }

    pub(crate) fn push_trim(&mut self, to: PhysicalOffset) -> Result<(), AppendError> {
        self.push_entry(Kind::Trim, &[&Trim { to: to.0 }.to_bytes()], Purpose::Trim)
    }

    fn push_entry(
        &mut self,
        kind: Kind,
        parts: &[&[u8]],
        purpose: Purpose,
    ) -> Result<(), AppendError> {
        let len = parts.iter().map(|part| part.len()).sum();
        if purpose != Purpose::Trim {
            self.admit(len, self.limits.max_request.max(MAX_COMMAND))?;
        }
        self.check_room(entry_len(len), purpose)?;
        let before = self.room_for(entry_len(len), entry_len(len)).len();
        let batch = self.open.as_mut().expect("room was made");
        let mut at = batch.begin(kind, len).at + ENTRY_HEADER_LEN;
        for part in parts {
            batch.buf[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        self.queued += batch.len() - before;
        Ok(())
    }

    /// Refuses what is too large, and everything while too much waits.
    fn admit(&self, len: usize, largest: usize) -> Result<(), AppendError> {
        if len > largest {
            return Err(AppendError::TooLarge { len, max: largest });
        }
        let (queued, max) = (self.queued, self.limits.max_queued);
        // An empty queue takes whatever one request may have.
        if queued > 0 && queued + len > max {
            return Err(AppendError::Busy { queued, max });
        }
        Ok(())
    }

    /// A batch that takes `cost` more bytes; a new one, whose first entry has `first` bytes, if the
    /// open one does not.
    fn room_for(&mut self, cost: usize, first: usize) -> &Batch {
        let Limits { segment_size, max_batch, .. } = self.limits;
        if self.open.as_ref().is_some_and(|batch| !batch.takes(cost, max_batch)) {
            self.close_open();
        }
        if self.open.is_none() {
            let batch = Batch::open(self.end, first, segment_size, self.expected);
            let ends_there = self.end.0.is_multiple_of(segment_size);
            if ends_there || batch.base.0 / segment_size != self.end.0 / segment_size {
                self.rooms = self.rooms.checked_sub(1).expect("room was asked for");
            }
            self.open = Some(batch);
        }
        self.open.as_ref().expect("just made")
    }

    fn close_open(&mut self) {
        let Some(batch) = self.open.take() else {
            return;
        };
        let batch = batch.close();
        self.end = batch.end_offset();
        self.expected = batch.buf.len().clamp(SMALLEST_BUFFER, LARGEST_EXPECTED);
        self.closed.push_back(batch);
    }

    /// The oldest batch, closing the open one if it is the only one.
    pub(crate) fn take(&mut self) -> Option<Batch> {
        if self.closed.is_empty() {
            self.close_open();
        }
        let batch = self.closed.pop_front()?;
        assert!(self.queued >= batch.len(), "what is taken was counted when it was added");
        self.queued -= batch.len();
        Some(batch)
    }

    /// Forgets everything that waits: the log has failed.
    pub(crate) fn clear(&mut self) {
        self.closed.clear();
        self.open = None;
        self.queued = 0;
    }
}

const _: () = assert!(ENTRY_ALIGN.is_power_of_two() && BLOCK.is_multiple_of(ENTRY_ALIGN));

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

    fn builder(end: u64) -> Builder {
        let mut topics = Topics::default();
        topics.put("T", 2, LogIndex(0));
        let limits = Limits {
            segment_size: SEGMENT,
            max_queued: 40_000,
            max_request: 20_000,
            max_batch: 1024 * 1024,
        };
        Builder::new(limits, PhysicalOffset(end), topics, 1)
    }

    fn draft(body: &[u8], queue: u32) -> Draft<'_> {
        let host = "127.0.0.1:1".parse().expect("an address");
        Draft {
            topic: "T",
            queue_id: QueueId(queue),
            flag: 0,
            sys_flag: 0,
            born_time: model::UnixMillis(1),
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_offset: 0,
            body,
            properties: b"",
            more_properties: b"",
        }
    }

    #[test]
    fn messages_share_an_entry_until_a_command_comes() {
        let mut builder = builder(4096 + 8);
        builder.push_messages(&[draft(b"a", 0)]).expect("room");
        builder.push_messages(&[draft(b"bc", 1), draft(b"d", 0)]).expect("room");
        builder.push_command(CommandKind(9), b"xyz").expect("room");
        builder.push_messages(&[draft(b"e", 0)]).expect("room");
        let batch = builder.take().expect("a batch");
        assert!(builder.take().is_none());
        assert_eq!(builder.queued(), 0);
        let kinds: Vec<_> = batch.entries.iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds, [Kind::Messages, Kind::Command, Kind::Messages]);
        assert_eq!(batch.entries[0].records.len(), 3);
        assert_eq!((batch.start.0, batch.base.0), (4096 + 8, 4096));
        for pair in batch.entries.windows(2) {
            assert_eq!(pair[0].end(), pair[1].at);
            assert!(pair[1].at.is_multiple_of(ENTRY_ALIGN));
        }
        let command = &batch.entries[1];
        let payload = command.at + ENTRY_HEADER_LEN;
        assert_eq!(&batch.buf[payload..payload + command.payload_len], b"\x09xyz");
    }

    #[test]
    fn a_batch_never_crosses_a_segment() {
        let mut builder = builder(SEGMENT - 8_000);
        let body = [7; 3_000];
        for _ in 0..5 {
            builder.push_messages(&[draft(&body, 0)]).expect("room");
        }
        let first = builder.take().expect("a batch");
        assert_eq!(first.entries[0].records.len(), 2);
        assert!(first.end_offset().0 <= SEGMENT);
        let second = builder.take().expect("a batch");
        assert_eq!(second.start.0, SEGMENT + SEGMENT_HEADER_LEN);
        assert_eq!(second.entries[0].records.len(), 3);
    }

    #[test]
    fn without_a_file_for_the_next_segment_the_end_of_the_last_is_kept_for_commands_and_trims() {
        let mut builder = builder(SEGMENT - 8_000);
        builder.rooms = 0;
        let body = [7; 3_000];
        assert!(builder.wants_room());
        builder.push_messages(&[draft(&body, 0)]).expect("room");
        let full = builder.push_messages(&[draft(&body, 0)]);
        assert_eq!(full, Err(AppendError::NoSegment));
        builder.push_command(CommandKind(1), &body).expect("what messages leave");
        builder.push_command(CommandKind(1), &body[..400]).expect("what messages leave");
        let full = builder.push_command(CommandKind(1), &body[..500]);
        assert_eq!(full, Err(AppendError::NoSegment));
        builder.push_trim(PhysicalOffset(SEGMENT)).expect("what commands leave");
        builder.add_room();
        builder.push_messages(&[draft(&body, 0)]).expect("room again");
        assert_eq!((builder.rooms, builder.drafted().0 / SEGMENT), (0, 1));
    }

    #[test]
    fn limits_are_told() {
        let mut builder = builder(4096);
        let body = [7; 15_000];
        let unknown = Draft { topic: "U", ..draft(b"", 0) };
        assert_eq!(builder.push_messages(&[unknown]), Err(AppendError::NoTopic));
        assert_eq!(
            builder.push_messages(&[draft(b"", 2)]),
            Err(AppendError::NoQueue { queue: 2, queues: 2 })
        );
        let two = [draft(&body, 0), draft(&body, 0)];
        assert!(matches!(builder.push_messages(&two), Err(AppendError::TooLarge { .. })));
        builder.push_messages(&[draft(&body, 0)]).expect("room");
        builder.push_messages(&[draft(&body, 0)]).expect("room");
        let busy = builder.push_messages(&[draft(&body, 0)]);
        assert!(matches!(busy, Err(AppendError::Busy { max: 40_000, .. })));
        builder.take().expect("a batch");
        builder.push_messages(&[draft(&body, 0)]).expect("room again");
    }
}
