//! A member whose applying falls behind what the group writes and commits.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::{LogIndex, Term, UnixMillis};
use runtime::Task;
use runtime::sim::Simulation;

use super::ahead::MOST_AHEAD;
use super::*;
use crate::command::Trim;
use crate::entry_log::EntryHead;
use crate::options::{Flush, FlushMethod, Scale};
use crate::{EntryKind, founding_entry};

const LIMIT: Duration = Duration::from_secs(3600);
const TERM: Term = Term(2);

fn options(interval: u64) -> Options {
    let mut options = Options {
        dir: "/store".into(),
        log_dir: "/store/log".into(),
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
        scale: Scale { interval, ..Scale::default() },
    };
    options.segment_size = options.smallest_segment();
    options
}

struct Member {
    store: Store,
    log: EntryLog,
    applier: Applier,
    owner: Task<u64>,
}

/// The owner of the store; how many commands it was told of.
async fn own(mut events: Events) -> u64 {
    let mut commands = 0;
    loop {
        match events.next().await {
            Event::StateWanted(wanted) => wanted.give(Vec::new()),
            Event::Committed(applied) => {
                commands += u64::from(matches!(applied.what, crate::What::Command { .. }));
            }
            // Whoever applies is told of a failure as well.
            Event::Stopped | Event::Failed(_) => return commands,
            Event::Recovered(_) | Event::Restored(_) | Event::Warned(_) => {}
        }
    }
}

async fn open(options: Options) -> Member {
    let (store, events, opening) = Store::open_member(options).await.expect("it opens");
    let owner = runtime::spawn(own(events));
    let (log, applier) = opening.ready().await.expect("the log is read");
    Member { store, log, applier, owner }
}

impl Member {
    /// Appends `count` commands of `len` bytes each, behind the entry that founds the group.
    async fn append(&mut self, count: u64, len: usize) {
        let first = self.log.state().next;
        let (founding, command) = (founding_entry(self.log.id()), vec![7; len]);
        for at in (first.0..first.0 + count).step_by(500) {
            let indexes = at..(at + 500).min(first.0 + count);
            let entries: Vec<_> = indexes
                .map(|index| {
                    let (kind, payload) = match index {
                        0 => (EntryKind::Membership, &founding),
                        _ => (EntryKind::Command, &command),
                    };
                    let (timestamp, records, chain) = (UnixMillis(9), 0, None);
                    let index = LogIndex(index);
                    let head = EntryHead { index, term: TERM, kind, timestamp, records, chain };
                    (head, payload.as_slice())
                })
                .collect();
            self.log.append(&entries).await.expect("appended");
        }
    }

    /// Appends a trim to `to`.
    async fn append_trim(&mut self, to: u64) {
        let (kind, timestamp, index) = (EntryKind::Trim, UnixMillis(9), self.log.state().next);
        let head = EntryHead { index, term: TERM, kind, timestamp, records: 0, chain: None };
        let trim = Trim { to }.to_bytes();
        self.log.append(&[(head, trim.as_slice())]).await.expect("appended");
    }

    /// Applies all that is in the log before `to`.
    async fn apply_before(&mut self, to: LogIndex) {
        let reader = self.log.reader();
        let applied = apply_before(&mut self.applier, &reader, to, &AtomicU64::new(0)).await;
        applied.expect("it is applied");
    }

    async fn stop(self) -> u64 {
        self.log.close().await.expect("closed");
        drop(self.applier);
        self.store.stop().await;
        self.owner.await
    }
}

async fn apply_before(
    applier: &mut Applier,
    reader: &crate::EntryReader,
    to: LogIndex,
    applied: &AtomicU64,
) -> Result<(), NotApplied> {
    while applier.state().next < to {
        let next = applier.state().next;
        for entry in reader.read(next..to, 1024 * 1024).await.expect("readable") {
            let index = entry.head.index;
            applier.apply(index, entry.head.term, entry.payload).await?;
            applied.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

#[test]
fn what_is_not_applied_is_remembered_up_to_a_limit_and_found_in_the_log_behind_it() {
    let simulation = Simulation::new(1);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let life = node.start("member", || async {
        let mut member = open(options(1 << 20)).await;
        let most = MOST_AHEAD as u64;
        let remembered = |member: &Member| member.applier.ahead.remembered();
        member.append(most * 3, 10).await;
        assert_eq!(remembered(&member), MOST_AHEAD, "the rest is in the log");
        member.apply_before(LogIndex(most / 2)).await;
        // Entries are cut that are not remembered, then some that are, and others come in their place.
        for cut in [most * 2, most + 1, most / 2 + 10] {
            member.log.truncate(LogIndex(cut)).await.expect("cut");
            member.append(most, 20).await;
            assert!(remembered(&member) <= MOST_AHEAD);
            assert!(member.log.take_placer(TERM).is_none(), "not all is applied");
        }
        let end = member.log.state().next;
        member.apply_before(end).await;
        assert_eq!((remembered(&member), member.applier.state().next), (0, end));
        assert!(member.log.take_placer(TERM).is_some(), "all is applied");
        member.store.refuse_appends();
        // What comes from now on is remembered again.
        member.append(10, 10).await;
        assert_eq!(remembered(&member), 10);
        let end = member.log.state().next;
        member.apply_before(end).await;
        assert_eq!(member.stop().await, end.0 - 1, "each command was told of once");
    });
    simulation.join(life, LIMIT).expect("it ends");
}

/// Applies on a full disk until that waits; then the member is stopped, or the disk gets room. How applying ended, and how much
/// there was to be applied.
fn on_a_full_disk(stops: bool) -> (Result<(), NotApplied>, u64) {
    const INTERVAL: u64 = 16 * 1024;
    let simulation = Simulation::new(1);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let (applied, total) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let stop = Arc::new(AtomicBool::new(false));
    let (counted, last, stopped) = (Arc::clone(&applied), Arc::clone(&total), Arc::clone(&stop));
    let life = node.start("member", move || async move {
        let mut member = open(options(INTERVAL)).await;
        // Further than as many parts of the index as may be in memory, and into the next segment.
        let beyond = INTERVAL * MOST_UNWRITTEN as u64 * 2 + member.log.state().end.0;
        let size = options(INTERVAL).segment_size;
        // So late in a segment that the file for the one after it stays.
        let late = beyond.next_multiple_of(size) + size / 8 * 7;
        while member.log.state().end.0 < late {
            member.append(500, 300).await;
        }
        let end = member.log.state().next;
        last.store(end.0, Ordering::Relaxed);
        runtime::sleep(Duration::from_secs(10)).await; // the disk becomes full
        let store = member.store.clone();
        let stopping = runtime::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                runtime::sleep(Duration::from_millis(10)).await;
            }
            store.lose_patience();
        });
        let reader = member.log.reader();
        let ended = apply_before(&mut member.applier, &reader, end, &counted).await;
        drop(stopping);
        if ended.is_ok() {
            assert_eq!(member.stop().await, end.0 - 1, "each command was told of once");
        }
        ended
    });
    simulation.run_for(Duration::from_secs(5));
    let total = total.load(Ordering::Relaxed);
    assert!(total > 0, "all is written");
    let disk = node.disk();
    disk.resize(disk.used());
    simulation.run_for(Duration::from_secs(60));
    let before = applied.load(Ordering::Relaxed);
    assert!(before > 0 && before < total, "{before} of {total}: it waits for room");
    simulation.run_for(Duration::from_secs(60));
    assert_eq!(applied.load(Ordering::Relaxed), before, "and goes no further meanwhile");
    match stops {
        true => stop.store(true, Ordering::Relaxed),
        false => disk.resize(disk.used() * 2),
    }
    (simulation.join(life, LIMIT).expect("it ends"), total)
}

#[test]
fn applying_waits_for_room_on_a_full_disk_and_the_store_does_not_fail() {
    let (ended, total) = on_a_full_disk(false);
    assert!(ended.is_ok() && total > 0, "{ended:?}");
}

#[test]
fn a_member_that_waits_for_room_on_a_full_disk_can_be_stopped() {
    let (ended, _) = on_a_full_disk(true);
    let why = ended.expect_err("it gives up").to_string();
    assert!(why.contains("applied by the next start"), "{why}");
}

#[test]
fn a_trim_that_was_committed_before_its_checkpoint_was_there_is_carried_out_by_the_next_start() {
    const INTERVAL: u64 = 1 << 20;
    let simulation = Simulation::new(1);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let size = options(INTERVAL).segment_size;
    let life = node.start("member", move || async move {
        let mut member = open(options(INTERVAL)).await;
        while member.log.state().end.0 < size {
            member.append(500, 300).await;
        }
        member.append_trim(size).await;
        // The next entry says that this is committed; it is not applied, and there is no checkpoint.
        let committed = member.log.state().next;
        member.log.commit(committed);
        member.append(1, 10).await;
        member.log.flush().await.expect("flushed");
        committed
    });
    let committed = simulation.join(life, LIMIT).expect("it ends");
    node.crash();
    let life = node.start("again", move || async move {
        let member = open(options(INTERVAL)).await;
        assert_eq!(member.applier.state().next, committed);
        let trimmed = member.store.inner.index.borrow().trimmed_to();
        assert_eq!(trimmed.0, size);
        member.stop().await;
    });
    simulation.join(life, LIMIT).expect("it ends");
}

#[test]
fn parts_of_the_index_that_come_back_behind_a_log_that_is_gone_are_given_up() {
    const INTERVAL: u64 = 1 << 20;
    let simulation = Simulation::new(1);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let size = options(INTERVAL).segment_size;
    let life = node.start("member", move || async move {
        let mut member = open(options(INTERVAL)).await;
        while member.log.state().end.0 < size + 2 * INTERVAL {
            member.append(500, 300).await;
        }
        let end = member.log.state().next;
        member.apply_before(end).await;
        runtime::sleep(Duration::from_secs(10)).await; // its checkpoints are there
        let inner = Rc::clone(&member.store.inner);
        let part = inner.index.borrow().files().next().map(Rc::clone).expect("parts are there");
        member.append_trim(size).await;
        member.apply_before(end.next()).await;
        member.store.release(end);
        assert_eq!(inner.log.oldest_base().0, size, "the segment is given up");
        // A power cut brings the part's name back, and an earlier trim is met again that had given it up.
        let held = inner.held.as_ref().expect("it is a member");
        held.hold(&inner, model::PhysicalOffset(0), vec![part]);
        assert_eq!(held.bytes(&inner), 0, "nothing waits for the group");
        drop(inner);
        member.stop().await;
    });
    simulation.join(life, LIMIT).expect("it ends");
}

#[test]
fn there_is_room_for_what_fits_into_the_segment_and_for_more_where_a_file_is_ready() {
    let simulation = Simulation::new(1);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let size = options(1 << 20).segment_size;
    let life = node.start("member", move || async move {
        let mut member = open(options(1 << 20)).await;
        while member.log.state().end.0 < size / 8 * 7 {
            member.append(100, 300).await;
        }
        assert!(member.store.has_room(size), "a file is ready, or may be had");
        runtime::sleep(Duration::from_secs(10)).await; // the disk becomes full
        while member.log.state().end.0 < size + size / 8 * 7 {
            member.append(100, 300).await;
        }
        runtime::sleep(Duration::from_secs(60)).await;
        assert!(member.store.has_room(1000), "what fits into the segment");
        assert!(!member.store.has_room(size), "nothing is ready for the next one");
        runtime::sleep(Duration::from_secs(60)).await; // the disk has room again
        assert!(member.store.has_room(size));
        member.log.close().await.expect("closed");
    });
    simulation.run_for(Duration::from_secs(5));
    let disk = node.disk();
    disk.resize(disk.used());
    simulation.run_for(Duration::from_secs(70));
    disk.resize(disk.used() * 4);
    simulation.join(life, LIMIT).expect("it ends");
}
