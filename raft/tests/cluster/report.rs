//! All that a member holds.

use std::collections::BTreeMap;

use model::{QueueId, QueueOffset, Record};
use storage::{ReadError, Store};

use crate::content::{QUEUES, TOPIC, number, queue_of};

/// A message, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taken {
    pub queue: u32,
    pub queue_offset: u64,
    pub physical: u64,
    pub number: u32,
}

/// All messages of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Where the segment begins in which the log does.
    pub begin: u64,
    /// Where what is committed ends.
    pub end: u64,
    /// The offsets that each queue has, the second not included.
    pub ranges: BTreeMap<u32, (u64, u64)>,
    pub taken: Vec<Taken>,
}

/// So many messages of a queue, from `from` on.
pub async fn read(
    store: &Store,
    queue: QueueId,
    from: QueueOffset,
    count: usize,
) -> Result<Vec<Taken>, ReadError> {
    let mut all = Vec::new();
    for (queue_offset, unit) in store.older_units(TOPIC, queue, from, count).await? {
        let bytes = store.read(unit.offset, unit.size).await?;
        let record = Record::parse(&bytes).unwrap();
        let place = (record.queue_id(), record.queue_offset(), record.physical_offset());
        assert_eq!(place, (queue, queue_offset, unit.offset), "a record is where it says it is");
        let number = number(record.body());
        assert_eq!(queue_of(number), queue, "it was sent to this queue");
        let (queue, queue_offset, physical) = (queue.0, queue_offset.0, unit.offset.0);
        all.push(Taken { queue, queue_offset, physical, number });
    }
    Ok(all)
}

/// Everything, while nothing is applied.
pub async fn report(store: &Store, segment_size: u64) -> Report {
    let stats = store.stats();
    let begin = stats.min.0 / segment_size * segment_size;
    let mut report = Report { begin, end: stats.max.0, ..Report::default() };
    for queue in (0..QUEUES).map(QueueId) {
        let Some(range) = store.queue(TOPIC, queue) else { continue };
        report.ranges.insert(queue.0, (range.min.0, range.max.0));
        let mut next = range.min;
        while next < range.max {
            let read = read(store, queue, next, 100).await.unwrap();
            for taken in &read {
                assert_eq!(taken.queue_offset, next.0, "there is no gap");
                next = QueueOffset(next.0 + 1);
            }
            assert!(!read.is_empty(), "queue {} has no {}", queue.0, next.0);
            report.taken.extend(read);
        }
    }
    report
}
