//! The beginning of the log is given up: offsets move, files are used again, and a start knows it.

mod support;

use std::path::PathBuf;

use model::{PhysicalOffset, QueueId, QueueOffset, Record};
use runtime::fs;
use storage::{AppliedRecord, Options, ReadError, TrimError};
use support::{Opened, everywhere, open, options, over_a_crash};

const LEN: usize = 300_000;

/// Sends to two queues in turn until the log reaches beyond `offset`.
async fn fill(opened: &mut Opened, offset: u64) -> Vec<AppliedRecord> {
    let mut sent: Vec<AppliedRecord> = Vec::new();
    while sent.last().is_none_or(|last| last.physical.0 < offset) {
        let queue = QueueId(u32::try_from(sent.len() % 2).expect("two queues"));
        opened.append("T", queue, &vec![0x5A; LEN]).await;
        sent.extend(opened.collect(1).await);
    }
    sent
}

/// Gives up the log before `to`, as soon as its checkpoint is there.
async fn trim(opened: &mut Opened, to: u64) {
    let store = opened.store.clone();
    while let Err(error) = store.append_trim(PhysicalOffset(to)).await {
        assert!(matches!(error, TrimError::Where { .. }), "{error}");
        runtime::yield_now().await;
        opened.answer().await;
    }
    while opened.store.stats().min.0 < to {
        opened.answer().await;
    }
}

/// Checks that exactly the messages behind `to` are there.
async fn check(opened: &Opened, sent: &[AppliedRecord], to: u64) {
    for queue in [QueueId(0), QueueId(1)] {
        let left: Vec<_> =
            sent.iter().filter(|record| record.queue == queue && record.physical.0 >= to).collect();
        let range = opened.store.queue("T", queue).expect("the queue is there");
        assert_eq!(range.min, left[0].queue_offset, "queue {queue}");
        assert_eq!(range.max, left[left.len() - 1].queue_offset.plus(1), "queue {queue}");
        let units = opened.units("T", queue).await;
        assert_eq!(units.len(), left.len());
        for ((offset, unit), record) in units.iter().zip(left) {
            assert_eq!((*offset, unit.offset), (record.queue_offset, record.physical));
            let bytes = opened.store.record_at(unit.offset).await.expect("it is there");
            assert_eq!(Record::parse(&bytes).expect("a record").body().len(), LEN);
        }
    }
    let gone = sent.iter().find(|record| record.physical.0 < to).expect("something was given up");
    let error = opened.store.record_at(gone.physical).await.expect_err("it is gone");
    assert!(matches!(error, ReadError::OutOfRange { .. }), "{error}");
}

async fn segments(options: &Options) -> Vec<String> {
    let entries = runtime::fs::list(&options.log_dir).await.expect("readable");
    let names = entries.into_iter().map(|entry| entry.name);
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).collect()
}

#[test]
fn what_was_given_up_is_gone_and_its_files_are_used_again() {
    everywhere("trim", |dir| async move {
        let options = options(&dir);
        let size = options.segment_size;
        let mut opened = open(options.clone()).await;
        opened.store.append_create_topic("T", 2, b"").expect("room");
        let mut sent = fill(&mut opened, 4 * size + size / 2).await;
        let unaligned = opened.store.append_trim(PhysicalOffset(size + 1)).await;
        assert!(matches!(unaligned, Err(TrimError::Where { .. })));
        let beyond = opened.store.append_trim(PhysicalOffset(5 * size)).await;
        assert!(matches!(beyond, Err(TrimError::Where { .. })));
        trim(&mut opened, size).await;
        check(&opened, &sent, size).await;
        trim(&mut opened, 3 * size).await;
        check(&opened, &sent, 3 * size).await;
        let again = opened.store.append_trim(PhysicalOffset(2 * size)).await;
        assert!(matches!(again, Err(TrimError::Where { .. })));
        // Segments go on in the files of those that were given up: more are never there at once.
        for _ in 0..4 {
            let end = opened.store.stats().max.0;
            sent.extend(fill(&mut opened, end + size).await);
            let newest = opened.store.segments().last().expect("a segment").0;
            trim(&mut opened, newest.0 - size).await;
            assert!(segments(&options).await.len() <= 4);
        }
        let oldest = opened.store.stats().min.0;
        check(&opened, &sent, oldest / size * size).await;
        opened.stop().await;
        let opened = open(options.clone()).await;
        check(&opened, &sent, oldest / size * size).await;
        assert_eq!(segments(&options).await.len(), opened.store.segments().len());
        opened.stop().await;
    });
}

#[test]
fn an_index_that_is_gone_is_made_anew_of_what_a_trim_has_left() {
    everywhere("trim-index", |dir| async move {
        let mut opened = open(options(&dir)).await;
        let size = options(&dir).segment_size;
        opened.store.append_create_topic("T", 2, b"").expect("room");
        let sent = fill(&mut opened, 3 * size + size / 2).await;
        trim(&mut opened, size).await;
        opened.stop().await;
        // A start reads from the oldest checkpoint; the entry before it went with the first segment.
        for file in fs::list(dir.join("index")).await.expect("readable") {
            fs::remove_file(dir.join("index").join(file.name)).await.expect("removable");
        }
        let opened = open(options(&dir)).await;
        assert_eq!(opened.store.stats().min.0 / size, 1);
        check(&opened, &sent, size).await;
        opened.stop().await;
    });
}

#[test]
fn a_trim_is_remembered_over_a_death() {
    over_a_crash(
        "trim-crash",
        |dir: PathBuf| async move {
            let mut opened = open(options(&dir)).await;
            let size = options(&dir).segment_size;
            opened.store.append_create_topic("T", 2, b"").expect("room");
            let sent = fill(&mut opened, 4 * size + size / 2).await;
            trim(&mut opened, size).await;
            trim(&mut opened, 2 * size).await;
            drop(opened);
            runtime::yield_now().await;
            sent.iter()
                .map(|record| (record.physical.0, record.queue.0, record.queue_offset.0))
                .collect()
        },
        |dir, sent: Vec<(u64, u32, u64)>| async move {
            let size = options(&dir).segment_size;
            let opened = open(options(&dir)).await;
            for queue in 0..2 {
                let first = sent.iter().find(|(at, of, _)| *at >= 2 * size && *of == queue);
                let range = opened.store.queue("T", QueueId(queue)).expect("the queue is there");
                assert_eq!(range.min, QueueOffset(first.expect("some are left").2));
                opened.units("T", QueueId(queue)).await;
            }
            opened.stop().await;
        },
    );
}
