//! What a store shows when it has recovered.

use std::collections::BTreeMap;

use model::{PhysicalOffset, QueueId, QueueOffset, Record};
use storage::{Applied, ReadError, Recovery, Store, Unit, What};

use crate::model::{Entry, Message, Op, Place, UNREAD};

/// Units read at once.
const AT_ONCE: usize = 64;

/// A message in a queue, as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenMessage {
    pub offset: QueueOffset,
    pub physical: PhysicalOffset,
    /// What is stored: topic, queue and offset by the record itself, and the message's number if its
    /// body is one that a message can have.
    pub topic: String,
    pub queue: QueueId,
    pub own_offset: QueueOffset,
    pub number: Option<u64>,
}

/// A queue, as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenQueue {
    pub min: QueueOffset,
    pub max: QueueOffset,
    pub messages: Vec<SeenMessage>,
}

/// All that is seen of a store that has recovered.
#[derive(Debug, Default)]
pub struct Seen {
    /// What was handed out at the start, with what the records hold.
    pub entries: Vec<Entry>,
    pub topics: Vec<String>,
    pub queues: BTreeMap<(String, QueueId), SeenQueue>,
    pub end: PhysicalOffset,
    /// There was nothing, and a store was made.
    pub new: bool,
}

/// Names of topics that a history uses.
pub const TOPICS: [&str; 4] = ["A", "B", "C", "D"];
/// The most queues of one of them.
pub const QUEUES: u32 = 4;

/// Reads everything.
pub async fn observe(
    store: &Store,
    replayed: Vec<Applied>,
    recovery: &Recovery,
) -> Result<Seen, ReadError> {
    let mut seen = Seen { end: recovery.end, new: recovery.new, ..Seen::default() };
    for topic in TOPICS {
        if store.has_topic(topic) {
            seen.topics.push(topic.to_owned());
        }
        for queue in (0..QUEUES).map(QueueId) {
            if let Some(found) = observe_queue(store, topic, queue).await? {
                seen.queues.insert((topic.to_owned(), queue), found);
            }
        }
    }
    let numbers: BTreeMap<PhysicalOffset, Option<u64>> = seen
        .queues
        .values()
        .flat_map(|queue| &queue.messages)
        .map(|message| (message.physical, message.number))
        .collect();
    for applied in replayed {
        seen.entries.push(entry(store, applied, &numbers).await?);
    }
    Ok(seen)
}

async fn observe_queue(
    store: &Store,
    topic: &str,
    queue: QueueId,
) -> Result<Option<SeenQueue>, ReadError> {
    let Some(range) = store.queue(topic, queue) else {
        return Ok(None);
    };
    let mut units: Vec<(QueueOffset, Unit)> = Vec::new();
    let mut at = range.min;
    while at < range.max {
        let more = store.older_units(topic, queue, at, usize::MAX).await?;
        at = more.last().expect("a queue has no gap").0.plus(1);
        units.extend(more);
    }
    let mut messages = Vec::with_capacity(units.len());
    for part in units.chunks(AT_ONCE) {
        let wanted: Vec<Unit> = part.iter().map(|(_, unit)| *unit).collect();
        let read = store.read_units(&wanted).await?;
        for ((offset, unit), bytes) in part.iter().zip(read) {
            messages.push(seen(*offset, unit.offset, &bytes));
        }
    }
    Ok(Some(SeenQueue { min: range.min, max: range.max, messages }))
}

/// What a record's bytes say.
pub fn seen(offset: QueueOffset, physical: PhysicalOffset, bytes: &[u8]) -> SeenMessage {
    let record = Record::parse(bytes).expect("what is served is a record");
    SeenMessage {
        offset,
        physical,
        topic: record.topic().to_owned(),
        queue: record.queue_id(),
        own_offset: record.queue_offset(),
        number: crate::model::number_of(record.body()),
    }
}

/// A replayed entry, with what its records hold.
async fn entry(
    store: &Store,
    applied: Applied,
    numbers: &BTreeMap<PhysicalOffset, Option<u64>>,
) -> Result<Entry, ReadError> {
    let index = applied.index.0;
    let What::Messages(records) = applied.what else {
        let op = crate::life::op_of(&applied.what);
        return Ok(Entry { index, ops: vec![(op, None)], end: None });
    };
    let mut ops = Vec::with_capacity(records.len());
    for record in records {
        let (offset, physical) = (record.queue_offset, record.physical);
        let number = match numbers.get(&physical) {
            Some(number) => *number,
            None if physical < store.stats().min => None, // trimmed since
            // Of a topic that was deleted later.
            None => seen(offset, physical, &store.record_at(physical).await?).number,
        };
        let number = number.unwrap_or(UNREAD);
        let message = Message { number, topic: record.topic.to_string(), queue: record.queue };
        ops.push((Op::Message(message), Some(Place { offset, physical })));
    }
    Ok(Entry { index, ops, end: None })
}
