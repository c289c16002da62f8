//! How a group comes to be, and who belongs to it: a store that was alone, members that join it, one that is removed, and one whose
//! log is another one.
#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]
#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod copying;
mod damage;
mod member;
mod repair;
mod unfinished;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::{LogIndex, PhysicalOffset, Term, UnixMillis};
use openraft::async_runtime::WatchReceiver;
use openraft::{ChangeMembers, ServerState};
use raft::{FoundError, LogError, Member, MemberId, Role};
use runtime::sim::{Node, Simulation};
use runtime::sleep;
use storage::{EntryHead, EntryKind, EntryLog, Promise, Store, StoreId, founding_entry};

use member::{GROUP, LIMIT, Live, QUEUE, TOPIC, draft, entries, named, options, own, until};

/// A simulation of one node.
fn machine() -> (Simulation, Node) {
    let simulation = Simulation::new(0x5EED);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    (simulation, node)
}

/// Runs the test in a simulation, all members on one node.
fn simulated<F, Fut>(test: F)
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let (simulation, node) = machine();
    simulation.join(node.start("group", test), LIMIT * 10).expect("it ends");
}

/// A store without a group, with so many messages; trimmed up to `trim`, where a segment begins.
async fn alone(dir: &Path, count: u64, trim: PhysicalOffset) {
    let (store, events) = Store::open(options(dir)).await.unwrap();
    let owner = runtime::spawn(own(events));
    while store.append_create_topic(TOPIC, 1, b"").is_err() {
        sleep(Duration::from_millis(1)).await; // its log is read first
    }
    for number in 0..count {
        let body = vec![number as u8; if number % 5 == 0 { 40_000 } else { 100 }];
        while store.append_message(&draft(&body)).is_err() {
            sleep(Duration::from_millis(1)).await;
        }
    }
    until("they are committed", || {
        store.queue(TOPIC, QUEUE).is_some_and(|range| range.max.0 == count)
    })
    .await;
    sleep(Duration::from_secs(1)).await; // its checkpoints are there
    if trim > PhysicalOffset(0) {
        store.append_trim(trim).await.unwrap();
        until("it is trimmed", || store.segments()[0].0 == trim).await;
    }
    store.stop().await;
    assert_eq!(owner.await, None, "it has not failed");
}

async fn join(leader: &Live, joins: Live, number: u16) -> Live {
    let raft = leader.node.raft();
    raft.add_learner(joins.id, named(number), false).await.unwrap();
    let mut joins = joins;
    let end = runtime::now() + LIMIT;
    while joins.messages() != leader.messages() {
        assert!(runtime::now() < end, "{} does not catch up", joins.messages());
        assert!(joins.failed.borrow().is_none(), "{:?}", joins.failed);
        if joins.node.wants_restart() {
            joins = joins.restart().await;
        }
        sleep(Duration::from_millis(1)).await;
    }
    let voters = BTreeSet::from([joins.id]);
    raft.change_membership(ChangeMembers::AddVoterIds(voters), false).await.unwrap();
    joins
}

/// A store that was alone is joined by two others; how many entries the last one has, and the first.
async fn grow(trimmed: bool) -> [usize; 2] {
    let dirs = ["/a", "/b", "/c"].map(Path::new);
    let size = options(dirs[0]).segment_size;
    let trim = PhysicalOffset(if trimmed { size } else { 0 });
    let count = if trimmed { 800 } else { 200 };
    alone(dirs[0], count, trim).await;
    let first = Live::start(dirs[0], 0).await;
    first.found().await;
    assert_eq!(first.messages(), count, "it has what it had");
    first.send(20, 1000).await;
    let second = join(&first, Live::start(dirs[1], 1).await, 1).await;
    first.send(20, 5000).await;
    let third = join(&first, Live::start(dirs[2], 2).await, 2).await;
    first.send(20, 10).await;
    let all = [first, second, third];
    let messages = all[0].messages();
    assert_eq!(messages, count + 60);
    until("all have all", || all.iter().all(|member| member.messages() == messages)).await;
    let ends: BTreeSet<_> = all.iter().map(|member| member.store.written()).collect();
    assert_eq!(ends.len(), 1, "the logs end at the same place");
    for member in all {
        member.stop().await.unwrap();
    }
    let mut logs = Vec::new();
    for dir in dirs {
        logs.push(entries(dir).await);
    }
    for log in &logs[1..] {
        assert!(!log.is_empty());
        let behind = logs[0].iter().rev().zip(log.iter().rev());
        for (one, other) in behind {
            assert_eq!((one.head, one.offset), (other.head, other.offset));
            assert_eq!(one.payload[..], other.payload[..], "entry {}", one.head.index);
        }
    }
    [logs[2].len(), logs[0].len()]
}

#[test]
fn a_store_that_was_alone_becomes_the_first_member_and_others_get_its_log() {
    simulated(|| async {
        let [joined, first] = grow(false).await;
        assert_eq!(joined, first, "from its very first entry on");
    });
}

#[test]
fn who_joins_a_store_that_has_trimmed_its_log_gets_a_snapshot_and_the_log_behind_it() {
    simulated(|| async {
        let [joined, first] = grow(true).await;
        assert!(joined > 60 && joined <= first, "{joined} of {first}");
    });
}

#[test]
fn a_member_that_is_removed_is_dialled_no_more() {
    simulated(|| async {
        let first = Live::start(Path::new("/a"), 0).await;
        first.found().await;
        first.store.append_create_topic(TOPIC, 1, b"").unwrap();
        first.send(3, 100).await;
        let second = join(&first, Live::start(Path::new("/b"), 1).await, 1).await;
        let third = join(&first, Live::start(Path::new("/c"), 2).await, 2).await;
        let gone = third.id;
        let knows =
            |live: &Live, id: MemberId| live.peers.status().iter().any(|status| status.id == id);
        until("all know each other", || knows(&first, gone) && knows(&second, gone)).await;
        let leaves = ChangeMembers::RemoveVoters(BTreeSet::from([gone]));
        first.node.raft().change_membership(leaves, false).await.unwrap();
        until("nobody dials it", || !knows(&first, gone) && !knows(&second, gone)).await;
        assert!(knows(&first, second.id) && knows(&second, first.id), "those who stay do");
        first.send(3, 100).await;
        for member in [third, second, first] {
            member.stop().await.unwrap();
        }
    });
}

#[test]
fn a_label_that_is_too_long_is_refused_before_anything_is_founded() {
    simulated(|| async {
        let member = Live::start(Path::new("/a"), 0).await;
        let longest = Member { label: "n".repeat(Member::LABEL_MAX), ..named(0) };
        let too_long = Member { label: "n".repeat(Member::LABEL_MAX + 1), ..named(0) };
        let refused = member.node.found(BTreeMap::from([(member.id, too_long)])).await;
        let Err(FoundError::Label(LogError::Label { max, .. })) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(max, Member::LABEL_MAX);
        member.node.found(BTreeMap::from([(member.id, longest)])).await.unwrap();
        until("it leads", || member.leads()).await;
        member.stop().await.unwrap();
    });
}

/// A log that begins as that of `founder` does, but at another time.
async fn begin_otherwise(dir: &Path, founder: StoreId) {
    let mut log = EntryLog::open(&options(dir)).await.unwrap();
    log.begin_as(founder).await.unwrap();
    let promise = Promise { term: Term(1), voted_for: founder, elected: true };
    log.save_promise(promise).await.unwrap();
    let head = EntryHead {
        index: LogIndex(0),
        term: Term(1),
        kind: EntryKind::Membership,
        timestamp: UnixMillis(1),
        records: 0,
        chain: None,
    };
    log.append(&[(head, &founding_entry(founder))]).await.unwrap();
    log.close().await.unwrap();
}

#[test]
fn a_member_whose_log_is_another_one_is_found_at_once_and_stops() {
    simulated(|| async {
        let (ours, theirs) = (Path::new("/a"), Path::new("/b"));
        alone(ours, 20, PhysicalOffset(0)).await;
        let first = Live::start(ours, 0).await;
        first.found().await;
        begin_otherwise(theirs, first.id.0).await;
        let before = entries(theirs).await;
        let other = Live::start(theirs, 1).await;
        first.node.raft().add_learner(other.id, named(1), false).await.unwrap();
        until("it has failed", || other.failed.borrow().is_some()).await;
        let why = other.failed.borrow().clone().unwrap();
        assert!(why.contains("/b") && why.contains("entry 1 would have the chain 0x"), "{why}");
        let stopped = other.stop().await.expect_err("its log has failed").to_string();
        assert!(stopped.contains(&format!("group {GROUP}: entry 1 ")), "{stopped}");
        // The others go on, and it is left as it was.
        first.send(5, 100).await;
        let chain = |entry: &storage::LogEntry| entry.head.chain;
        sleep(Duration::from_secs(1)).await; // all of it has let go of the files
        let after = entries(theirs).await;
        assert_eq!(
            after.iter().map(chain).collect::<Vec<_>>(),
            before.iter().map(chain).collect::<Vec<_>>()
        );
        first.stop().await.unwrap();
    });
}

#[test]
fn a_leader_that_may_not_lead_yet_waits_and_does_not_look_again_and_again() {
    let simulation = Simulation::new(0x5EED);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let elected = Arc::new(AtomicBool::new(false));
    let is_elected = Arc::clone(&elected);
    let life = node.start("member", move || async move {
        let member = Live::start(Path::new("/a"), 0).await;
        let mut metrics = member.node.raft().metrics();
        runtime::spawn(async move {
            while metrics.borrow_watched().state != ServerState::Leader {
                metrics.changed().await.unwrap();
            }
            is_elected.store(true, Ordering::Relaxed);
        })
        .detach();
        let members = BTreeMap::from([(member.id, named(0))]);
        member.node.found(members).await.unwrap();
        let role = member.node.role_changed(Role::Following(None)).await;
        if !matches!(role, Role::Leading(_)) {
            member.node.role_changed(role).await;
        }
        assert!(member.leads());
        member.stop().await.unwrap();
    });
    assert!(simulation.run_until(LIMIT, || elected.load(Ordering::Relaxed)), "it is elected");
    // The first entry of its term is not written before that.
    node.disk().stall(Duration::from_secs(1));
    let mut steps = 0;
    simulation.run_until(Duration::from_millis(800), || {
        steps += 1;
        false
    });
    assert!(steps < 1000, "{steps} steps in 800 ms, in which it can only wait");
    simulation.join(life, LIMIT).expect("it leads then");
}

#[test]
fn whoever_asks_is_told_that_a_core_has_ended_and_why() {
    simulated(|| async {
        let member = Live::start(Path::new("/a"), 0).await;
        member.found().await;
        let group = member.node.group();
        let ended = runtime::timeout(Duration::from_secs(5), group.ended()).await;
        assert!(ended.is_err(), "it lives: {ended:?}");
        let told = runtime::spawn({
            let group = group.clone();
            async move { group.ended().await }
        });
        member.store.append_create_topic(TOPIC, 1, b"").unwrap();
        member.send(3, 100).await;
        member.node.raft().shutdown().await.unwrap();
        let why = runtime::timeout(Duration::from_secs(1), told).await.expect("at once");
        assert!(why.contains("stopped"), "{why}");
        assert_eq!(group.ended().await, why, "whoever comes late is told too");
        assert_eq!(*member.failed.borrow(), None, "the store is well");
        member.stop().await.unwrap();
    });
}
