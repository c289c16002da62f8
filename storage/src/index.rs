//! Where the messages of each queue are.
//!
//! Kept per segment, so that a segment and its part of the index come and go together. All of it is
//! in memory and rebuilt from the log at start.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::rc::Rc;

use model::{LogIndex, PhysicalOffset, QueueId, QueueOffset, Record};

use crate::topics::{Incarnation, Topics};

/// A message in the log, as its queue knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Where its record begins.
    pub offset: PhysicalOffset,
    /// Bytes of its record.
    pub size: u32,
    /// See [`model::tag::tag_hash`].
    pub tag_hash: i64,
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

type QueueKey = (Incarnation, QueueId);

/// A unit without what its segment already tells.
#[derive(Clone, Copy, Debug)]
struct Packed {
    /// Bytes from the segment's beginning; segments are below 4 GiB.
    at: u32,
    size: u32,
    tag_hash: i64,
}

const _: () = assert!(size_of::<Packed>() == 16);

#[derive(Debug, Default)]
struct SegmentIndex {
    queues: HashMap<QueueKey, Vec<Packed>>,
}

/// A queue's messages in one segment: from `first` on, as many as the segment's index has.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: QueueOffset,
    segment: PhysicalOffset,
}

/// What the index has noted of a record.
#[derive(Debug)]
pub(crate) struct Added {
    /// The topic's shared name.
    pub topic: Rc<str>,
    pub size: u32,
    pub tag_hash: i64,
}

/// The index of all queues.
#[derive(Debug)]
pub(crate) struct Index {
    segment_size: u64,
    topics: Topics,
    runs: HashMap<QueueKey, Vec<Run>>,
    segments: BTreeMap<PhysicalOffset, SegmentIndex>,
    /// Bytes of the largest record there ever was.
    largest: u32,
}

impl Index {
    pub(crate) fn new(segment_size: u64) -> Self {
        let (topics, runs, segments) = (Topics::default(), HashMap::new(), BTreeMap::new());
        Self { segment_size, topics, runs, segments, largest: 0 }
    }

    /// Bytes that no record in the log exceeds.
    pub(crate) fn largest_record(&self) -> u32 {
        self.largest
    }

    pub(crate) fn topics(&self) -> &Topics {
        &self.topics
    }

    pub(crate) fn put_topic(&mut self, name: &str, queues: u32, index: LogIndex) {
        self.topics.put(name, queues, index);
    }

    pub(crate) fn delete_topic(&mut self, name: &str) {
        let Some(topic) = self.topics.delete(name) else {
            return;
        };
        for queue in (0..topic.queues()).map(QueueId) {
            let key = (topic.incarnation, queue);
            for run in self.runs.remove(&key).unwrap_or_default() {
                if let Some(segment) = self.segments.get_mut(&run.segment) {
                    segment.queues.remove(&key);
                }
            }
        }
    }

    /// Adds a committed record. `Err` says how it does not follow from the log before it.
    pub(crate) fn add(&mut self, record: &Record<'_>) -> Result<Added, String> {
        let (name, queue) = (record.topic(), record.queue_id());
        let Some((incarnation, offset)) = self.topics.count(name, queue) else {
            return Err(format!("a message of queue {queue} of `{name}`, which does not exist"));
        };
        if offset != record.queue_offset() {
            let found = record.queue_offset();
            return Err(format!("offset {found} in queue {queue} of `{name}`, {offset} was due"));
        }
        let physical = record.physical_offset();
        let base = PhysicalOffset(physical.0 / self.segment_size * self.segment_size);
        let key = (incarnation, queue);
        let units = self.segments.entry(base).or_default().queues.entry(key).or_default();
        if units.is_empty() {
            self.runs.entry(key).or_default().push(Run { first: offset, segment: base });
        }
        let at = u32::try_from(physical.since(base)).expect("segments are below 4 GiB");
        let size = u32::try_from(record.bytes().len()).expect("a record fits into a segment");
        self.largest = self.largest.max(size);
        let tag_hash = record.tag_hash();
        units.push(Packed { at, size, tag_hash });
        let topic = self.topics.name(name).expect("it was just counted");
        Ok(Added { topic, size, tag_hash })
    }

    fn key(&self, topic: &str, queue: QueueId) -> Option<(QueueKey, QueueOffset)> {
        let topic = self.topics.find(topic)?;
        Some(((topic.incarnation, queue), topic.next(queue)?))
    }

    pub(crate) fn range(&self, topic: &str, queue: QueueId) -> Option<QueueRange> {
        let (key, max) = self.key(topic, queue)?;
        let min = self.runs.get(&key).and_then(|runs| runs.first()).map_or(max, |run| run.first);
        assert!(min <= max, "a queue's oldest message is not beyond its newest");
        Some(QueueRange { min, max })
    }

    /// Calls `visit` for the messages from `from` on, in order, until it breaks or `max` were seen.
    pub(crate) fn visit(
        &self,
        topic: &str,
        queue: QueueId,
        from: QueueOffset,
        max: usize,
        mut visit: impl FnMut(QueueOffset, Unit) -> ControlFlow<()>,
    ) {
        let Some((key, end)) = self.key(topic, queue) else {
            return;
        };
        let Some(runs) = self.runs.get(&key) else {
            return;
        };
        let mut at = from.max(runs.first().map_or(end, |run| run.first));
        let first = runs.partition_point(|run| run.first <= at).saturating_sub(1);
        let mut left = max;
        for run in &runs[first..] {
            let units = &self.segments[&run.segment].queues[&key];
            let skip = usize::try_from(at.0.saturating_sub(run.first.0)).unwrap_or(usize::MAX);
            for packed in units.iter().skip(skip).take(left) {
                let unit = Unit {
                    offset: run.segment.plus(u64::from(packed.at)),
                    size: packed.size,
                    tag_hash: packed.tag_hash,
                };
                left -= 1;
                if visit(at, unit).is_break() {
                    return;
                }
                at = at.plus(1);
            }
            if left == 0 {
                return;
            }
        }
    }

    pub(crate) fn unit(&self, topic: &str, queue: QueueId, offset: QueueOffset) -> Option<Unit> {
        let mut found = None;
        self.visit(topic, queue, offset, 1, |at, unit| {
            found = (at == offset).then_some(unit);
            ControlFlow::Break(())
        });
        found
    }
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
    fn a_queue_is_read_over_segments() {
        let mut index = Index::new(1000);
        index.put_topic("T", 1, LogIndex(1));
        for offset in 0..10 {
            add(&mut index, "T", offset, 300 * offset + 7).expect("in order");
        }
        let queue = QueueId(0);
        assert_eq!(
            index.range("T", queue),
            Some(QueueRange { min: QueueOffset(0), max: QueueOffset(10) })
        );
        for from in 0..12 {
            for max in 0..12 {
                let mut seen = Vec::new();
                index.visit("T", queue, QueueOffset(from), max, |at, unit| {
                    assert_eq!((unit.offset.0, unit.tag_hash), (300 * at.0 + 7, 2_598_919));
                    seen.push(at.0);
                    ControlFlow::Continue(())
                });
                let end = 10.min(from + max as u64);
                assert_eq!(seen, (from..end).collect::<Vec<_>>(), "from {from}, at most {max}");
            }
        }
        assert_eq!(index.unit("T", queue, QueueOffset(4)).map(|unit| unit.offset.0), Some(1207));
        assert_eq!(index.unit("T", queue, QueueOffset(10)), None);
    }

    #[test]
    fn what_does_not_follow_is_refused() {
        let mut index = Index::new(1000);
        assert!(add(&mut index, "T", 0, 7).is_err());
        index.put_topic("T", 1, LogIndex(1));
        assert!(add(&mut index, "T", 1, 7).is_err());
    }

    #[test]
    fn a_deleted_topic_leaves_nothing_behind() {
        let mut index = Index::new(1000);
        index.put_topic("T", 1, LogIndex(1));
        add(&mut index, "T", 0, 7).expect("in order");
        index.delete_topic("T");
        assert_eq!(index.range("T", QueueId(0)), None);
        index.put_topic("T", 1, LogIndex(3));
        let empty = QueueRange { min: QueueOffset(0), max: QueueOffset(0) };
        assert_eq!(index.range("T", QueueId(0)), Some(empty));
        assert!(index.runs.is_empty());
        assert!(index.segments.values().all(|segment| segment.queues.is_empty()));
    }
}
