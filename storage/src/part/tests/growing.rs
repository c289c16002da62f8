//! A part in memory says what the log has, and stays small.

use super::super::growing::{MAX_KEYS, MAX_MEMORY, MAX_RUNS, MAX_UNITS};
use super::super::key_hash;
use super::*;

#[test]
fn it_says_what_the_log_has() {
    for seed in 0..30 {
        simulated(seed, |_| async {
            let mut log = Log::random();
            let (part, content) = log.part(random_below(3000));
            assert_eq!(part.queues(), content.runs.len());
            for (key, (first, units)) in &content.runs {
                assert_eq!(part.run(key), Some((QueueOffset(*first), units.as_slice())));
            }
            assert_eq!(part.run(&queue(51, 0)), None);
            for hash in content.hashes().into_iter().take(100) {
                let found: Vec<u32> = part.positions(hash).collect();
                assert_eq!(found, content.positions(hash));
            }
            assert_eq!(part.times(), content.times);
            assert_eq!(part.span().to, log.end);
            part.discard().await;
        });
    }
}

#[test]
fn a_deleted_topic_takes_its_messages_along() {
    simulated(1, |_| async {
        let mut log = Log::new(20, 100);
        let (mut part, mut content) = log.grow(2000);
        let (units, memory) = (part.units(), part.memory());
        let gone: Vec<_> = content.runs.keys().copied().step_by(3).collect();
        let mut left = units;
        for key in &gone {
            left -= content.runs.remove(key).expect("it is there").1.len();
        }
        part.remove_queues(gone.iter().copied().chain([queue(51, 51)]));
        assert_eq!((part.queues(), part.units()), (content.runs.len(), left));
        assert!(part.memory() < memory - 16 * (units - left));
        assert!(gone.iter().all(|key| part.run(key).is_none()));
    });
}

/// Adds messages of 92 bytes until the part is full, to as many queues as there may be.
fn fill(queues: u64, keys: u32) -> Growing {
    let mut part = Growing::new(BASE, BASE);
    let mut number = 0_u64;
    while !part.is_full() {
        let unit = Packed { at: 92 * number as u32, size: 92, tag_hash: 0, crc: 0 };
        let key = queue(1, (number % queues) as u32);
        part.add(key, QueueOffset(number / queues), unit, UnixMillis(1), 0..keys);
        number += 1;
    }
    part
}

#[test]
fn every_limit_is_met_and_keeps_memory_bounded() {
    for queues in [1, 100_000, 1 << 20] {
        for keys in [0, 3, 5000] {
            let part = fill(queues, keys);
            let memory = part.memory();
            assert!(memory <= MAX_MEMORY, "{memory} bytes with {queues} queues, {keys} keys each");
            assert!(memory >= part.units() * 16 + part.units() * keys as usize * 8);
            let limits = [
                part.units() == MAX_UNITS,
                part.queues() == MAX_RUNS,
                part.units() * keys as usize > MAX_KEYS,
            ];
            assert_eq!(limits.iter().filter(|met| **met).count(), 1, "one limit was met first");
        }
    }
}

#[test]
#[should_panic(expected = "consecutive offsets")]
fn a_gap_in_a_queue_is_no_message() {
    let mut part = Growing::new(BASE, BASE);
    for (number, offset) in [(0, 7), (1, 9)] {
        let unit = Packed { at: 100 * number, size: 92, tag_hash: 0, crc: 0 };
        part.add(queue(1, 1), QueueOffset(offset), unit, UnixMillis(1), std::iter::empty());
    }
}

/// The hash is on disks: these numbers are for ever.
#[test]
fn the_hash_of_a_key_never_changes() {
    assert_eq!(key_hash("T", "k"), crc32c::crc32c(b"T#k"));
    assert_eq!(key_hash("orders", "4711"), 0x953C_61DE);
    assert_ne!(key_hash("T", "1"), key_hash("T1", ""));
}
