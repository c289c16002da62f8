//! The store's contract, on the simulated and on the real disk with the same code.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod support;

use std::time::Duration;

use model::{PhysicalOffset, QueueId, QueueOffset, Record, UnixMillis};
use storage::{
    AppendError, Boundary, CommandKind, Event, Flush, OpenError, ReadError, StoreError, What,
};
use support::{
    Opened, STATE, body, damage, draft, everywhere, open, options, over_a_crash, try_open,
};

/// Sends `count` messages to queue `i % 4` and waits until all are committed.
async fn send(opened: &mut Opened, from: u64, count: u64) -> Vec<storage::AppliedRecord> {
    for i in from..from + count {
        let text = body(i);
        let message = draft("T", QueueId((i % 4) as u32), &text);
        while let Err(error) = opened.store.append_message(&message) {
            match error {
                AppendError::Busy { .. } => opened.drain_some().await,
                AppendError::NoSegment => runtime::sleep(Duration::from_millis(1)).await,
                other => panic!("{other}"),
            }
        }
    }
    opened.collect(count as usize).await
}

async fn check_all(opened: &Opened, count: u64) {
    for queue in 0..4 {
        let range = opened.store.queue("T", QueueId(queue)).expect("the queue is there");
        let expected = (count + 3 - u64::from(queue)) / 4;
        assert_eq!((range.min, range.max), (QueueOffset(0), QueueOffset(expected)));
        let units = opened.units("T", QueueId(queue)).await;
        let units: Vec<_> = units.into_iter().map(|(_, unit)| unit).collect();
        let records = opened.store.read_units(&units).await.expect("all can be read");
        for (at, bytes) in records.iter().enumerate() {
            let record = Record::parse(bytes).expect("a record");
            record.check_body().expect("its body");
            assert_eq!(record.queue_offset(), QueueOffset(at as u64));
            assert_eq!(record.body(), body(at as u64 * 4 + u64::from(queue)));
        }
    }
}

#[test]
fn what_is_committed_is_there_after_a_clean_stop() {
    everywhere("clean-stop", |dir| async move {
        let mut opened = open(options(&dir)).await;
        assert!(opened.recovery.new && opened.recovery.clean);
        opened.store.append_create_topic("T", 4, b"config").expect("room");
        let records = send(&mut opened, 0, 500).await;
        assert_eq!(records.len(), 500);
        for (i, record) in records.iter().enumerate() {
            assert_eq!(record.queue_offset, QueueOffset(i as u64 / 4));
        }
        check_all(&opened, 500).await;
        opened.store.append_command(CommandKind(7), b"hello").expect("room");
        opened.stop().await;

        let opened = open(options(&dir)).await;
        assert!(opened.recovery.clean && !opened.recovery.new);
        assert_eq!(opened.recovery.records, 500);
        check_all(&opened, 500).await;
        let commands: Vec<_> = opened
            .replayed
            .iter()
            .filter_map(|applied| match &applied.what {
                What::Command { kind, payload } => Some((*kind, payload.to_vec())),
                _ => None,
            })
            .collect();
        assert_eq!(commands, [(CommandKind(7), b"hello".to_vec())]);
        opened.stop().await;
    });
}

#[test]
fn segments_follow_each_other_and_large_requests_fit() {
    everywhere("segments", |dir| async move {
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 1, b"").expect("room");
        opened.collect(0).await;
        let size = options(&dir).segment_size;
        let large = vec![0xAB; 900_000];
        let count = size / 900_000 * 3;
        let mut seen = Vec::new();
        for _ in 0..count {
            opened.append("T", QueueId(0), &large).await;
            seen.extend(opened.collect(1).await);
        }
        let last = seen.last().expect("some were sent").physical;
        assert!(last.0 > 2 * size, "three segments were needed, the log reached {last}");
        for record in &seen {
            let (begin, end) = (record.physical.0, record.physical.0 + u64::from(record.size));
            assert_eq!(begin / size, (end - 1) / size, "a record crosses segments");
        }
        opened.stop().await;

        let opened = open(options(&dir)).await;
        // What is before the newest segment is in its checkpoint.
        assert!(opened.recovery.records < count && opened.recovery.start.0 >= size);
        assert_eq!(opened.restored.as_deref(), Some(STATE));
        let range = opened.store.queue("T", QueueId(0)).expect("the queue is there");
        assert_eq!((range.min, range.max), (QueueOffset(0), QueueOffset(count)));
        let units = opened.units("T", QueueId(0)).await;
        assert!(units.iter().zip(&seen).all(|((_, unit), seen)| unit.offset == seen.physical));
        for record in &seen {
            let bytes = opened.store.record_at(record.physical).await.expect("it is there");
            assert_eq!(Record::parse(&bytes).expect("a record").body(), large);
        }
        opened.stop().await;
    });
}

#[test]
fn async_flush_commits_and_flushes_in_the_background() {
    everywhere("async", |dir| async move {
        let mut options = options(&dir);
        options.flush = Flush::Async { interval: Duration::from_millis(20) };
        let mut opened = open(options.clone()).await;
        opened.store.append_create_topic("T", 4, b"").expect("room");
        send(&mut opened, 0, 100).await;
        let deadline = runtime::now() + Duration::from_secs(5);
        while opened.store.stats().unflushed > 0 {
            assert!(runtime::now() < deadline, "the background flush does not come");
            runtime::sleep(Duration::from_millis(5)).await;
        }
        opened.stop().await;
        let opened = open(options).await;
        check_all(&opened, 100).await;
        opened.stop().await;
    });
}

#[test]
fn a_deleted_topic_starts_clean() {
    everywhere("delete", |dir| async move {
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 4, b"").expect("room");
        send(&mut opened, 0, 10).await;
        opened.store.append_delete_topic("T").expect("it exists");
        assert_eq!(opened.store.append_delete_topic("T"), Err(AppendError::NoTopic));
        let message = draft("T", QueueId(0), b"x");
        assert_eq!(opened.store.append_message(&message), Err(AppendError::NoTopic));
        opened.store.append_create_topic("T", 4, b"").expect("room");
        let records = send(&mut opened, 0, 4).await;
        assert!(records.iter().all(|record| record.queue_offset == QueueOffset(0)));
        opened.stop().await;
        let opened = open(options(&dir)).await;
        check_all(&opened, 4).await;
        opened.stop().await;
    });
}

#[test]
fn times_are_searched() {
    everywhere("times", |dir| async move {
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 4, b"").expect("room");
        let mut times = Vec::new();
        for i in 0..20 {
            let records = send(&mut opened, i * 4, 4).await;
            times.push(records[0].store_time);
            runtime::sleep(Duration::from_millis(3)).await;
        }
        let store = opened.store.clone();
        let search = |time: UnixMillis, boundary| {
            let store = store.clone();
            async move { store.offset_by_time("T", QueueId(0), time, boundary).await.expect("readable") }
        };
        for (at, time) in times.iter().enumerate() {
            let lower = search(*time, Boundary::Lower).await.expect("a queue").0 as usize;
            let upper = search(*time, Boundary::Upper).await.expect("a queue").0 as usize;
            assert!(lower <= at && at <= upper && times[lower] == *time && times[upper] == *time);
        }
        assert_eq!(search(UnixMillis(0), Boundary::Lower).await, Some(QueueOffset(0)));
        let late = UnixMillis(times[19].0 + 1_000_000);
        assert_eq!(search(late, Boundary::Lower).await, Some(QueueOffset(20)));
        assert_eq!(search(late, Boundary::Upper).await, Some(QueueOffset(19)));
        opened.stop().await;
    });
}

#[test]
fn reads_outside_of_records_are_refused() {
    everywhere("reads", |dir| async move {
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 4, b"").expect("room");
        let record = send(&mut opened, 0, 1).await.remove(0);
        let store = &opened.store;
        assert!(store.record_at(record.physical).await.is_ok());
        let inside = store.record_at(record.physical.plus(1)).await;
        assert!(matches!(inside, Err(ReadError::NoRecord { .. })), "{inside:?}");
        for offset in [0, 100, store.stats().max.0, u64::MAX >> 1] {
            let outside = store.record_at(PhysicalOffset(offset)).await;
            assert!(
                matches!(outside, Err(ReadError::OutOfRange { .. } | ReadError::NoRecord { .. })),
                "{offset}: {outside:?}"
            );
        }
        opened.stop().await;
    });
}

#[test]
fn a_directory_that_is_not_ours_is_refused_and_left_alone() {
    everywhere("foreign", |dir| async move {
        for name in ["commitlog", "config"] {
            runtime::fs::create_dir_all(dir.join(name)).await.expect("writable");
        }
        let refused = try_open(options(&dir)).await.err().expect("refused");
        assert!(matches!(refused, OpenError::Foreign { .. }), "{refused}");
        assert!(refused.to_string().contains("Apache RocketMQ"), "{refused}");
        let left = runtime::fs::list(&dir).await.expect("readable");
        assert_eq!(left.len(), 2, "{left:?}");
    });
}

#[test]
fn what_was_fixed_at_the_first_start_cannot_change() {
    everywhere("fixed", |dir| async move {
        open(options(&dir)).await.stop().await;
        let mut other = options(&dir);
        other.shards = 2;
        let refused = try_open(other).await.err().expect("refused");
        assert!(matches!(refused, OpenError::Fixed { what: "shards", .. }), "{refused}");
        let mut other = options(&dir);
        other.segment_size *= 2;
        let refused = try_open(other).await.err().expect("refused");
        assert!(matches!(refused, OpenError::Fixed { .. }), "{refused}");
        let mut other = options(&dir);
        other.segment_size = 4096;
        let refused = try_open(other).await.err().expect("refused");
        assert!(matches!(refused, OpenError::SegmentSize { .. }), "{refused}");
        open(options(&dir)).await.stop().await;
    });
}

#[test]
fn two_at_once_are_refused() {
    everywhere("locked", |dir| async move {
        let first = open(options(&dir)).await;
        let refused = try_open(options(&dir)).await.err().expect("refused");
        assert!(matches!(refused, OpenError::Locked(_)), "{refused}");
        first.stop().await;
        open(options(&dir)).await.stop().await;
    });
}

#[test]
fn damage_is_told_and_nothing_is_cut() {
    everywhere("damage", |dir| async move {
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 4, b"").expect("room");
        let records = send(&mut opened, 0, 50).await;
        opened.stop().await;
        let at = records[20].physical.0 + 100;
        damage(&dir, at).await;
        for _ in 0..2 {
            let (store, mut events) =
                try_open(options(&dir)).await.expect("the identity is intact");
            let error = loop {
                match events.next().await {
                    Event::Committed(_) | Event::Restored(_) => {}
                    Event::Failed(error) => break error,
                    other => panic!("{other:?}"),
                }
            };
            let StoreError::Damage(damage) = &error else { panic!("{error}") };
            assert!(damage.offset.0 <= at && at < records[21].physical.0 + 4096, "{damage}");
            assert_eq!(store.append_create_topic("U", 1, b""), Err(AppendError::Failed));
            store.stop().await;
        }
        damage(&dir, at).await; // flipped back
        let opened = open(options(&dir)).await;
        check_all(&opened, 50).await;
        opened.stop().await;
    });
}

/// Sends messages one by one, each in a batch of its own, and dies.
async fn one_by_one(dir: std::path::PathBuf, count: u64) -> Vec<u64> {
    let mut opened = open(options(&dir)).await;
    opened.store.append_create_topic("T", 4, b"").expect("room");
    let mut offsets = Vec::new();
    for i in 0..count {
        offsets.push(send(&mut opened, i, 1).await[0].physical.0);
    }
    drop(opened);
    runtime::yield_now().await;
    offsets
}

#[test]
fn what_is_committed_survives_a_crash() {
    over_a_crash(
        "crash",
        |dir| one_by_one(dir, 40),
        |dir, _| async move {
            let opened = open(options(&dir)).await;
            assert!(!opened.recovery.clean && !opened.recovery.new && !opened.recovery.torn);
            assert_eq!(opened.recovery.records, 40);
            check_all(&opened, 40).await;
            opened.stop().await;
            let mut opened = open(options(&dir)).await;
            assert!(opened.recovery.clean);
            send(&mut opened, 40, 40).await;
            check_all(&opened, 80).await;
            opened.stop().await;
        },
    );
}

#[test]
fn a_torn_tail_is_cut_and_stays_cut() {
    over_a_crash(
        "torn",
        |dir| one_by_one(dir, 10),
        |dir, offsets| async move {
            // Nothing behind the last entry says that it was durable.
            damage(&dir, offsets[9] + 50).await;
            let mut opened = open(options(&dir)).await;
            assert_eq!((opened.recovery.records, opened.recovery.torn), (9, true));
            check_all(&opened, 9).await;
            // The same place is written anew; what was cut does not come back behind it.
            let again = send(&mut opened, 9, 1).await;
            assert_eq!(again[0].physical.0, offsets[9]);
            opened.stop().await;
            let opened = open(options(&dir)).await;
            check_all(&opened, 10).await;
            opened.stop().await;
        },
    );
}

#[test]
fn a_bad_entry_that_was_durable_is_no_torn_tail() {
    over_a_crash(
        "witness",
        |dir| one_by_one(dir, 10),
        |dir, offsets| async move {
            damage(&dir, offsets[5] + 50).await;
            let (store, mut events) =
                try_open(options(&dir)).await.expect("the identity is intact");
            let error = loop {
                match events.next().await {
                    Event::Committed(_) | Event::Restored(_) => {}
                    Event::Failed(error) => break error,
                    other => panic!("{other:?}"),
                }
            };
            let StoreError::Damage(found) = &error else { panic!("{error}") };
            assert!(found.offset.0 > offsets[4] && found.offset.0 <= offsets[5], "{found}");
            assert!(found.evidence.contains("intact entry"), "{found}");
            store.stop().await;
        },
    );
}
