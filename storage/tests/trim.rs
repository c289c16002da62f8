//! The beginning of the log is given up: offsets move, files are used again, and a start knows it.

mod support;

use std::path::PathBuf;

use model::{PhysicalOffset, QueueId, QueueOffset, Record};
use runtime::fs;
use storage::inspect::{Place, Start, View};
use storage::{AppliedRecord, Event, Options, ReadError, TrimError};
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

/// What `mqstore check` says of a start.
async fn outlook(view: &View) -> Start {
    view.check(&mut |_| {}).await.expect("readable").start
}

#[test]
fn a_damaged_index_of_a_log_that_was_trimmed_twice_is_made_anew() {
    everywhere("trim-twice", |dir| async move {
        let size = options(&dir).segment_size;
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 2, b"").expect("room");
        let mut sent = fill(&mut opened, 4 * size + size / 2).await;
        trim(&mut opened, size).await;
        trim(&mut opened, 2 * size).await;
        sent.extend(fill(&mut opened, 6 * size + size / 2).await);
        opened.stop().await;
        // The checkpoint of the first trim is gone with its segment; the entry is still there.
        let index = fs::list(dir.join("index")).await.expect("readable");
        let oldest = index.iter().map(|entry| &entry.name).min().expect("an index");
        support::alter(&dir.join("index").join(oldest), 4096 + 100, 1, |byte| byte[0] ^= 1).await;
        let view = View::open(&Place { dir: dir.clone(), log_dir: None }).await.expect("a store");
        let checked = view.check(&mut |_| {}).await.expect("readable");
        let plan = view.plan(&checked, None).expect("nothing to cut");
        assert_eq!(
            (plan.remove.len(), plan.after.clone()),
            (1, Start::From(PhysicalOffset(2 * size)))
        );
        view.mend(&plan, &mut |_| {}).await.expect("writable");
        drop(view);
        let opened = open(options(&dir)).await;
        check(&opened, &sent, 2 * size).await;
        opened.stop().await;
    });
}

#[test]
fn a_trim_whose_checkpoint_is_lost_is_refused_unless_a_later_one_follows() {
    everywhere("trim-lost", |dir| async move {
        let size = options(&dir).segment_size;
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 2, b"").expect("room");
        fill(&mut opened, 4 * size + size / 2).await;
        trim(&mut opened, size).await;
        opened.stop().await;
        let lost = dir.join("checkpoints").join(format!("{size:020}"));
        fs::rename(&lost, dir.join("away")).await.expect("writable");
        let view = View::open(&Place { dir: dir.clone(), log_dir: None }).await.expect("a store");
        assert!(matches!(outlook(&view).await, Start::Refused { .. }));
        drop(view);
        let (store, mut events) = support::try_open(options(&dir)).await.expect("it opens");
        let why = loop {
            match events.next().await {
                Event::Failed(why) => break why.to_string(),
                Event::Recovered(_) => panic!("nobody knows where the queues begin"),
                _ => {}
            }
        };
        assert!(why.contains(&format!("{size:020}")), "{why}");
        drop((store, events));
        runtime::yield_now().await;
        fs::rename(dir.join("away"), lost).await.expect("writable");
        open(options(&dir)).await.stop().await;
    });
}
