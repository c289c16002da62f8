//! A snapshot takes the place of a member's log: whatever happens meanwhile, the member has either what it had or what the snapshot
//! stands for, and forgets nothing that it has promised.

mod support;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::{LogIndex, PhysicalOffset, QueueId, Term, UnixMillis};
use runtime::sim::{DiskOp, Node, Simulation, When};
use runtime::{File, OpenMode, Task, fs};
use storage::inspect::{Place, View};
use storage::{
    Applier, EntryHead, EntryKind, EntryLog, Event, Events, Options, Promise, Purged, Scale, Store,
    founding_entry,
};
use support::{STATE, open, options};

const LIMIT: Duration = Duration::from_secs(3600);
const STORE: &str = "/store";
const QUEUE: QueueId = QueueId(0);
const OPS: [DiskOp; 4] = [DiskOp::Read, DiskOp::Write, DiskOp::Flush, DiskOp::Metadata];
/// Entries that the member has of its own.
const OWN: LogIndex = LogIndex(3);
/// What it has promised.
const PROMISED: Term = Term(5);

/// As a member of a group of one shard has it, without files for segments to come.
fn of_member() -> Options {
    let scale = Scale { spare_bytes: 0, ..Scale::default() };
    Options { scale, ..options(Path::new(STORE)) }
}

fn staged() -> PathBuf {
    Path::new(STORE).join("checkpoints/snapshot")
}

fn world(seed: u64) -> (Simulation, Node) {
    let simulation = Simulation::new(seed);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    (simulation, node)
}

/// A snapshot of another store, whose log was trimmed: its bytes, and the index of the first entry behind it.
fn snapshot() -> (Arc<[u8]>, LogIndex) {
    let (simulation, node) = world(0);
    let made = node.start("giver", || async {
        let size = of_member().segment_size;
        let mut alone = open(of_member()).await;
        alone.store.append_create_topic("T", 1, b"").expect("room");
        let mut at = 0;
        while at < 2 * size {
            alone.append("T", QUEUE, &vec![0x5A; 300_000]).await;
            at = alone.collect(1).await[0].physical.0;
        }
        alone.answer().await;
        alone.store.append_trim(PhysicalOffset(size)).await.expect("there is a checkpoint");
        while alone.store.stats().min.0 < size {
            alone.answer().await;
        }
        alone.stop().await;
        let member = Member::open().await.expect("it opens");
        let snapshot = member.store.snapshot().await.expect("readable").expect("it is trimmed");
        assert!(snapshot.next > OWN, "it stands for more than others have");
        (Arc::from(snapshot.bytes), snapshot.next)
    });
    simulation.join(made, LIMIT).expect("it is made")
}

struct Member {
    store: Store,
    log: EntryLog,
    applier: Applier,
    owner: Task<()>,
}

async fn own(mut events: Events) {
    loop {
        match events.next().await {
            Event::StateWanted(wanted) => wanted.give(STATE.to_vec()),
            Event::Stopped | Event::Failed(_) => return,
            _ => {}
        }
    }
}

impl Member {
    async fn open() -> Result<Self, String> {
        let opened = Store::open_member(of_member()).await;
        let (store, events, opening) = opened.map_err(|error| error.to_string())?;
        let owner = runtime::spawn(own(events));
        let (log, applier) = opening.ready().await.ok_or("the log cannot be read")?;
        Ok(Self { store, log, applier, owner })
    }

    /// Appends entries, and applies them.
    async fn append(&mut self, count: u64, len: usize) {
        for _ in 0..count {
            let index = self.log.state().next;
            let (kind, payload) = match index.0 {
                0 => (EntryKind::Membership, founding_entry(self.log.id())),
                _ => (EntryKind::Command, vec![7; len]),
            };
            let (timestamp, records, chain) = (self.log.state().last_timestamp, 0, None);
            let timestamp = timestamp.max(UnixMillis(1));
            let head = EntryHead { index, term: PROMISED, kind, timestamp, records, chain };
            self.log.append(&[(head, &payload)]).await.expect("appended");
            let read = self.log.reader().read(index..index.next(), 1).await.expect("readable");
            let payload = read.into_iter().next().expect("just appended").payload;
            self.applier.apply(index, PROMISED, payload).await.expect("applied");
        }
    }

    /// A member with entries of its own, that has promised a term.
    async fn with_a_past() -> Self {
        let mut member = Self::open().await.expect("it opens");
        let promise = Promise { term: PROMISED, ..member.log.promise() };
        member.log.save_promise(promise).await.expect("saved");
        member.append(OWN.0, 1000).await;
        member
    }

    async fn stop(self) {
        drop(self.log.close().await); // the store may have failed
        drop(self.applier);
        self.store.stop().await;
        self.owner.await;
    }
}

/// What a member has after a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Has {
    first: LogIndex,
    next: LogIndex,
    applied: LogIndex,
    purged: LogIndex,
}

impl Has {
    const PAST: Self =
        Self { first: LogIndex(0), next: OWN, applied: LogIndex(0), purged: LogIndex(0) };

    fn begun_at(index: LogIndex) -> Self {
        Self { first: index, next: index, applied: index, purged: index }
    }
}

/// Starts a member, looks at what it has, and stops it; nothing of an installation is left then.
async fn look() -> Result<Has, String> {
    let member = Member::open().await?;
    let (state, applied) = (member.log.state(), member.applier.state().next);
    let Purged { before, .. } = member.log.purged();
    assert!(member.log.promise().term >= PROMISED, "what was promised stays so");
    let has = Has { first: state.first, next: state.next, applied, purged: before };
    member.stop().await;
    for name in ["snapshot", "snapshot.tmp"] {
        let left = fs::exists(staged().with_file_name(name)).await;
        assert!(!left.map_err(|error| error.to_string())?, "{name} is left");
    }
    Ok(has)
}

/// Has a member with a past lay the snapshot down, once the moment is there that `begins`, and stop.
async fn lay_down(bytes: Arc<[u8]>, begins: Arc<AtomicBool>) -> Result<(), String> {
    let mut member = Member::with_a_past().await;
    begins.store(true, Ordering::Relaxed);
    runtime::sleep(Duration::from_millis(50)).await;
    let laid_down = member.applier.stage_snapshot(&bytes).await;
    member.stop().await;
    laid_down
}

/// A member whose snapshot waits to be put into place.
fn waiting(seed: u64, bytes: &Arc<[u8]>) -> (Simulation, Node) {
    let (simulation, node) = world(seed);
    let (bytes, begins) = (Arc::clone(bytes), Arc::default());
    let life = node.start("lays down", move || lay_down(bytes, begins));
    simulation.join(life, LIMIT).expect("it ends").expect("it is laid down");
    (simulation, node)
}

fn starts(simulation: &Simulation, node: &Node) -> Result<Has, String> {
    simulation.join(node.start("starts", look), LIMIT).expect("the start ends")
}

#[test]
fn a_snapshot_takes_the_place_of_a_log() {
    let (bytes, next) = snapshot();
    let (simulation, node) = waiting(1, &bytes);
    assert_eq!(starts(&simulation, &node), Ok(Has::begun_at(next)));
    let life = node.start("goes on", || async {
        let mut member = Member::open().await.expect("it opens");
        assert!(member.store.has_topic("T"), "it is in the snapshot");
        member.append(4, 1000).await;
        member.stop().await;
    });
    simulation.join(life, LIMIT).expect("it goes on");
    let has = starts(&simulation, &node).expect("it starts");
    assert_eq!((has.first, has.next.0), (next, next.0 + 4));
}

#[test]
fn while_it_is_laid_down_a_power_cut_leaves_the_old_log_or_the_new_one() {
    let (bytes, next) = snapshot();
    let mut met = [0; 2];
    for (op, end) in
        OPS.into_iter().flat_map(|op| [(op, Node::power_cut as fn(&Node)), (op, Node::crash)])
    {
        for count in 1.. {
            let (simulation, node) = world(count);
            let (disk, begins) = (node.disk(), Arc::new(AtomicBool::new(false)));
            let (sent, began) = (Arc::clone(&bytes), Arc::clone(&begins));
            let life = node.start("lays down", move || lay_down(sent, began));
            assert!(simulation.run_until(LIMIT, || begins.load(Ordering::Relaxed)));
            disk.fail(op, When::Nth(count));
            let laid_down = simulation.join(life, LIMIT).expect("it ends");
            let failed = disk.failures() > 0;
            disk.heal();
            end(&node);
            let has = starts(&simulation, &node);
            let has = has.unwrap_or_else(|why| panic!("{op:?} {count}: {why}"));
            let is_new = has == Has::begun_at(next);
            assert!(
                is_new || (has.first, has.next) == (Has::PAST.first, OWN),
                "{op:?} {count}: {has:?}"
            );
            assert!(is_new || laid_down.is_err(), "{op:?} {count}: it was laid down");
            met[usize::from(is_new)] += 1;
            if !failed {
                break;
            }
        }
    }
    assert!(met.iter().all(|times| *times > 2), "{met:?}");
}

#[test]
fn while_it_is_put_into_place_nothing_is_lost_whatever_fails() {
    let (bytes, next) = snapshot();
    let mut failures = 0;
    for (op, end) in
        OPS.into_iter().flat_map(|op| [(op, Node::power_cut as fn(&Node)), (op, Node::crash)])
    {
        for count in 1.. {
            let (simulation, node) = waiting(count, &bytes);
            let disk = node.disk();
            disk.fail(op, When::Nth(count));
            let first = starts(&simulation, &node);
            let failed = disk.failures() > 0;
            disk.heal();
            end(&node);
            let has = starts(&simulation, &node);
            assert_eq!(has, Ok(Has::begun_at(next)), "{op:?} {count}: {first:?} before");
            failures += u64::from(first.is_err());
            if !failed {
                break;
            }
        }
    }
    assert!(failures > 20, "{failures}");
}

#[test]
fn no_more_space_is_needed_than_was_reserved() {
    let (bytes, next) = snapshot();
    let (simulation, node) = world(2);
    let (disk, reserved) = (node.disk(), Arc::new(AtomicBool::new(false)));
    let (sent, is_reserved) = (Arc::clone(&bytes), Arc::clone(&reserved));
    let life = node.start("lays down", move || async move {
        let mut member = Member::with_a_past().await;
        let space = member.store.reserve_for_snapshot(sent.len()).await.expect("there is space");
        drop(space);
        is_reserved.store(true, Ordering::Relaxed);
        runtime::sleep(Duration::from_millis(50)).await;
        let laid_down = member.applier.stage_snapshot(&sent).await;
        member.stop().await;
        laid_down
    });
    assert!(simulation.run_until(LIMIT, || reserved.load(Ordering::Relaxed)));
    disk.resize(disk.used());
    simulation.join(life, LIMIT).expect("it ends").expect("it is laid down");
    assert_eq!(starts(&simulation, &node), Ok(Has::begun_at(next)));
}

#[test]
fn where_there_is_no_space_it_is_refused_and_none_is_taken() {
    let (bytes, _) = snapshot();
    let (simulation, node) = world(3);
    let (disk, begins) = (node.disk(), Arc::new(AtomicBool::new(false)));
    let began = Arc::clone(&begins);
    let life = node.start("has no space", move || async move {
        let mut member = Member::with_a_past().await;
        began.store(true, Ordering::Relaxed);
        runtime::sleep(Duration::from_millis(50)).await;
        let refused = member.store.reserve_for_snapshot(bytes.len()).await;
        let why = refused.expect_err("there is no space");
        assert!(why.contains("No space left") || why.contains("ENOSPC"), "{why}");
        member.append(1, 10).await; // it goes on
        member.stop().await;
    });
    assert!(simulation.run_until(LIMIT, || begins.load(Ordering::Relaxed)));
    disk.resize(disk.used());
    simulation.join(life, LIMIT).expect("it ends");
    disk.heal();
    let has = starts(&simulation, &node).expect("it starts");
    assert_eq!(has.next, OWN.next());
}

#[test]
fn a_flush_that_fails_meanwhile_is_the_end_of_the_store() {
    let (bytes, _) = snapshot();
    let (simulation, node) = world(4);
    let (disk, begins) = (node.disk(), Arc::new(AtomicBool::new(false)));
    let began = Arc::clone(&begins);
    let life = node.start("fails", move || async move {
        let mut member = Member::with_a_past().await;
        began.store(true, Ordering::Relaxed);
        runtime::sleep(Duration::from_millis(50)).await;
        member.applier.stage_snapshot(&bytes).await.expect_err("the flush fails");
        let promise = Promise { term: Term(9), ..member.log.promise() };
        member.log.save_promise(promise).await.expect_err("nothing is promised any more");
        member.store.failed().await;
    });
    assert!(simulation.run_until(LIMIT, || begins.load(Ordering::Relaxed)));
    disk.fail(DiskOp::Flush, When::Nth(1));
    simulation.join(life, LIMIT).expect("it ends");
}

#[test]
fn a_snapshot_that_stands_for_nothing_new_is_refused() {
    let (bytes, next) = snapshot();
    let (simulation, node) = waiting(5, &bytes);
    let life = node.start("has it", move || async move {
        let mut member = Member::open().await.expect("it opens");
        let why = member.applier.stage_snapshot(&bytes).await.expect_err("it has all of it");
        assert!(why.contains(&format!("stands for the entries before {next}")), "{why}");
        member.stop().await;
    });
    simulation.join(life, LIMIT).expect("it ends");
    let has = starts(&simulation, &node);
    assert_eq!(has, Ok(Has::begun_at(next)));
}

#[test]
fn a_store_on_its_own_is_none_that_a_group_is_about_to_replace() {
    let (bytes, next) = snapshot();
    let (simulation, node) = waiting(6, &bytes);
    let life = node.start("alone", || async {
        let refused = Store::open(of_member())
            .await
            .err()
            .map(|error| error.to_string())
            .expect("it is refused");
        for part in ["snapshot", "is to take the place of its log", "dLegerPeers"] {
            assert!(refused.contains(part), "{refused}");
        }
    });
    simulation.join(life, LIMIT).expect("it ends");
    assert_eq!(starts(&simulation, &node), Ok(Has::begun_at(next)));
}

/// Writes a file with these bytes, durably.
async fn write(path: &Path, bytes: &[u8]) {
    let file = File::open(path, OpenMode::CreateNew).await.expect("a new file");
    let mut buffer = file.buffer(bytes.len());
    buffer.copy_from_slice(bytes);
    file.write_at(&Rc::new(buffer), 0).await.expect("writable");
    file.sync().await.expect("flushable");
    file.close().await.expect("closable");
}

#[test]
fn one_that_comes_back_from_the_past_takes_nothing() {
    let (bytes, next) = snapshot();
    for purges in [false, true] {
        let (simulation, node) = waiting(7, &bytes);
        let again = node.disk().content(staged());
        assert_eq!(starts(&simulation, &node), Ok(Has::begun_at(next)));
        let life = node.start("goes on", move || async move {
            let mut member = Member::open().await.expect("it opens");
            member.append(4, 1000).await;
            if purges {
                let purged = Purged { before: LogIndex(next.0 + 2), term: PROMISED };
                member.log.save_purged(purged).await.expect("saved");
            }
            member.stop().await;
            write(&staged(), &again).await;
        });
        simulation.join(life, LIMIT).expect("it goes on");
        let has = starts(&simulation, &node).expect("it starts");
        assert_eq!((has.first, has.next.0), (next, next.0 + 4), "purges: {purges}");
    }
}

#[test]
fn the_tools_say_what_waits() {
    let (bytes, _) = snapshot();
    let (simulation, node) = waiting(8, &bytes);
    let life = node.start("checks", || async {
        let view = View::open(&Place { dir: STORE.into(), log_dir: None }).await.expect("a store");
        let checked = view.check(&mut |_| {}).await.expect("readable");
        let mut findings = checked.findings.iter();
        let of_it = findings.find(|finding| finding.file == staged()).expect("it is told of");
        assert!(of_it.what.contains("is to take the place of the log"), "{of_it:?}");
    });
    simulation.join(life, LIMIT).expect("it ends");
}
