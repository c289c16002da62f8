//! What waits to be written: batches, the last of which still fills.
//!
//! While the writer is busy with one batch, the next one fills; a batch is closed when the writer is
//! free, when it is full, or when its segment ends. Nothing here waits or does I/O.

mod reserve;

use std::collections::VecDeque;
use std::rc::Rc;

use model::{Draft, LogIndex, PhysicalOffset};
use runtime::BLOCK;

use reserve::Purpose;

use crate::batch::{Batch, BatchEntry};
use crate::command::{CommandKind, TopicCommand, Trim};
use crate::entry::{ENTRY_HEADER_LEN, Kind, entry_len};
use crate::error::AppendError;
use crate::options::{MAX_COMMAND, Options};
use crate::place::entry_start;
use crate::topics::{Slot, Topics};

/// Queues that a topic may have: their counters are kept in memory.
pub(crate) const MAX_QUEUES: u32 = 65_536;
/// The smallest buffer that a batch is given, in bytes.
const SMALLEST_BUFFER: usize = 4 * BLOCK;
/// The largest buffer that a batch is given because the one before needed it, in bytes.
const LARGEST_EXPECTED: usize = 1024 * 1024;

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
    /// Size of the next batch's buffer: what the largest of the last ones came to.
    expected: usize,
    /// Topics with everything that was drafted.
    topics: Topics,
    /// Where the topics of the messages stand that are being added.
    found: Vec<Slot>,
    /// Where the topic of the newest message stood: mostly the next one has the same.
    newest: Option<Slot>,
}

impl Builder {
    pub(crate) fn new(limits: Limits, end: PhysicalOffset, topics: Topics, rooms: usize) -> Self {
        let (closed, open, queued) = (VecDeque::new(), None, 0);
        let (expected, refused) = (SMALLEST_BUFFER, false);
        let (found, newest) = (Vec::new(), None);
        Self { limits, rooms, refused, end, closed, open, queued, expected, topics, found, newest }
    }

    /// Another file is ready.
    pub(crate) fn add_room(&mut self) {
        self.rooms += 1;
        self.refused = false;
    }

    /// Files that are ready for segments behind the one that is drafted into.
    pub(crate) fn rooms(&self) -> usize {
        self.rooms
    }

    /// One of these files is to go. False if there is none.
    pub(crate) fn take_room(&mut self) -> bool {
        let fewer = self.rooms.checked_sub(1);
        self.rooms = fewer.unwrap_or_default();
        fewer.is_some()
    }

    /// Whether the next segment's file must be there soon.
    pub(crate) fn is_late(&self) -> bool {
        let into = self.full_of_segment();
        self.refused || into > self.limits.segment_size / 4 * 3 || into == 0
    }

    /// Whether the next segment's file must be there soon, and is not.
    pub(crate) fn wants_room(&self) -> bool {
        self.rooms == 0 && self.is_late()
    }

    /// Bytes of its segment before where the log will end.
    pub(crate) fn full_of_segment(&self) -> u64 {
        self.drafted().0 % self.limits.segment_size
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
        self.found.clear();
        for draft in drafts {
            self.newest = self.topics.slot_from(self.newest, draft.topic);
            let slot = self.newest.ok_or(AppendError::NoTopic)?;
            let (_, topic) = self.topics.at(slot).expect("it was just found");
            let (queue, queues) = (draft.queue_id.0, topic.queues());
            if queue >= queues {
                return Err(AppendError::NoQueue { queue, queues });
            }
            let draft_len = draft.encoded_len();
            len += draft_len;
            cost += entry_len(draft_len);
            self.found.push(slot);
        }
        self.admit(len, self.limits.max_request)?;
        self.check_room(cost, Purpose::Messages)?;
        for (at, draft) in drafts.iter().enumerate() {
            self.push_record(draft, self.found[at]);
        }
        Ok(())
    }

    fn push_record(&mut self, draft: &Draft<'_>, topic: Slot) {
        let (name, _) = self.topics.at(topic).expect("the caller has found it");
        let name = Rc::clone(name);
        let len = draft.encoded_len();
        let cost = self.open.as_ref().map_or(entry_len(len), |batch| batch.record_cost(len));
        let before = self.room_for(cost, entry_len(len)).len();
        let batch = self.open.as_mut().expect("room was made");
        batch.push_record(draft, topic, name);
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
        // Batches of about the same size are no reason to copy one into a larger buffer half of the time.
        let expected = batch.buf.len().max(self.expected - self.expected / 8);
        self.expected = expected.clamp(SMALLEST_BUFFER, LARGEST_EXPECTED);
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

    /// As [`Builder::take`], for a log that ends at `written`, with `ready` files for segments behind. Something else may have
    /// been appended that was not drafted here; once nothing waits, what is drafted next continues that.
    pub(crate) fn take_behind(&mut self, written: PhysicalOffset, ready: usize) -> Option<Batch> {
        let batch = self.take()?;
        let size = self.limits.segment_size;
        let behind = |end, entry: &BatchEntry| {
            let len = entry_len(entry.payload_len) as u64;
            entry_start(end, len, size).plus(len)
        };
        let end = batch.entries.iter().fold(written, behind);
        if end != batch.end_offset() && self.closed.is_empty() && self.open.is_none() {
            let segment = |end: PhysicalOffset| end.0.saturating_sub(1) / size;
            let begun = usize::try_from(segment(end) - segment(written)).unwrap_or(usize::MAX);
            (self.end, self.rooms) = (end, ready.saturating_sub(begun));
        }
        Some(batch)
    }

    /// As [`Builder::take`], but only if that batch ends before `end`.
    pub(crate) fn take_within(&mut self, end: PhysicalOffset) -> Option<Batch> {
        let next = self.closed.front().or(self.open.as_ref())?;
        if next.end_offset() > end { None } else { self.take() }
    }

    /// Forgets everything that waits: the log has failed.
    pub(crate) fn clear(&mut self) {
        self.closed.clear();
        self.open = None;
        self.queued = 0;
    }
}

#[cfg(test)]
mod tests;
