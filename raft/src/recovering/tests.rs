//! A recovery by force whose power goes at any moment: the group is as it was, or as it becomes.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use model::{LogIndex, Term, UnixMillis};
use openraft::Membership;
use runtime::sim::{Node, Simulation};
use storage::{
    EntryHead, EntryKind, EntryLog, Flush, FlushMethod, Options, Promise, Scale, StoreId,
};

use super::*;
use crate::Lineage;
use crate::log::{id_before, membership};
use crate::types::Member;

const LIMIT: Duration = Duration::from_secs(60);
/// The newest term before.
const TERM: Term = Term(5);
/// Entries before.
const ENTRIES: u64 = 20;

fn options() -> Options {
    let dir = Path::new("/store");
    let mut options = Options {
        dir: dir.to_owned(),
        log_dir: dir.join("log"),
        segment_size: 0,
        flush: Flush::Async { interval: Duration::from_secs(1) },
        method: FlushMethod::Fdatasync,
        max_batch: 64 * 1024,
        tail_budget: 64 * 1024,
        cache_size: 4 * 1024 * 1024,
        max_queued: 1024 * 1024,
        max_request: 64 * 1024,
        shard: 0,
        shards: 1,
        scale: Scale::default(),
    };
    options.segment_size = options.smallest_segment();
    options
}

fn member(number: u16) -> Member {
    Member::new(format!("n{number}"), ([10, 0, 0, 1], 40_000 + number).into())
}

fn group(own: MemberId) -> Membership<MemberId, Member> {
    let ids = [own, MemberId(StoreId(2)), MemberId(StoreId(3))];
    let nodes: BTreeMap<_, _> = ids.iter().copied().zip((0..).map(member)).collect();
    Membership::new(vec![ids.into_iter().collect()], nodes).expect("valid")
}

async fn append(log: &mut EntryLog, kind: EntryKind, term: Term, payload: &[u8]) {
    let (index, timestamp) = (log.state().next, UnixMillis(9));
    let head = EntryHead { index, term, kind, timestamp, records: 0, chain: None };
    log.append(&[(head, payload)]).await.expect("appended");
}

/// A log of one of three, of which all is durable.
async fn found() -> MemberId {
    let mut log = EntryLog::open(&options()).await.expect("a log");
    let own = MemberId(log.id());
    let promise = Promise { term: TERM, voted_for: StoreId(2), elected: true };
    log.save_promise(promise).await.expect("promised");
    append(&mut log, EntryKind::Membership, Term(1), &membership::encode(&group(own))).await;
    for number in 1..ENTRIES {
        append(&mut log, EntryKind::Command, TERM, &number.to_le_bytes()).await;
    }
    log.close().await.expect("closed");
    own
}

fn recovery(own: MemberId) -> Recovery {
    let lineage = Lineage { recoveries: 1, number: 7 };
    let last = id_before(LogIndex(ENTRIES), TERM);
    Recovery::for_test(own, Member { lineage, ..member(0) }, last)
}

/// How far a recovery came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    Nothing,
    Promise,
    All,
}

/// What the log says after a start; all that was there before is there, whatever happened.
async fn look(own: MemberId) -> Reached {
    let log = EntryLog::open(&options()).await.expect("it is well");
    let (promise, state) = (log.promise(), log.state());
    let entries = log.reader().read(LogIndex(0)..state.next, usize::MAX).await.expect("readable");
    assert!(entries.len() as u64 >= ENTRIES, "nothing that was there is gone");
    assert_eq!(membership::decode(&entries[0].payload), Ok(group(own)));
    let reached = match entries.get(ENTRIES as usize) {
        None if promise.voted_for == own.0 => Reached::Promise,
        None => Reached::Nothing,
        Some(last) => {
            assert_eq!(last.head.term, promise.term, "nobody appends in a term not promised");
            let group = membership::decode(&last.payload).expect("it says who belongs to it");
            assert_eq!(group.voter_ids().collect::<BTreeSet<_>>(), [own].into());
            assert_eq!((group.nodes().count(), Lineage::of(&group).recoveries), (1, 1));
            Reached::All
        }
    };
    let leaps = promise.term.0 / LEAP;
    assert_eq!(leaps > 0, reached > Reached::Nothing, "{promise:?}");
    assert!(promise.term.0 % LEAP == TERM.0, "{promise:?}");
    log.close().await.expect("closed");
    reached
}

/// Recovers until the power goes after `micros`, or it is done.
fn recover_for(simulation: &Simulation, node: &Node, own: MemberId, micros: u64) {
    let recovering = node.start("recovering", move || async move {
        let mut log = EntryLog::open(&options()).await.expect("it is well");
        recovery(own).carry_out(&mut log).await.expect("a healthy disk");
        std::future::pending::<()>().await;
    });
    simulation.run_for(Duration::from_micros(micros));
    node.power_cut();
    drop(recovering);
}

#[test]
fn a_power_cut_at_any_moment_leaves_the_group_as_it_was_or_as_it_becomes() {
    let mut seen = [0_u32; 3];
    for seed in 0..400 {
        let simulation = Simulation::new(seed);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        let own = simulation.join(node.start("found", found), LIMIT).expect("it ends");
        let mut before = Reached::Nothing;
        for attempt in 0..3 {
            if before == Reached::All {
                break;
            }
            let micros = (seed * 37 + attempt * 613) % 6000;
            recover_for(&simulation, &node, own, micros);
            let looking = node.start("look", move || look(own));
            let now = simulation.join(looking, LIMIT).expect("it ends");
            assert!(now >= before, "seed {seed}: {now:?} behind {before:?}");
            before = now;
            seen[now as usize] += 1;
        }
        recover_to_the_end(&simulation, &node, own, before);
    }
    assert!(seen.iter().all(|times| *times > 0), "each was reached: {seen:?}");
}

/// Asked again it is done, or there is nothing to do: the log is another one by then.
fn recover_to_the_end(simulation: &Simulation, node: &Node, own: MemberId, before: Reached) {
    let recovering = node.start("recovering", move || async move {
        let mut log = EntryLog::open(&options()).await.expect("it is well");
        let done = recovery(own).carry_out(&mut log).await;
        match before {
            Reached::All => assert!(matches!(done, Err(RecoveryError::Changed { .. }))),
            _ => assert_eq!(done.expect("it is done").0 % LEAP, TERM.0),
        }
        log.close().await.expect("closed");
    });
    simulation.join(recovering, LIMIT).expect("it ends");
    let now = simulation.join(node.start("look", move || look(own)), LIMIT).expect("it ends");
    assert_eq!(now, Reached::All);
}

#[test]
fn a_log_that_has_changed_since_is_left_alone() {
    let simulation = Simulation::new(1);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let own = simulation.join(node.start("found", found), LIMIT).expect("it ends");
    let changed = node.start("changed", move || async move {
        let mut log = EntryLog::open(&options()).await.expect("it is well");
        append(&mut log, EntryKind::Command, TERM, b"one more").await;
        let (state, promise) = (log.state(), log.promise());
        let error = recovery(own).carry_out(&mut log).await.expect_err("it is another one");
        assert!(error.to_string().contains("nothing was changed. Ask again"), "{error}");
        assert_eq!((log.state(), log.promise()), (state, promise));
        log.close().await.expect("closed");
    });
    simulation.join(changed, LIMIT).expect("it ends");
}
