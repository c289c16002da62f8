//! A store that is one of a group: what it was before, what it counts, and how far a start looks.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod support;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{LogIndex, PhysicalOffset, QueueId, Term, UnixMillis};
use runtime::Task;
use runtime::sim::Simulation;
use storage::{
    Applier, EntryHead, EntryKind, EntryLog, Event, Events, Options, Purged, Recovery, Scale,
    Store, StoreError, founder_of, founding_entry,
};
use support::{STATE, all_units, everywhere, open, options};

const LIMIT: Duration = Duration::from_secs(3600);
const QUEUE: QueueId = QueueId(0);

struct Member {
    store: Store,
    log: EntryLog,
    applier: Applier,
    owner: Task<Recovery>,
}

async fn own(mut events: Events) -> Recovery {
    let mut recovery = None;
    loop {
        match events.next().await {
            Event::StateWanted(wanted) => wanted.give(STATE.to_vec()),
            Event::Recovered(how) => recovery = Some(how),
            Event::Stopped => return recovery.expect("it has recovered before"),
            Event::Failed(error) => panic!("the store has failed: {error}"),
            Event::Committed(_) | Event::Restored(_) | Event::Warned(_) => {}
        }
    }
}

async fn open_member(options: Options) -> Member {
    let (store, events, opening) = Store::open_member(options).await.expect("it opens");
    let owner = runtime::spawn(own(events));
    let (log, applier) = opening.ready().await.expect("the log is read");
    Member { store, log, applier, owner }
}

impl Member {
    async fn append(&mut self, len: usize) {
        let index = self.log.state().next;
        let (kind, payload) = match index.0 {
            0 => (EntryKind::Membership, founding_entry(self.log.id())),
            _ => (EntryKind::Command, vec![7; len]),
        };
        let (term, timestamp, records, chain) = (Term(2), UnixMillis(0), 0, None);
        let timestamp = self.log.state().last_timestamp.max(timestamp);
        let head = EntryHead { index, term, kind, timestamp, records, chain };
        self.log.append(&[(head, &payload)]).await.expect("appended");
    }

    /// Appends until the log reaches beyond `offset`.
    async fn append_beyond(&mut self, offset: u64, len: usize) {
        while self.log.state().end.0 <= offset {
            self.append(len).await;
        }
    }

    /// Applies all that the log has.
    async fn apply_all(&mut self) {
        let (next, end) = (self.applier.state().next, self.log.state().next);
        for entry in self.log.reader().read(next..end, usize::MAX).await.expect("readable") {
            let (index, term) = (entry.head.index, entry.head.term);
            self.applier.apply(index, term, entry.payload).await.expect("applied");
        }
    }

    async fn stop(self) -> Recovery {
        self.log.close().await.expect("closed");
        drop(self.applier);
        self.store.stop().await;
        self.owner.await
    }
}

#[test]
fn what_a_member_writes_is_counted() {
    everywhere("member-counts", |dir| async move {
        let mut member = open_member(options(&dir)).await;
        let before = member.log.state().end;
        for len in [10, 1000, 100_000] {
            member.append(len).await;
        }
        let stats = member.store.stats();
        assert_eq!((stats.batches, stats.records), (3, 0));
        assert_eq!(stats.bytes, member.log.state().end.since(before));
        assert!(stats.slowest_write > Duration::ZERO && stats.write_time >= stats.slowest_write);
        member.apply_all().await;
        member.stop().await;
    });
}

/// A store that is a group of its own, with messages of 300 kB, which reaches beyond `offset`; how many.
async fn alone(dir: &Path, offset: u64) -> u64 {
    let mut opened = open(options(dir)).await;
    opened.store.append_create_topic("T", 1, b"").expect("room");
    let (mut sent, mut at) = (0, 0);
    while at < offset {
        opened.append("T", QUEUE, &vec![0x5A; 300_000]).await;
        at = opened.collect(1).await[0].physical.0;
        sent += 1;
    }
    opened.answer().await;
    opened.stop().await;
    sent
}

#[test]
fn a_store_that_was_alone_is_the_first_member_with_all_that_it_has() {
    everywhere("member-alone", |dir| async move {
        let sent = alone(&dir, 500_000).await;
        let member = open_member(options(&dir)).await;
        let state = member.applier.state();
        let (index, term, payload) = state.group.expect("it is a group of one");
        assert_eq!((index, term), (LogIndex(0), Term(1)));
        assert_eq!(founder_of(&payload), Ok(member.log.id()), "its own");
        assert_eq!(state.next, member.log.state().next, "what it had was committed");
        assert!(member.store.has_topic("T") && !member.store.has_topic("U"), "it follows");
        let units = all_units(&member.store, "T", QUEUE).await;
        assert_eq!(units.len() as u64, sent);
        assert_eq!(member.log.purged(), Purged::default(), "all of the log is there");
        member.stop().await;
    });
}

#[test]
fn of_a_trimmed_log_the_group_never_had_what_is_gone() {
    everywhere("member-trimmed", |dir| async move {
        let size = options(&dir).segment_size;
        alone(&dir, 2 * size).await;
        let mut opened = open(options(&dir)).await;
        let to = PhysicalOffset(2 * size);
        opened.store.append_trim(to).await.expect("there is a checkpoint");
        while opened.store.segments()[0].0 < to {
            opened.answer().await; // the trim is the last entry
        }
        opened.stop().await;
        for _ in 0..2 {
            let mut member = open_member(options(&dir)).await;
            let Purged { before, term } = member.log.purged();
            // On a slow disk not all files are gone that were given up.
            assert!(before >= member.log.state().first && term == Term(1), "{before} {term:?}");
            assert!(before > LogIndex(0), "it is trimmed");
            member.apply_all().await;
            let snapshot = member.store.snapshot().await.expect("readable").expect("it is trimmed");
            assert_eq!((snapshot.next, snapshot.term), (before, term));
            assert_eq!(founder_of(&snapshot.group.2), Ok(member.log.id()));
            member.stop().await;
        }
    });
}

const LARGE: u64 = 256 * 1024 * 1024;

/// Large segments, of which a start would read for long.
fn large() -> Options {
    let scale = Scale { interval: 1024 * 1024, furthest: 4 * 1024 * 1024, ..Scale::default() };
    Options { segment_size: LARGE, scale, ..options(Path::new("/store")) }
}

/// Damages an entry in the middle of what a crash leaves behind the newest mark.
async fn spoil(dir: PathBuf, at: u64) {
    use std::rc::Rc;

    use runtime::{BLOCK, File, OpenMode};
    let path = dir.join("log").join(format!("{:020}", 0));
    let file = File::open(path, OpenMode::ReadWrite).await.expect("it is there");
    let block = at / BLOCK as u64 * BLOCK as u64;
    let bytes = file.read_at(block, BLOCK).await.expect("readable");
    let mut changed = file.buffer(BLOCK);
    changed.copy_from_slice(&bytes);
    changed[100] ^= 1;
    file.write_at(&Rc::new(changed), block).await.expect("writable");
    file.sync().await.expect("durable");
}

#[test]
fn a_start_looks_no_further_behind_the_log_than_it_may_reach_and_far_enough() {
    let simulation = Simulation::new(1);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let first = node.start("first", || async {
        let mut member = open_member(large()).await;
        member.append_beyond(20_000_000, 100_000).await;
        member.apply_all().await;
        runtime::sleep(Duration::from_secs(1)).await; // the checkpoints are there
        member.append_beyond(24_000_000, 100_000).await;
        member.log.state().end.0
    });
    let end = simulation.join(first, LIMIT).expect("the first life ends");
    node.crash();
    let second = node.start("second", || async {
        let member = open_member(large()).await;
        (member.log.state().end.0, member.stop().await.took)
    });
    let (found, took) = simulation.join(second, LIMIT).expect("the second life ends");
    assert_eq!(found, end);
    // The disk of the simulation gives 1 GiB a second: so the rest of the segment was not read.
    let rest = Duration::from_nanos(LARGE - end);
    assert!(took < rest / 2, "the start took {took:?}");
    // What was durable and is bad is still seen.
    let third = node.start("third", move || async move {
        let mut member = open_member(large()).await;
        member.append_beyond(end + 3_000_000, 100_000).await;
        end + 500_000
    });
    let at = simulation.join(third, LIMIT).expect("the third life ends");
    node.crash();
    let fourth = node.start("fourth", move || async move {
        spoil("/store".into(), at).await;
        let (_store, mut events, opening) = Store::open_member(large()).await.expect("it opens");
        let failed = runtime::spawn(async move {
            loop {
                match events.next().await {
                    Event::StateWanted(wanted) => wanted.give(STATE.to_vec()),
                    Event::Failed(error) => return error,
                    Event::Recovered(_) => panic!("acknowledged entries were cut"),
                    _ => {}
                }
            }
        });
        assert!(opening.ready().await.is_none(), "it does not start");
        let failed = failed.await;
        assert!(matches!(failed, StoreError::Damage(_)), "{failed}");
    });
    simulation.join(fourth, LIMIT).expect("the fourth life ends");
}
