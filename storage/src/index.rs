//! Where the messages of each queue are.
//!
//! The newest part of the index grows in memory, older parts are files ([`crate::part`]). A part never
//! crosses segments, so that a segment and its part of the index come and go together.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{ControlFlow, Range};
use std::rc::Rc;

use model::{LogIndex, PhysicalOffset, QueueId, QueueOffset, Record, properties};

use crate::checkpoint::{Checkpoint, Mins};
use crate::command::Membership;
use crate::part::{Frozen, Growing, Packed, PartFile, QueueKey, key_hash};
use crate::position::Position;
use crate::topics::{Counter, Topics};

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

/// Which message a time stands for when several share it, or none has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// The first message at or after the time.
    Lower,
    /// The last message at or before the time.
    Upper,
}

/// What the index has noted of a record.
#[derive(Debug)]
pub(crate) struct Added {
    /// The topic's shared name.
    pub topic: Rc<str>,
    pub unit: Unit,
}

/// Whether all that was asked for is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It was, and has been seen.
    Memory,
    /// It begins in an older part of the index, which is on the disk; nothing was seen.
    Disk,
}

/// The index of all queues, and what else the applied log comes to.
#[derive(Debug)]
pub(crate) struct Index {
    segment_size: u64,
    topics: Topics,
    membership: Option<Membership>,
    /// The log before this is given up.
    trim: PhysicalOffset,
    /// Where queues begin that have lost messages to a trim.
    mins: Mins,
    /// Bytes of the largest record there ever was.
    largest: u32,
    growing: Growing,
    /// Parts that are being written, oldest first.
    frozen: VecDeque<Rc<Frozen>>,
    /// Parts on the disk, by where they begin.
    files: BTreeMap<PhysicalOffset, Rc<PartFile>>,
}

impl Index {
    /// An index of nothing, whose first part begins at `from`.
    pub(crate) fn new(segment_size: u64, from: PhysicalOffset) -> Self {
        let base = PhysicalOffset(from.0 / segment_size * segment_size);
        Self {
            segment_size,
            topics: Topics::default(),
            membership: None,
            trim: PhysicalOffset(0),
            mins: Mins::default(),
            largest: 0,
            growing: Growing::new(base, from),
            frozen: VecDeque::new(),
            files: BTreeMap::new(),
        }
    }

    /// The index as it was at a checkpoint, without what only the owner of the store understands.
    pub(crate) fn restore(segment_size: u64, checkpoint: Checkpoint, files: Vec<PartFile>) -> Self {
        let Checkpoint { position, trim, largest_record, membership, topics, mins, owner: _ } =
            checkpoint;
        let files = files.into_iter().map(|file| (file.span().from, Rc::new(file))).collect();
        Self {
            topics,
            membership: Some(membership),
            trim,
            mins,
            largest: largest_record,
            files,
            ..Self::new(segment_size, position.offset)
        }
    }

    /// What a checkpoint at `position` holds; `owner` is left to the owner.
    pub(crate) fn checkpoint(&self, position: Position) -> Checkpoint {
        Checkpoint {
            position,
            trim: self.trim,
            largest_record: self.largest,
            membership: self.membership.clone().expect("the first entry of a log is a membership"),
            topics: self.topics.clone(),
            mins: Rc::clone(&self.mins),
            owner: Vec::new(),
        }
    }

    /// Bytes that no record in the log exceeds.
    pub(crate) fn largest_record(&self) -> u32 {
        self.largest
    }

    pub(crate) fn topics(&self) -> &Topics {
        &self.topics
    }

    pub(crate) fn set_membership(&mut self, membership: Membership) {
        self.membership = Some(membership);
    }

    /// Where the log begins for readers.
    pub(crate) fn trimmed_to(&self) -> PhysicalOffset {
        self.trim
    }

    /// The log before `to` is given up; `mins` says where the queues begin now. The parts before are
    /// given back, oldest first.
    pub(crate) fn trim(&mut self, to: PhysicalOffset, mins: Mins) -> Vec<Rc<PartFile>> {
        assert!(to >= self.trim, "what was given up stays so");
        (self.trim, self.mins) = (to, mins);
        let kept = self.files.split_off(&to);
        std::mem::replace(&mut self.files, kept).into_values().collect()
    }

    pub(crate) fn put_topic(&mut self, name: &str, queues: u32, index: LogIndex) {
        self.topics.put(name, queues, index);
    }

    pub(crate) fn delete_topic(&mut self, name: &str) {
        let Some(topic) = self.topics.delete(name) else {
            return;
        };
        let incarnation = topic.incarnation;
        let queues = (0..topic.queues()).map(QueueId);
        self.growing.remove_queues(queues.map(|queue| QueueKey { incarnation, queue }));
    }

    /// Adds a committed record. `Err` says how it does not follow from the log before it.
    pub(crate) fn add(&mut self, record: &Record<'_>) -> Result<Added, String> {
        let (name, queue) = (record.topic(), record.queue_id());
        let physical = record.physical_offset();
        let Some((incarnation, offset)) = self.topics.count(name, queue, physical) else {
            return Err(format!("a message of queue {queue} of `{name}`, which does not exist"));
        };
        if offset != record.queue_offset() {
            let found = record.queue_offset();
            return Err(format!("offset {found} in queue {queue} of `{name}`, {offset} was due"));
        }
        let base = self.growing.base();
        assert!(physical.since(base) < self.segment_size, "a part never crosses segments");
        let at = u32::try_from(physical.since(base)).expect("segments are below 4 GiB");
        let size = u32::try_from(record.bytes().len()).expect("a record fits into a segment");
        self.largest = self.largest.max(size);
        let crc = crc32c::crc32c(record.bytes());
        let tag_hash = i32::try_from(record.tag_hash()).expect("the hash of a string is an int");
        let (key, unit) = (QueueKey { incarnation, queue }, Packed { at, size, tag_hash, crc });
        self.growing.add(key, offset, unit, record.store_time(), key_hashes(record));
        let topic = self.topics.name(name).expect("it was just counted");
        Ok(Added { topic, unit: unit.unit(base) })
    }

    /// Bytes of the log that the growing part covers when the log ends at `end`.
    pub(crate) fn grown(&self, end: PhysicalOffset) -> u64 {
        end.since(self.growing.from())
    }

    /// The segment that the growing part covers a part of.
    pub(crate) fn segment(&self) -> PhysicalOffset {
        self.growing.base()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.growing.is_full()
    }

    /// Parts that are being written.
    pub(crate) fn being_written(&self) -> usize {
        self.frozen.len()
    }

    /// Ends the growing part at `to` and begins the next one there. `None` when it covers nothing.
    pub(crate) fn freeze(&mut self, to: PhysicalOffset) -> Option<Rc<Frozen>> {
        let base = PhysicalOffset(to.0 / self.segment_size * self.segment_size);
        let next = Growing::new(base, to);
        let grown = std::mem::replace(&mut self.growing, next);
        if grown.from() == to {
            return None;
        }
        self.growing.reserve(grown.queues());
        let frozen = Rc::new(grown.freeze(to));
        self.frozen.push_back(Rc::clone(&frozen));
        Some(frozen)
    }

    /// The oldest part that is to be written.
    pub(crate) fn next_to_write(&self) -> Option<Rc<Frozen>> {
        self.frozen.front().cloned()
    }

    /// The oldest part that is to be written is not needed any more: it was trimmed.
    pub(crate) fn forget_oldest(&mut self) {
        let frozen = self.frozen.pop_front().expect("it was to be written");
        assert!(frozen.span().to <= self.trim, "only what was trimmed is forgotten");
    }

    /// The oldest part in writing is on the disk now. Gives back the one in memory.
    pub(crate) fn written(&mut self, file: PartFile) -> Rc<Frozen> {
        let frozen = self.frozen.pop_front().expect("it was being written");
        assert_eq!(frozen.span(), file.span(), "parts are written in their order");
        self.add_file(file);
        frozen
    }

    fn add_file(&mut self, file: PartFile) {
        let span = file.span();
        if span.from >= self.trim {
            self.files.insert(span.from, Rc::new(file));
        }
    }

    /// Parts of one segment were made into one. Gives back what it replaces.
    pub(crate) fn merged(&mut self, file: PartFile) -> Vec<Rc<PartFile>> {
        let span = file.span();
        let covered: Vec<_> = self.files.range(span.from..span.to).map(|(from, _)| *from).collect();
        let old = covered.into_iter().filter_map(|from| self.files.remove(&from)).collect();
        self.add_file(file);
        old
    }

    /// Parts on the disk, oldest first.
    pub(crate) fn files(&self) -> impl DoubleEndedIterator<Item = &Rc<PartFile>> {
        self.files.values()
    }

    /// Parts on the disk that begin within `range`, oldest first.
    pub(crate) fn files_in(
        &self,
        range: Range<PhysicalOffset>,
    ) -> impl Iterator<Item = &Rc<PartFile>> {
        self.files.range(range).map(|(_, file)| file)
    }

    /// Bytes of a segment.
    pub(crate) fn segment_size(&self) -> u64 {
        self.segment_size
    }

    /// The part on the disk that follows `after`.
    pub(crate) fn file_after(&self, after: PhysicalOffset) -> Option<Rc<PartFile>> {
        self.files.range(after..).next().map(|(_, file)| Rc::clone(file))
    }

    /// Parts in memory, oldest first.
    pub(crate) fn in_memory(&self) -> impl DoubleEndedIterator<Item = &Growing> {
        let frozen = self.frozen.iter().map(|frozen| &***frozen);
        frozen.chain(std::iter::once(&self.growing))
    }

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

/// What a message can be found by: its keys and its unique key.
fn key_hashes<'a>(record: &Record<'a>) -> impl Iterator<Item = u32> {
    let topic = record.topic();
    message_keys(record.properties()).map(move |key| key_hash(topic, key))
}

/// The keys that a message with these properties can be found by.
pub(crate) fn message_keys(properties: &[u8]) -> impl Iterator<Item = &str> {
    let keys = properties::find(properties, properties::KEYS).unwrap_or_default();
    let unique = properties::find(properties, properties::UNIQ_KEY);
    keys.split(' ').filter(|key| !key.is_empty()).chain(unique)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Draft, UnixMillis, record};

    fn record(topic: &str, queue: u32, queue_offset: u64, physical: u64) -> Vec<u8> {
        let host = "127.0.0.1:1".parse().expect("an address");
        let draft = Draft {
            topic,
            queue_id: QueueId(queue),
            flag: 0,
            sys_flag: 0,
            born_time: UnixMillis(1),
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_offset: 0,
            body: b"x",
            properties: b"TAGS\x01TagA",
            more_properties: b"",
        };
        let mut bytes = vec![0; draft.encoded_len()];
        draft.encode(&mut bytes);
        record::stamp(
            &mut bytes,
            QueueOffset(queue_offset),
            PhysicalOffset(physical),
            UnixMillis(5),
        );
        bytes
    }

    fn add(
        index: &mut Index,
        topic: &str,
        queue_offset: u64,
        physical: u64,
    ) -> Result<Added, String> {
        let bytes = record(topic, 0, queue_offset, physical);
        index.add(&Record::parse(&bytes).expect("a record"))
    }

    #[test]
    fn a_queue_is_read_over_the_parts_in_memory() {
        let mut index = Index::new(1000, PhysicalOffset(0));
        index.put_topic("T", 1, LogIndex(1));
        for offset in 0..10 {
            let physical = 400 * offset + offset / 2 * 200 + 7;
            let base = PhysicalOffset(physical / 1000 * 1000);
            if index.segment() != base {
                index.freeze(base);
            }
            add(&mut index, "T", offset, physical).expect("in order");
        }
        let queue = QueueId(0);
        assert_eq!(
            index.range("T", queue),
            Some(QueueRange { min: QueueOffset(0), max: QueueOffset(10) })
        );
        for from in 0..12 {
            for max in 0..12 {
                let mut seen = Vec::new();
                let reach = index.visit("T", queue, QueueOffset(from), max, |at, unit| {
                    let physical = 400 * at.0 + at.0 / 2 * 200 + 7;
                    assert_eq!((unit.offset.0, unit.tag_hash), (physical, 2_598_919));
                    seen.push(at.0);
                    ControlFlow::Continue(())
                });
                let end = 10.min(from + max as u64);
                assert_eq!(seen, (from..end).collect::<Vec<_>>(), "from {from}, at most {max}");
                assert_eq!(reach, Reach::Memory);
            }
        }
        assert_eq!(index.being_written(), 4);
    }

    #[test]
    fn what_is_in_an_older_part_is_not_seen_in_parts() {
        let mut index = Index::new(1000, PhysicalOffset(0));
        index.put_topic("T", 1, LogIndex(1));
        add(&mut index, "T", 0, 7).expect("in order");
        index.freeze(PhysicalOffset(300));
        add(&mut index, "T", 1, 307).expect("in order");
        index.frozen.clear(); // as if it were on the disk
        let visit = |from, seen: &mut Vec<u64>| {
            index.visit("T", QueueId(0), QueueOffset(from), 9, |at, _| {
                seen.push(at.0);
                ControlFlow::Continue(())
            })
        };
        let mut seen = Vec::new();
        assert_eq!((visit(0, &mut seen), seen.len()), (Reach::Disk, 0));
        assert_eq!((visit(1, &mut seen), seen.len()), (Reach::Memory, 1));
        assert_eq!((visit(2, &mut seen), seen.len()), (Reach::Memory, 1));
    }

    #[test]
    fn what_does_not_follow_is_refused() {
        let mut index = Index::new(1000, PhysicalOffset(0));
        assert!(add(&mut index, "T", 0, 7).is_err());
        index.put_topic("T", 1, LogIndex(1));
        assert!(add(&mut index, "T", 1, 7).is_err());
    }

    #[test]
    fn a_deleted_topic_leaves_nothing_behind() {
        let mut index = Index::new(1000, PhysicalOffset(0));
        index.put_topic("T", 1, LogIndex(1));
        add(&mut index, "T", 0, 7).expect("in order");
        index.delete_topic("T");
        assert_eq!(index.range("T", QueueId(0)), None);
        index.put_topic("T", 1, LogIndex(3));
        let empty = QueueRange { min: QueueOffset(0), max: QueueOffset(0) };
        assert_eq!(index.range("T", QueueId(0)), Some(empty));
        assert_eq!(index.growing.units(), 0);
    }

    #[test]
    fn a_trim_moves_where_queues_begin() {
        let mut index = Index::new(1000, PhysicalOffset(0));
        index.put_topic("T", 2, LogIndex(1));
        for offset in 0..3 {
            add(&mut index, "T", offset, 300 * offset + 7).expect("in order");
        }
        let incarnation = crate::topics::Incarnation(LogIndex(1));
        let mins = [(QueueKey { incarnation, queue: QueueId(0) }, QueueOffset(2))];
        index.trim(PhysicalOffset(1000), Rc::new(mins.into_iter().collect()));
        let min = |queue| index.range("T", QueueId(queue)).map(|range| range.min.0);
        assert_eq!((min(0), min(1), index.trimmed_to().0), (Some(2), Some(0), 1000));
    }

    #[test]
    fn keys_are_those_of_the_message_and_its_unique_one() {
        let text = b"KEYSa b  cTAGStUNIQ_KEYu";
        assert_eq!(message_keys(text).collect::<Vec<_>>(), ["a", "b", "c", "u"]);
        assert_eq!(message_keys(b"TAGSt").count(), 0);
    }
}
