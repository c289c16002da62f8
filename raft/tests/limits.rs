//! Limits of a member's log: reads, batches, entries that are too large.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]
#![allow(clippy::disallowed_methods, reason = "a test makes and removes its own directory")]

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{StreamExt, poll};
use model::UnixMillis;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use openraft::type_config::alias::{EntryOf, LogIdOf, OneshotReceiverOf, VoteOf};
use openraft::{EntryPayload, RaftLogReader};
use raft::{Content, LogError, MemberId, Proposal, RaftLog, Types};
use runtime::sim::{DiskOp, Simulation, When};
use runtime::{Placement, Slice, Spec, Task};
use storage::{EntryKind, Flush, FlushMethod, Options, Scale, StoreId};

const LIMIT: Duration = Duration::from_secs(60);
/// What a read holds at most, unless one entry alone is larger.
const READ_MAX: usize = 1024 * 1024;

fn options(dir: &Path) -> Options {
    let mut options = Options {
        dir: dir.to_owned(),
        log_dir: dir.join("log"),
        segment_size: 0,
        flush: Flush::Sync,
        method: FlushMethod::Fdatasync,
        max_batch: 1024 * 1024,
        tail_budget: 64 * 1024,
        cache_size: 4 * 1024 * 1024,
        max_queued: 4 * 1024 * 1024,
        max_request: 1024 * 1024,
        shard: 0,
        shards: 1,
        scale: Scale::default(),
    };
    options.segment_size = options.smallest_segment();
    options
}

/// Runs the test on the simulated disk, and on a real one.
fn everywhere<F, Fut>(name: &'static str, test: F)
where
    F: FnOnce(PathBuf) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let simulation = Simulation::new(0x5EED);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let on_sim = test.clone();
    let executor = node.start("log", move || on_sim(PathBuf::from("/log")));
    simulation.join(executor, LIMIT).expect("the simulated run ends");

    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a writable target directory");
    let inside = dir.join("member");
    let spec = Spec { name: name.into(), placement: Placement::Any, busy_poll: None };
    let executor = runtime::start(spec, move || test(inside)).expect("an executor");
    executor.join().expect("the run on the disk ends");
    std::fs::remove_dir_all(&dir).expect("the directory is ours");
}

fn entry(index: u64, len: usize) -> EntryOf<Types> {
    let mut buffer = runtime::buffer(len);
    buffer.fill(index as u8);
    let body = Slice::new(Rc::new(buffer), 0..len);
    let (kind, timestamp) = (EntryKind::Messages, UnixMillis(0));
    let payload =
        EntryPayload::Normal(Proposal::Entry(Content { kind, timestamp, records: 1, body }));
    let log_id = LogIdOf::<Types>::new_term_index(1, index);
    EntryOf::<Types> { log_id, payload, laid: None }
}

fn len(entry: &EntryOf<Types>) -> usize {
    match &entry.payload {
        EntryPayload::Normal(proposal) => proposal.content().expect("an entry").body.len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    }
}

/// Appends; when it is flushed.
async fn append(
    log: &mut RaftLog,
    entries: impl IntoIterator<Item = EntryOf<Types>>,
) -> OneshotReceiverOf<Types, Result<(), std::io::Error>> {
    let (flushed, told) = Types::oneshot();
    log.append(entries, IOFlushed::signal(flushed)).await.expect("taken");
    told
}

#[test]
fn reads_have_a_limit_and_one_entry_at_least() {
    everywhere("raft-reads", |dir| async move {
        let (mut log, writer) = RaftLog::open(&options(&dir)).await.expect("it opens");
        let largest = log.largest_body();
        assert!(largest > READ_MAX, "{largest}: one entry can be more than a read");
        let lens: Vec<_> =
            (0..40).map(|index| if index == 20 { largest } else { 100_000 + index }).collect();
        let entries = (0..).zip(&lens).map(|(index, len)| entry(index, *len));
        let told = append(&mut log, entries).await;
        check_reads(&log, &lens).await;
        told.await.expect("told").expect("flushed");
        check_reads(&log, &lens).await;
        drop(log);
        writer.await.expect("closed");
    });
}

/// Reads all in parts and at once, from the disk or from what waits for it.
async fn check_reads(log: &RaftLog, lens: &[usize]) {
    let mut reader = log.reader();
    let (mut next, end) = (0, lens.len() as u64);
    while next < end {
        let read = reader.limited_get_log_entries(next, end).await.expect("readable");
        let bytes: usize = read.iter().map(len).sum();
        assert!(read.len() == 1 || !read.is_empty() && bytes <= READ_MAX, "{bytes} bytes");
        for entry in &read {
            assert_eq!((entry.log_id.index, len(entry)), (next, lens[next as usize]));
            next += 1;
        }
    }
    let streamed: Vec<_> = reader.entries_stream(3..end + 9).await.collect().await;
    let found: Vec<_> = streamed.into_iter().map(|entry| len(&entry.expect("readable"))).collect();
    assert_eq!(found, lens[3..]);
    assert_eq!(reader.try_get_log_entries(..).await.expect("readable").len(), lens.len());
}

/// A log with forty entries, none of which is in memory: so many that all of them take several reads.
async fn with_forty(dir: &Path) -> (RaftLog, Task<Result<(), LogError>>) {
    let (mut log, writer) = RaftLog::open(&options(dir)).await.expect("it opens");
    let told = append(&mut log, (0..40).map(|index| entry(index, 100_000))).await;
    told.await.expect("told").expect("flushed");
    drop(log);
    writer.await.expect("closed");
    RaftLog::open(&options(dir)).await.expect("it opens again")
}

fn id(index: u64) -> LogIdOf<Types> {
    LogIdOf::<Types>::new_term_index(1, index)
}

#[test]
fn a_read_of_all_that_a_purge_overtakes_has_no_hole() {
    everywhere("raft-overtaken", |dir| async move {
        let (mut log, writer) = with_forty(&dir).await;
        let (mut reader, purged) = (log.reader(), Cell::new(0));
        let purging = async {
            for last in (1..38).step_by(4) {
                log.purge(id(last)).await.expect("purged");
                purged.set(last + 1);
            }
        };
        let reading = async {
            while purged.get() < 38 {
                let entries = reader.try_get_log_entries(..).await.expect("readable");
                let found: Vec<_> = entries.iter().map(|entry| entry.log_id.index).collect();
                let due: Vec<_> = (found[0]..40).collect();
                assert_eq!(found, due, "all before {} are purged", purged.get());
                assert!(found[0] >= purged.get(), "{} is purged", found[0]);
            }
        };
        futures::join!(purging, reading);
        drop(log);
        writer.await.expect("closed");
    });
}

#[test]
fn a_stream_that_a_purge_overtakes_says_so() {
    everywhere("raft-stream", |dir| async move {
        // What is behind the hole may be there, or nothing at all.
        for last in [30, 39] {
            let (mut log, writer) = with_forty(&dir.with_extension(last.to_string())).await;
            let mut reader = log.reader();
            let mut stream = pin!(reader.entries_stream(..40).await);
            let first = stream.next().await.expect("it is there").expect("readable");
            assert_eq!(first.log_id.index, 0);
            log.purge(id(last)).await.expect("purged");
            let rest: Vec<_> = stream.collect().await;
            let (failed, read) = rest.split_last().expect("it goes on");
            let found = read.iter().map(|entry| entry.as_ref().expect("readable").log_id.index);
            assert!(found.eq(1..=read.len() as u64) && read.len() < 30, "{}", read.len());
            let failed = failed.as_ref().expect_err("it is told").to_string();
            assert!(failed.contains(&format!("before {} were purged", last + 1)), "{failed}");
            let after: Vec<_> = log.reader().entries_stream(..40).await.collect().await;
            assert_eq!(
                after.len() as u64,
                39 - last,
                "one that begins anywhere lacks the beginning"
            );
            drop(log);
            writer.await.expect("closed");
        }
    });
}

#[test]
fn a_stream_whose_first_entry_is_not_there_says_so() {
    everywhere("raft-no-beginning", |dir| async move {
        let (mut log, writer) = with_forty(&dir).await;
        log.purge(id(9)).await.expect("purged");
        let mut reader = log.reader();
        let mut first = async |range: std::ops::Range<u64>| {
            let all: Vec<_> = reader.entries_stream(range).await.collect().await;
            all.into_iter().next()
        };
        for (range, why) in [(9..12, "before 10 were purged"), (40..50, "ends before 40")] {
            let failed = first(range.clone()).await.map(|read| read.map(|entry| entry.log_id));
            let failed = failed.unwrap_or_else(|| panic!("{range:?}: it ends as if all were well"));
            let failed = failed.expect_err("it is not there").to_string();
            assert!(failed.contains(why), "{range:?}: {failed}");
        }
        let found = first(10..12).await.expect("it is there").expect("readable");
        assert_eq!(found.log_id.index, 10);
        assert!(first(10..10).await.is_none(), "nothing was asked for");
        drop(log);
        writer.await.expect("closed");
    });
}

#[test]
fn an_entry_that_is_too_large_stops_the_member_and_what_was_before_stays() {
    everywhere("raft-too-large", |dir| async move {
        let (mut log, writer) = RaftLog::open(&options(&dir)).await.expect("it opens");
        let largest = log.largest_body();
        let told = append(&mut log, [entry(0, largest)]).await;
        told.await.expect("told").expect("the largest there may be");
        let told = append(&mut log, [entry(1, largest + 1)]).await;
        let refused = told.await.expect("told").expect_err("too large");
        assert!(refused.to_string().contains("maxMessageSize"), "{refused}");
        let again = log.append([entry(2, 1)], IOFlushed::noop()).await.expect_err("it has failed");
        assert_eq!(again.to_string(), refused.to_string(), "the reason stays the same");
        let vote = VoteOf::<Types>::new(7, MemberId(StoreId(1)));
        assert!(log.save_vote(&vote).await.is_err());
        drop(log);
        assert!(writer.await.is_err(), "it was not closed in order");
        let (mut log, writer) = RaftLog::open(&options(&dir)).await.expect("it opens");
        let state = log.get_log_state().await.expect("known");
        assert_eq!(state.last_log_id.map(|last| last.index), Some(0));
        assert_eq!(log.reader().read_vote().await.expect("known"), None);
        drop(log);
        writer.await.expect("closed");
    });
}

#[test]
fn a_gap_is_refused_and_nothing_of_it_is_taken() {
    everywhere("raft-gap", |dir| async move {
        let (mut log, writer) = RaftLog::open(&options(&dir)).await.expect("it opens");
        append(&mut log, [entry(0, 1)]).await.await.expect("told").expect("flushed");
        for bad in [[entry(1, 1), entry(3, 1)], [entry(2, 1), entry(3, 1)]] {
            let refused = log.append(bad, IOFlushed::noop()).await.expect_err("a gap");
            assert!(refused.to_string().contains("where"), "{refused}");
        }
        append(&mut log, [entry(1, 1)]).await.await.expect("told").expect("flushed");
        assert_eq!(log.reader().try_get_log_entries(..).await.expect("readable").len(), 2);
        drop(log);
        writer.await.expect("closed");
    });
}

#[test]
fn whoever_appends_waits_when_too_much_waits_to_be_written() {
    everywhere("raft-waiting", |dir| async move {
        let (mut log, writer) = RaftLog::open(&options(&dir)).await.expect("it opens");
        // The writer has no turn before this one waits.
        for index in 0..64 {
            log.append([entry(index, READ_MAX)], IOFlushed::noop()).await.expect("taken");
        }
        let (flushed, told) = Types::oneshot();
        let mut more = Box::pin(log.append([entry(64, 10)], IOFlushed::signal(flushed)));
        assert!(poll!(more.as_mut()).is_pending(), "64 MiB wait");
        more.await.expect("taken, once there is room");
        told.await.expect("told").expect("flushed");
        let state = log.get_log_state().await.expect("known");
        assert_eq!(state.last_log_id.map(|last| last.index), Some(64));
        drop(log);
        writer.await.expect("closed");
    });
}

/// Two flushes are enough for a hundred appends: the first one's, and that of all that came in meanwhile.
#[test]
fn what_comes_in_during_a_write_is_written_at_once() {
    let simulation = Simulation::new(5);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let (ready, go) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (is_ready, may_go) = (Arc::clone(&ready), Arc::clone(&go));
    let executor = node.start("log", move || async move {
        let (mut log, writer) = RaftLog::open(&options(Path::new("/log"))).await.expect("it opens");
        append(&mut log, [entry(0, 100)]).await.await.expect("told").expect("flushed");
        is_ready.store(true, Ordering::Relaxed);
        while !may_go.load(Ordering::Relaxed) {
            runtime::sleep(Duration::from_millis(1)).await;
        }
        let mut flushes = vec![append(&mut log, [entry(1, 100)]).await];
        runtime::yield_now().await;
        for index in 2..100 {
            flushes.push(append(&mut log, [entry(index, 100)]).await);
        }
        for told in flushes {
            told.await.expect("told").expect("flushed by the first two flushes");
        }
        let told = append(&mut log, [entry(100, 100)]).await;
        let failed = told.await.expect("told");
        drop(log);
        assert!(writer.await.is_err());
        failed.expect_err("the third flush fails").to_string()
    });
    assert!(simulation.run_until(LIMIT, || ready.load(Ordering::Relaxed)), "it opens");
    node.disk().fail(DiskOp::Flush, When::Nth(3));
    go.store(true, Ordering::Relaxed);
    let why = simulation.join(executor, LIMIT).expect("it ends");
    assert!(!why.is_empty());
    assert_eq!(node.disk().failures(), 1);
}
