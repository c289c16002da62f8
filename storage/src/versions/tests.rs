use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use model::{LogIndex, PhysicalOffset, QueueId, QueueOffset, Term, UnixMillis};
use runtime::sim::Simulation;
use runtime::{BLOCK, File, OpenMode};

use super::*;
use crate::checkpoint::{Checkpoint, format};
use crate::command::{TopicCommand, TopicState, TopicStates, Trim};
use crate::entry::{ENTRY_HEADER_LEN, Kind, Local, Replicated};
use crate::identity::{Identity, StoreId};
use crate::membership::Membership;
use crate::part::{self, Growing, Packed, QueueKey};
use crate::position::Position;
use crate::segment::SegmentHeader;
use crate::topics::{Counter, Incarnation, Topic, Topics};
use crate::vote::{Purged, Vote};

/// CRC-32C of what is written for the same values, in each version that there was. A line is never changed: what
/// a released version wrote is what it wrote. Where a format changes its version rises, and another line comes.
const WRITTEN: [(&str, u8, u32); 11] = [
    ("store", 1, 0x82e1_ea75),
    ("vote", 1, 0x6e18_31c9),
    ("vote", 2, 0x7687_334a),
    ("segment", 1, 0x8a52_f8d0),
    ("entry", 1, 0x3e61_4aa9),
    ("checkpoint", 1, 0xaa59_a2c1),
    ("membership", 1, 0x2cd6_860d),
    ("topic command", 1, 0xf495_91d3),
    ("topic states", 1, 0x95e8_6ced),
    ("trim", 1, 0x788a_d445),
    ("index", 2, 0xab02_49c8),
];

const STORE_ID: StoreId = StoreId(0x0123_4567_89AB_CDEF_0011_2233_4455_6677);
const KEY: QueueKey = QueueKey { incarnation: Incarnation(LogIndex(9)), queue: QueueId(1) };

/// What is written now: name, version, bytes.
fn now() -> Vec<(&'static str, u8, Vec<u8>)> {
    vec![
        ("store", STORE, identity()),
        ("vote", VOTE, vote(0)),
        ("vote", VOTE_GIVEN_UP, vote(2)),
        ("segment", SEGMENT, segment()),
        ("entry", ENTRY, entry()),
        ("checkpoint", CHECKPOINT, checkpoint()),
        ("membership", ARCHIVE, Membership::founding(STORE_ID)),
        ("topic command", ARCHIVE, topic_command()),
        ("topic states", ARCHIVE, topic_states()),
        ("trim", ARCHIVE, Trim { to: 1 << 30 }.to_bytes()),
        ("index", INDEX, index()),
    ]
}

#[test]
fn no_format_changes_without_a_version() {
    let mut changed = Vec::new();
    for (name, version, bytes) in now() {
        let crc = crc32c::crc32c(&bytes);
        if !WRITTEN.contains(&(name, version, crc)) {
            changed.push(format!("{name:?}, {version}, {crc:#010x}"));
        }
    }
    assert!(
        changed.is_empty(),
        "other bytes than before are written, {changed:?}: docs/format/README.md says what to do at a new version"
    );
}

#[test]
fn file_found_known_and_remedy_are_named() {
    let error = |found| VersionError { file: "/s/store".into(), what: "a store", found, known: 1 };
    let text = error(2).to_string();
    for part in ["/s/store: a store of format version 2, this broker reads 1", "upgrade"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(error(0).to_string().contains("empty directory"));
}

fn identity() -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    Identity { id: STORE_ID, shard: 1, shards: 2, segment_size: 1 << 26 }.encode(&mut block);
    block
}

fn vote(given_up: u32) -> Vec<u8> {
    let mut slot = vec![0; BLOCK];
    let vote = Vote {
        term: Term(3),
        voted_for: STORE_ID,
        elected: true,
        generation: 4,
        idle_mark: PhysicalOffset(4096),
        clean: true,
        purged: Purged { before: LogIndex(6), term: Term(2) },
        given_up,
    };
    vote.encode(5, &mut slot);
    slot
}

fn segment() -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    let (base, index) = (PhysicalOffset(1 << 26), LogIndex(6));
    SegmentHeader { store: STORE_ID, base, index, size: 1 << 26, chain: 7 }.encode(&mut block);
    block
}

fn entry() -> Vec<u8> {
    let mut entry = [&[0; ENTRY_HEADER_LEN], &b"payload"[..]].concat();
    let replicated = Replicated {
        chain: 0,
        payload_len: 7,
        kind: Kind::Command,
        index: LogIndex(8),
        term: Term(2),
        offset: PhysicalOffset(4096),
        timestamp: UnixMillis(99),
        records: 3,
    };
    replicated.encode(17, &mut entry[..ENTRY_HEADER_LEN], crc32c::crc32c(b"payload"));
    let (durable_through, committed) = (PhysicalOffset(4000), LogIndex(6));
    Local { generation: 5, durable_through, committed }.encode(&mut entry);
    entry
}

fn checkpoint() -> Vec<u8> {
    in_simulation(|| async {
        let mut topics = Topics::default();
        let counter =
            |next| Counter { next: QueueOffset(next), began: PhysicalOffset(4096 + next) };
        topics.restore("T", Topic::new(KEY.incarnation, vec![counter(3), counter(8)]));
        let checkpoint = Checkpoint {
            position: Position {
                offset: PhysicalOffset(1 << 26),
                index: LogIndex(12),
                term: Term(3),
                chain: 4,
                timestamp: UnixMillis(5),
                generation: 6,
                last: PhysicalOffset(7),
            },
            trim: PhysicalOffset(8),
            largest_record: 9,
            membership: Membership::Alone(STORE_ID),
            topics,
            mins: HashMap::from([(KEY, QueueOffset(2))]).into(),
            owner: b"what the owner says".to_vec(),
        };
        format::encode(&checkpoint, STORE_ID).await
    })
}

fn topic_command() -> Vec<u8> {
    let put = TopicCommand::Put { name: "T".into(), queues: 4, payload: vec![1, 2, 3] };
    [put.to_bytes(), TopicCommand::Delete { name: "T".into() }.to_bytes()].concat()
}

fn topic_states() -> Vec<u8> {
    let topic = TopicState { name: "T".into(), incarnation: 9, queues: vec![(1, 2, 3), (0, 0, 0)] };
    TopicStates { topics: vec![topic] }.to_bytes()
}

fn index() -> Vec<u8> {
    in_simulation(|| async {
        let mut growing = Growing::new(PhysicalOffset(0), PhysicalOffset(4096));
        for number in 0_u32..300 {
            let unit = Packed { at: 4184 + number * 200, size: 150, tag_hash: 77, crc: number };
            let time = UnixMillis(1000 + u64::from(number));
            growing.add(KEY, QueueOffset(u64::from(number)), unit, time, [number % 7].into_iter());
        }
        let frozen = growing.freeze(PhysicalOffset(1 << 20));
        runtime::fs::create_dir_all("/index").await.expect("a disk");
        let name = frozen.span().name();
        drop(
            part::write(&part::PartDir::new("/index".into(), 0), STORE_ID, &frozen)
                .await
                .expect("a disk"),
        );
        let file = File::open(Path::new("/index").join(name), OpenMode::ReadOnly).await;
        let file = file.expect("it was just written");
        let len = usize::try_from(file.len().await.expect("a disk")).expect("small");
        file.read_at(0, len).await.expect("a disk").to_vec()
    })
}

fn in_simulation<T, F, Fut>(run: F) -> T
where
    T: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let simulation = Simulation::new(1);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let executor = node.start("formats", run);
    simulation.join(executor, Duration::from_secs(60)).expect("it ends")
}
