use std::ops::ControlFlow;

use model::{Draft, QueueOffset, Record, UnixMillis, record};

use super::*;

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
    record::stamp(&mut bytes, QueueOffset(queue_offset), PhysicalOffset(physical), UnixMillis(5));
    bytes
}

fn add(index: &mut Index, topic: &str, queue_offset: u64, physical: u64) -> Result<Added, String> {
    let bytes = record(topic, 0, queue_offset, physical);
    index.add(&Message::read(&Record::parse(&bytes).expect("a record")))
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
