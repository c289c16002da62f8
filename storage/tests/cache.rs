//! Reading what is not at the tail any more: what it costs the disk, and what damage does.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod support;

use std::ops::ControlFlow;
use std::path::Path;

use model::{QueueId, QueueOffset, Record, UnixMillis};
use storage::{AppendError, AppliedRecord, Boundary, Options, ReadError, Store, Unit};
use support::{Opened, body, damage, draft, everywhere, open, options};

const QUEUES: u64 = 4;
const WINDOW: u64 = 64 * 1024;

/// Sends messages with bodies of `body` to queue `i % 4`; all are committed at the end.
async fn send(opened: &mut Opened, count: u64, body: fn(u64) -> Vec<u8>) -> Vec<AppliedRecord> {
    for i in 0..count {
        let text = body(i);
        let message = draft("T", QueueId((i % QUEUES) as u32), &text);
        while let Err(error) = opened.store.append_message(&message) {
            match error {
                AppendError::Busy { .. } => opened.drain_some().await,
                AppendError::NoSegment => opened.answer().await,
                other => panic!("{other}"),
            }
        }
    }
    opened.collect(count as usize).await
}

/// A store with messages whose tail is not in memory: it was just opened.
async fn cold(
    options: Options,
    count: u64,
    body: fn(u64) -> Vec<u8>,
) -> (Opened, Vec<AppliedRecord>) {
    let mut opened = open(options.clone()).await;
    opened.store.append_create_topic("T", QUEUES as u32, b"").expect("room");
    let records = send(&mut opened, count, body).await;
    opened.stop().await;
    (open(options).await, records)
}

fn cold_options(dir: &Path, cache_size: usize) -> Options {
    let mut options = options(dir);
    options.segment_size = options.segment_size.next_multiple_of(WINDOW);
    options.cache_size = cache_size;
    options
}

/// The units of a queue from `from` on.
fn units(store: &Store, queue: u64, from: u64, max: usize) -> Vec<Unit> {
    let mut units = Vec::new();
    store.units("T", QueueId(queue as u32), QueueOffset(from), max, |_, unit| {
        units.push(unit);
        ControlFlow::Continue(())
    });
    units
}

/// Reads all queues side by side, as consumers do, in steps of `step` messages.
async fn drain(store: &Store, count: u64, step: usize, body: fn(u64) -> Vec<u8>) {
    let mut from = 0;
    while from < count / QUEUES {
        for queue in 0..QUEUES {
            let some = units(store, queue, from, step);
            let records = store.read_units(&some).await.expect("all can be read");
            assert_eq!(records.len(), some.len());
            for (at, bytes) in (from..).zip(&records) {
                let record = Record::parse(bytes).expect("a record");
                assert_eq!(record.queue_offset(), QueueOffset(at));
                assert_eq!(record.body(), body(at * QUEUES + queue));
            }
        }
        from += step as u64;
    }
}

/// The units of all queues, in the order of the log.
fn all_units(store: &Store) -> Vec<Unit> {
    let mut all: Vec<Unit> =
        (0..QUEUES).flat_map(|queue| units(store, queue, 0, usize::MAX)).collect();
    all.sort_by_key(|unit| unit.offset);
    all
}

#[test]
fn a_backlog_is_read_once() {
    everywhere("cache-backlog", |dir| async move {
        let (opened, _) = cold(cold_options(&dir, 4 << 20), 4000, body).await;
        let stats = opened.store.stats();
        let log = stats.max.since(stats.min);
        assert!(log > 4 << 20, "it is larger than the cache: {log}");
        drain(&opened.store, 4000, 32, body).await;
        let cache = opened.store.stats().cache;
        assert!(cache.read_bytes <= log + 64 * 1024, "{cache:?} for a log of {log} bytes");
        assert!(cache.reads <= log.div_ceil(WINDOW) + 4, "{cache:?}");
        assert!(cache.read_ahead > cache.reads / 2, "{cache:?}");
        assert!(cache.hits > 5 * cache.misses, "{cache:?}");
        assert!(cache.memory <= 4 << 20, "{cache:?}");
        opened.stop().await;
    });
}

#[test]
fn a_backlog_is_read_without_a_cache_as_well() {
    everywhere("cache-none", |dir| async move {
        let (opened, _) = cold(cold_options(&dir, 0), 1000, body).await;
        drain(&opened.store, 1000, 7, body).await;
        let cache = opened.store.stats().cache;
        assert_eq!((cache.hits, cache.memory, cache.read_ahead), (0, 0, 0));
        opened.stop().await;
    });
}

/// Records that cross windows, some of them more than one.
fn large(i: u64) -> Vec<u8> {
    let len = [100, 70_000, 300_000, 900_000][i as usize * 7 % 4];
    (0..len).map(|at| (at / 100 + i) as u8).collect()
}

#[test]
fn records_larger_than_a_window_are_put_together() {
    everywhere("cache-large", |dir| async move {
        let (opened, records) = cold(cold_options(&dir, 2 << 20), 40, large).await;
        drain(&opened.store, 40, 3, large).await;
        for (i, record) in records.iter().enumerate().rev() {
            let bytes = opened.store.record_at(record.physical).await.expect("it is there");
            assert_eq!(Record::parse(&bytes).expect("a record").body(), large(i as u64));
        }
        assert!(opened.store.stats().cache.memory <= 2 << 20);
        opened.stop().await;
    });
}

#[test]
fn damage_is_found_and_not_kept() {
    everywhere("cache-damage", |dir| async move {
        let (opened, records) = cold(cold_options(&dir, 4 << 20), 400, body).await;
        let victim = &records[200];
        let at = victim.physical.0 + u64::from(victim.size) - 40;
        damage(&dir, at).await;
        let all = all_units(&opened.store);
        for _ in 0..2 {
            match opened.store.read_units(&all).await {
                Err(ReadError::Damaged { segment, offset, .. }) => {
                    assert_eq!(offset, victim.physical);
                    assert_eq!(segment, support::first_segment(&dir));
                }
                other => panic!("the damage is not found: {other:?}"),
            }
        }
        let others: Vec<Unit> =
            all.iter().copied().filter(|unit| unit.offset != victim.physical).collect();
        let found = opened.store.read_units(&others).await.expect("the others are intact");
        assert_eq!(found.len(), 399);
        assert!(opened.store.record_at(victim.physical).await.is_err());

        damage(&dir, at).await; // the same bit again
        let found = opened.store.read_units(&all).await.expect("it was not kept");
        assert_eq!(found.len(), 400);
        opened.stop().await;
    });
}

#[test]
fn a_search_by_time_reads_heads_alone() {
    everywhere("cache-times", |dir| async move {
        let (opened, records) = cold(cold_options(&dir, 4 << 20), 100, large).await;
        for record in &records {
            let found = opened.store.store_time("T", record.queue, record.queue_offset).await;
            assert_eq!(found.expect("readable"), Some(record.store_time));
        }
        let at = opened
            .store
            .offset_by_time("T", QueueId(0), UnixMillis(u64::MAX), Boundary::Lower)
            .await
            .expect("readable");
        assert_eq!(at, Some(QueueOffset(25)));
        let cache = opened.store.stats().cache;
        assert!(cache.read_bytes < 110 * 4096, "{cache:?}");
        assert_eq!(cache.memory, 0);

        // A head that is not the one of this message is told, never a wrong time.
        let victim = &records[3];
        assert!(victim.size > 4096);
        damage(&dir, victim.physical.0 + 27).await; // the lowest byte of the queue offset
        let found = opened.store.store_time("T", victim.queue, victim.queue_offset).await;
        assert!(matches!(found, Err(ReadError::Damaged { .. })), "{found:?}");
        opened.stop().await;
    });
}

#[test]
fn scattered_records_are_read_whole() {
    everywhere("cache-scattered", |dir| async move {
        let (opened, _) = cold(cold_options(&dir, 4 << 20), 6000, body).await;
        // Fills the cache, so that each of the records lies in a window.
        drain(&opened.store, 1600, 32, body).await;
        let scattered: Vec<Unit> = all_units(&opened.store).into_iter().step_by(50).collect();
        let found = opened.store.read_units(&scattered).await.expect("all can be read");
        for (i, bytes) in found.iter().enumerate() {
            assert_eq!(Record::parse(bytes).expect("a record").body(), body(i as u64 * 50));
        }
        opened.stop().await;
    });
}
