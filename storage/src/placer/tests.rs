use model::{QueueId, QueueOffset, Record};

use super::*;
use crate::builder::{Builder, Limits};
use crate::command::CommandKind;
use crate::entry::Replicated;
use crate::segment::SEGMENT_HEADER_LEN;
use crate::topics::Topics;

const SEGMENT: u64 = 64 * 1024;
const NOW: UnixMillis = UnixMillis(1000);

fn topics() -> Topics {
    let mut topics = Topics::default();
    topics.put("T", 1, LogIndex(0));
    topics
}

/// Behind a log that ends at `end`, the block of which is full of ones up to there.
fn placer(end: u64) -> Placer {
    let residue = usize::try_from(end % BLOCK as u64).expect("small");
    let log = LogEnd {
        index: LogIndex(7),
        offset: PhysicalOffset(end),
        chain: 3,
        timestamp: UnixMillis(10),
        topics: topics(),
    };
    Placer {
        end: log,
        term: Term(2),
        generation: 1,
        last_block: vec![1; residue],
        segment_size: SEGMENT,
        durable: Rc::default(),
        committed: Rc::new(Cell::new(LogIndex(7))),
    }
}

/// A message, a command and a message again, for a log that ends at `end`.
fn unplaced(end: u64, len: usize) -> Unplaced {
    let limits = Limits {
        segment_size: SEGMENT,
        max_queued: 60_000,
        max_request: 20_000,
        max_batch: 1024 * 1024,
    };
    let mut builder = Builder::new(limits, PhysicalOffset(end), topics(), 1);
    let host = "127.0.0.1:1".parse().expect("an address");
    let message = model::Draft {
        topic: "T",
        queue_id: QueueId(0),
        flag: 0,
        sys_flag: 0,
        born_time: UnixMillis(1),
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_offset: 0,
        body: &vec![5; len],
        properties: b"",
        more_properties: b"",
    };
    builder.push_messages(std::slice::from_ref(&message)).expect("room");
    builder.push_command(CommandKind(9), b"xyz").expect("room");
    builder.push_messages(&[message]).expect("room");
    let batch = builder.take().expect("a batch");
    assert!(builder.take().is_none(), "they are one batch");
    Unplaced(batch)
}

/// Reads what was placed behind a log that ends at `end`, as one who has nothing but the bytes; where it ends, and the offsets
/// of the messages in their queue.
fn check(placed: &[Placed], end: u64, chain: u32) -> (u64, Vec<QueueOffset>) {
    let (mut end, mut chain, mut index, mut queue) = (end, chain, LogIndex(7), Vec::new());
    for piece in placed {
        let mut at = usize::try_from(piece.start.since(piece.base)).expect("small");
        assert!(piece.base.0.is_multiple_of(BLOCK as u64) && at < BLOCK);
        for (head, payload) in piece.entries() {
            let header = Replicated::decode(&piece.buf[at..]).expect("a header");
            let due = entry_start(PhysicalOffset(end), entry_len(payload.len()) as u64, SEGMENT);
            assert_eq!((header.offset, header.index, header.term), (due, index, Term(2)));
            assert_eq!(EntryHead::of(&header), head);
            let bytes = &piece.buf[at..at + ENTRY_HEADER_LEN];
            header.check_chain(chain, bytes, &payload).expect("it continues the log");
            if head.kind == Kind::Messages {
                let record = Record::parse(&payload).expect("a record");
                assert_eq!(record.physical_offset().0, due.0 + ENTRY_HEADER_LEN as u64);
                queue.push(record.queue_offset());
            }
            (chain, index) = (header.chain, index.next());
            end = due.0 + entry_len(payload.len()) as u64;
            at += entry_len(payload.len());
        }
        assert_eq!(piece.end.0, end);
    }
    (end, queue)
}

#[test]
fn what_was_expected_is_placed_in_one_piece_and_continues_the_block() {
    let end = SEGMENT_HEADER_LEN + 808;
    let mut placer = placer(end);
    let placed = placer.place(unplaced(end, 100), NOW);
    assert_eq!(placed.len(), 1);
    assert_eq!(placed[0].buf[..808], [1; 808], "the block that the log ends in");
    let (behind, queue) = check(&placed, end, 3);
    assert_eq!(queue, [QueueOffset(0), QueueOffset(1)]);
    assert_eq!((placer.end.offset.0, placer.next()), (behind, LogIndex(10)));
    // What comes next has the last block of this.
    let next = placer.place_own(Kind::Blank, &[]);
    let residue = usize::try_from(behind % BLOCK as u64).expect("small");
    let written = usize::try_from(next.base.since(placed[0].base)).expect("small");
    assert_eq!(next.buf[..residue], placed[0].buf[written..written + residue]);
}

#[test]
fn what_was_laid_down_for_another_place_is_placed_where_the_log_ends() {
    let first = SEGMENT_HEADER_LEN;
    for (laid_down_for, len) in [(first, 100), (first, 6_000), (first + 8, 100)] {
        for end in
            [first + 16, first + 4096, SEGMENT - 500, SEGMENT - 6_500, SEGMENT, SEGMENT + first]
        {
            let mut placer = placer(end);
            let placed = placer.place(unplaced(laid_down_for, len), NOW);
            assert_eq!(placed.len(), 3, "one after the other");
            let (behind, queue) = check(&placed, end, 3);
            assert_eq!(queue, [QueueOffset(0), QueueOffset(1)]);
            assert_eq!(placer.end.offset.0, behind);
        }
    }
}

#[test]
fn an_entry_of_the_groups_own_has_the_time_of_the_one_before() {
    let end = SEGMENT - 40;
    let mut placer = placer(end);
    let blank = placer.place_own(Kind::Blank, &[]);
    assert_eq!(blank.start.0, SEGMENT + SEGMENT_HEADER_LEN, "it does not fit before");
    let (head, payload) = blank.entries().next().expect("one");
    assert_eq!((head.timestamp, payload.len()), (UnixMillis(10), 0));
    check(&[blank], end, 3);
}
