use model::{Draft, PhysicalOffset, QueueId};

use super::*;
use crate::entry::ENTRY_ALIGN;
use crate::segment::SEGMENT_HEADER_LEN;

const SEGMENT: u64 = 64 * 1024;

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

#[test]
fn what_is_drafted_next_continues_what_was_appended_by_others() {
    let first = SEGMENT_HEADER_LEN;
    let mut builder = builder(first);
    builder.push_messages(&[draft(b"a", 0)]).expect("room");
    // An entry that nobody drafted has come before it.
    let written = PhysicalOffset(first + 96);
    let batch = builder.take_behind(written, 3).expect("a batch");
    assert_eq!(batch.start.0, first, "it was drafted for where the log ended then");
    let end = written.plus(batch.len() as u64);
    builder.push_messages(&[draft(b"b", 0)]).expect("room");
    let next = builder.take_behind(end, 3).expect("a batch");
    assert_eq!(next.start, end, "one that is drafted behind it continues the log");
    assert_eq!(builder.rooms, 3, "as many files are ready as there are");
    // What waits stays as it is; only what is drafted once nothing waits is sure to continue the log.
    let late = SEGMENT - 200;
    builder.push_messages(&[draft(&[1; 1000], 0)]).expect("room");
    let crossing = builder.take_behind(PhysicalOffset(late), 3).expect("a batch");
    builder.push_messages(&[draft(b"c", 0)]).expect("room");
    let behind = SEGMENT + SEGMENT_HEADER_LEN + crossing.len() as u64;
    let next = builder.take_behind(PhysicalOffset(behind), 2).expect("a batch");
    assert_eq!((next.start.0, builder.rooms), (behind, 2), "a segment was begun on the way");
}
