use std::net::Ipv4Addr;
use std::time::Duration;

use model::{LogIndex, QueueId, Term, UnixMillis};
use runtime::sim::Simulation;

use super::*;
use crate::identity::StoreId;
use crate::topics::{Counter, Incarnation, Topic};

const STORE: StoreId = StoreId(77);

fn checkpoint(topics: u64) -> Checkpoint {
    let (mut table, mut mins) = (Topics::default(), HashMap::new());
    for number in 1..=topics {
        let incarnation = Incarnation(LogIndex(number));
        let counter =
            |queue| Counter { next: QueueOffset(number + queue), began: PhysicalOffset(queue) };
        table
            .restore(&format!("T{number}"), Topic::new(incarnation, (0..4).map(counter).collect()));
        mins.insert(QueueKey { incarnation, queue: QueueId(1) }, QueueOffset(number));
    }
    Checkpoint {
        position: Position {
            offset: PhysicalOffset(4096),
            index: LogIndex(2),
            term: Term(3),
            chain: 4,
            timestamp: UnixMillis(5),
            generation: 6,
            last: PhysicalOffset(7),
        },
        trim: PhysicalOffset(8),
        largest_record: 9,
        membership: Membership::Alone(STORE),
        topics: table,
        mins: mins.into(),
        owner: b"what the owner says".to_vec(),
    }
}

fn encoded(topics: u64) -> Vec<u8> {
    let sim = Simulation::new(1);
    let node = sim.node("n0", Ipv4Addr::new(10, 0, 0, 1));
    // Its parts are not `Send`: it is made where it is used.
    let executor =
        node.start("main", move || async move { format::encode(&checkpoint(topics), STORE).await });
    sim.join(executor, Duration::from_secs(60)).expect("it ends")
}

#[test]
fn is_read_back() {
    for topics in [0, 1, 3000] {
        let before = checkpoint(topics);
        assert_eq!(format::decode(&encoded(topics), STORE), Ok(before), "{topics} topics");
    }
}

#[test]
fn another_store_and_every_damaged_byte_are_refused() {
    let bytes = encoded(2);
    assert!(format::decode(&bytes, StoreId(78)).is_err());
    let used = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count();
    for at in 0..used {
        let mut bad = bytes.clone();
        bad[at] ^= 0x40;
        // A few bytes behind the version are neither used nor covered.
        if !(9..12).contains(&at) {
            assert!(format::decode(&bad, STORE).is_err(), "byte {at}");
        }
    }
    for len in (0..used).step_by(7) {
        assert!(format::decode(&bytes[..len], STORE).is_err(), "{len} bytes");
    }
}

#[test]
fn a_trim_begins_where_the_queues_ended() {
    let ends = checkpoint(1).ends();
    let incarnation = Incarnation(LogIndex(1));
    let end = |queue| ends.get(&QueueKey { incarnation, queue: QueueId(queue) }).copied();
    assert_eq!((end(0), end(3)), (Some(QueueOffset(1)), Some(QueueOffset(4))));
}
