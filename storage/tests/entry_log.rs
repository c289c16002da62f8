//! A log whose entries are appended first, and committed or cut later: on the simulated and on the real disk.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod support;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::{LogIndex, Term, UnixMillis};
use runtime::sim::{DiskOp, Simulation, When};
use runtime::{BLOCK, File, OpenMode};
use storage::{
    EntryHead, EntryKind, EntryLog, EntryLogError, LogEntry, LogState, Options, Promise, Purged,
    Scale, StoreError, StoreId,
};
use support::{everywhere, first_segment, options, over_a_crash};

/// Bytes of an entry before its payload.
const HEADER: u64 = 88;
const ALL: std::ops::Range<LogIndex> = LogIndex(0)..LogIndex(u64::MAX);

async fn opened(dir: &Path) -> EntryLog {
    let scale = Scale { spare_bytes: 0, ..Scale::default() }; // two files
    EntryLog::open(&Options { scale, ..options(dir) }).await.expect("it opens")
}

async fn append(log: &mut EntryLog, term: u64, payload: &[u8]) {
    let head = EntryHead {
        index: log.state().next,
        term: Term(term),
        kind: EntryKind::Command,
        timestamp: UnixMillis(7),
        records: 0,
        chain: None,
    };
    log.append(&[(head, payload)]).await.expect("appended");
}

async fn read(log: &EntryLog) -> Vec<LogEntry> {
    log.reader().read(ALL, usize::MAX).await.expect("readable")
}

/// Terms and first bytes.
async fn seen(log: &EntryLog) -> Vec<(u64, u8)> {
    read(log).await.iter().map(|entry| (entry.head.term.0, entry.payload[0])).collect()
}

/// Appends large entries until one begins another segment; its index.
async fn fill_segment(log: &mut EntryLog, dir: &Path, term: u64) -> LogIndex {
    let size = options(dir).segment_size;
    let segment = log.state().end.0 / size;
    loop {
        let index = log.state().next;
        append(log, term, &vec![index.0 as u8; 700_000]).await;
        if log.state().end.0 / size > segment {
            return index;
        }
    }
}

#[test]
fn what_is_appended_is_read_back_and_cut() {
    everywhere("entries", |dir| async move {
        let mut log = opened(&dir).await;
        let empty = log.state();
        assert_eq!((empty.first, empty.next, empty.last_term), (LogIndex(0), LogIndex(0), Term(0)));
        assert!(seen(&log).await.is_empty());
        for (term, number) in [(1, 10), (1, 11), (2, 12), (2, 13), (3, 14)] {
            append(&mut log, term, &[number; 100]).await;
        }
        let all = [(1, 10), (1, 11), (2, 12), (2, 13), (3, 14)];
        assert_eq!(seen(&log).await, all);
        let some = log.reader().read(LogIndex(1)..LogIndex(4), 1).await.expect("readable");
        assert_eq!(some.len(), 1, "one at least");
        assert_eq!(some[0].head.index, LogIndex(1));
        log.commit(LogIndex(2));
        log.truncate(LogIndex(9)).await.expect("nothing to do");
        log.truncate(LogIndex(3)).await.expect("cut");
        assert_eq!(seen(&log).await, all[..3]);
        assert_eq!(log.state().last_term, Term(2));
        let place = log.place(50);
        append(&mut log, 4, &[20; 50]).await;
        assert_eq!(read(&log).await[3].offset, place);
        log.close().await.expect("closed");
        let log = opened(&dir).await;
        assert_eq!(seen(&log).await, [(1, 10), (1, 11), (2, 12), (4, 20)]);
        assert_eq!(log.state().committed, LogIndex(2), "the last entry knew");
    });
}

#[test]
fn a_cut_may_cross_segments_and_their_files_are_used_again() {
    over_a_crash(
        "cut-across",
        |dir| async move {
            let mut log = opened(&dir).await;
            append(&mut log, 1, b"kept").await;
            for _ in 0..3 {
                fill_segment(&mut log, &dir, 1).await;
            }
            log.truncate(LogIndex(1)).await.expect("cut");
            let names = runtime::fs::list(dir.join("log")).await.expect("readable");
            let mut names: Vec<_> = names.into_iter().map(|entry| entry.name).collect();
            names.sort_unstable();
            let first = first_segment(&dir);
            let first = first.file_name().and_then(|name| name.to_str()).expect("a name");
            assert_eq!(names, [first, "spare.0", "spare.1"]);
            append(&mut log, 2, b"other").await;
        },
        |dir: PathBuf, ()| async move {
            let mut log = opened(&dir).await;
            assert_eq!(seen(&log).await, [(1, b'k'), (2, b'o')]);
            let begin = fill_segment(&mut log, &dir, 2).await;
            log.truncate(begin).await.expect("cut");
            log.truncate(LogIndex(0)).await.expect("cut");
            assert!(seen(&log).await.is_empty());
            log.close().await.expect("closed");
            let log = opened(&dir).await;
            assert!(seen(&log).await.is_empty());
            let LogState { next, committed, .. } = log.state();
            assert_eq!((next, committed), (LogIndex(0), LogIndex(0)));
        },
    );
}

/// The cut lies so close to a block's end that the header of the entry behind it reaches into the next block. The entry is
/// appended again, and of that write only the first block comes to the disk.
#[test]
fn what_is_cut_does_not_follow_a_header_made_of_an_old_and_a_new_half() {
    const BEFORE_THE_END: u64 = 48;
    let block = BLOCK as u64;
    over_a_crash(
        "cut-in-a-header",
        move |dir| async move {
            let mut log = opened(&dir).await;
            append(&mut log, 1, b"kept").await;
            let place = log.place(0).0;
            let filler = block - BEFORE_THE_END - place % block - HEADER;
            append(&mut log, 1, &vec![b'k'; filler as usize]).await;
            let cut = log.state();
            assert_eq!(cut.end.0 % block, block - BEFORE_THE_END);
            append(&mut log, 1, b"again").await;
            append(&mut log, 1, b"never again").await;
            log.truncate(cut.next).await.expect("cut");
            let next = cut.end.0.next_multiple_of(block);
            let file = File::open(first_segment(&dir), OpenMode::ReadWrite).await.expect("there");
            let bytes = file.read_at(next, BLOCK).await.expect("readable");
            append(&mut log, 1, b"again").await;
            let mut lost = file.buffer(BLOCK);
            lost.copy_from_slice(&bytes);
            file.write_at(&Rc::new(lost), next).await.expect("writable");
            file.sync().await.expect("flushed");
        },
        |dir: PathBuf, ()| async move {
            let log = opened(&dir).await;
            assert_eq!(seen(&log).await, [(1, b'k'), (1, b'k')]);
        },
    );
}

/// The file of a segment that was cut off becomes the same segment again, and nothing is written to it: its
/// first entry continues the log as it did before.
#[test]
fn a_segment_made_anew_of_the_one_that_was_cut_is_empty() {
    let limit = Duration::from_secs(60);
    let simulation = Simulation::new(3);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let (cut, go) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (is_cut, may_go) = (Arc::clone(&cut), Arc::clone(&go));
    let first = node.start("first", move || async move {
        let dir = Path::new("/log");
        let mut log = opened(dir).await;
        let begin = fill_segment(&mut log, dir, 1).await;
        log.truncate(begin).await.expect("cut");
        is_cut.store(true, Ordering::Relaxed);
        while !may_go.load(Ordering::Relaxed) {
            runtime::sleep(Duration::from_millis(1)).await;
        }
        let head = EntryHead {
            index: begin,
            term: Term(2),
            kind: EntryKind::Command,
            timestamp: UnixMillis(7),
            records: 0,
            chain: None,
        };
        let failed = log.append(&[(head, &vec![1; 700_000])]).await;
        assert!(matches!(failed, Err(EntryLogError::Store(StoreError::Io(_)))), "{failed:?}");
        let again = log.truncate(LogIndex(0)).await;
        assert!(matches!(again, Err(EntryLogError::Failed)), "nothing is written after a failure");
        begin
    });
    assert!(simulation.run_until(limit, || cut.load(Ordering::Relaxed)), "it is cut");
    // The segment's header is written, the entry is not.
    node.disk().fail(DiskOp::Write, When::Nth(2));
    go.store(true, Ordering::Relaxed);
    let begin = simulation.join(first, limit).expect("the first life ends");
    node.crash();
    node.disk().heal();
    let second = node.start("second", move || async move {
        let dir = Path::new("/log");
        let size = options(dir).segment_size;
        let name = dir.join("log").join(format!("{size:020}"));
        assert!(runtime::fs::exists(name).await.expect("readable"), "the segment was made");
        assert_eq!(opened(dir).await.state().next, begin, "what was cut is there again");
    });
    simulation.join(second, limit).expect("the second life ends");
}

#[test]
fn promises_are_kept_and_a_log_begins_anew_where_it_is_told_to() {
    over_a_crash(
        "promises",
        |dir| async move {
            let mut log = opened(&dir).await;
            assert_eq!(
                log.promise(),
                Promise { term: Term(0), voted_for: StoreId(0), elected: false }
            );
            let promise = Promise { term: Term(5), voted_for: StoreId(77), elected: true };
            log.save_promise(promise).await.expect("kept");
            assert_eq!(log.purged(), Purged::default());
            let purged = Purged { before: LogIndex(1), term: Term(5) };
            log.save_purged(purged).await.expect("kept");
            append(&mut log, 5, b"old").await;
            fill_segment(&mut log, &dir, 5).await;
            log.commit(log.state().next);
            log.restart_at(LogIndex(1_000)).await.expect("begun anew");
            assert_eq!((log.state().first, log.state().next), (LogIndex(1_000), LogIndex(1_000)));
            append(&mut log, 6, b"new").await;
            let entries = read(&log).await;
            assert_eq!((entries.len(), entries[0].head.index), (1, LogIndex(1_000)));
        },
        |dir: PathBuf, ()| async move {
            let log = opened(&dir).await;
            assert_eq!(
                log.promise(),
                Promise { term: Term(5), voted_for: StoreId(77), elected: true }
            );
            assert_eq!(log.purged(), Purged { before: LogIndex(1), term: Term(5) });
            assert_eq!(seen(&log).await, [(6, b'n')]);
            assert_eq!((log.state().first, log.state().next), (LogIndex(1_000), LogIndex(1_001)));
        },
    );
}

#[test]
fn an_entry_of_another_log_is_refused_and_nothing_changes() {
    everywhere("other-log", |dir| async move {
        // Two logs that began the same, and differ since in an entry of the same index and term.
        let others = dir.with_extension("other");
        let mut log = opened(&dir).await;
        let mut other = opened(&others).await;
        other.begin_as(log.id()).await.expect("it is empty");
        for (ours, theirs) in [(10, 10), (11, 12), (13, 13)] {
            append(&mut log, 1, &[ours; 100]).await;
            append(&mut other, 1, &[theirs; 100]).await;
        }
        let (ours, theirs) = (read(&log).await, read(&other).await);
        assert_eq!(ours[0].head, theirs[0].head, "the chain is the same up to there");
        assert_ne!(
            (ours[1].head.chain, ours[2].head.chain),
            (theirs[1].head.chain, theirs[2].head.chain)
        );
        log.truncate(LogIndex(2)).await.expect("cut");
        log.append(&[(ours[2].head, &ours[2].payload)]).await.expect("it was here before");
        log.truncate(LogIndex(2)).await.expect("cut");
        let before = log.state();
        let refused = log.append(&[(theirs[2].head, &theirs[2].payload)]).await;
        let Err(EntryLogError::OtherLog(found)) = refused else { panic!("{refused:?}") };
        assert_eq!(found.index, 2);
        assert_eq!(
            (Some(found.ours), Some(found.theirs)),
            (ours[2].head.chain, theirs[2].head.chain)
        );
        let text = found.to_string();
        assert!(
            text.contains("entry 2") && text.contains(&format!("{:#010x}", found.ours)),
            "{text}"
        );
        assert_eq!((log.state().next, log.state().end), (before.next, before.end));
        let refused = log.append(&[(ours[2].head, &ours[2].payload)]).await;
        assert!(matches!(refused, Err(EntryLogError::Failed)), "it takes nothing any more");
        drop(log);
        let log = opened(&dir).await;
        assert_eq!(seen(&log).await, [(1, 10), (1, 11)], "what was there stays");
    });
}

#[test]
fn an_entry_that_is_too_large_is_refused() {
    everywhere("too-large", |dir| async move {
        let mut log = opened(&dir).await;
        let payload = vec![0; options(&dir).segment_size as usize / 4];
        let head = EntryHead {
            index: LogIndex(0),
            term: Term(1),
            kind: EntryKind::Command,
            timestamp: UnixMillis(1),
            records: 0,
            chain: None,
        };
        let refused = log.append(&[(head, &payload)]).await;
        assert!(matches!(refused, Err(EntryLogError::TooLarge { .. })), "{refused:?}");
        append(&mut log, 1, b"small").await;
        assert_eq!(seen(&log).await.len(), 1);
    });
}
