//! A damaged part of a member's log, repaired with the entries of another one: damage of all kinds at random places, power cuts in
//! between, and another one that has other entries.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod support;

use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::{LogIndex, PhysicalOffset, Term, UnixMillis};
use runtime::sim::{Disk, DiskOp, Node, Simulation, When};
use runtime::{BLOCK, Executor, sleep};
use storage::{
    Damage, EntryHead, EntryKind, EntryLog, EntryLogError, LogEntry, Misfit, Patch, StoreError,
    StoreId,
};
use support::options;

const LIMIT: Duration = Duration::from_secs(600);
const OURS: &str = "/ours";
const THEIRS: &str = "/theirs";
const FOUNDER: StoreId = StoreId(77);
/// Entries of the log. The last few are not known to be committed.
const COUNT: u64 = 120;
const UNCOMMITTED: u64 = 3;
const ALL: Range<LogIndex> = LogIndex(0)..LogIndex(u64::MAX);

/// Drawn from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn payload(index: u64) -> Vec<u8> {
    let len = match index % 8 {
        0 => 0,
        1 => 700_000,
        2 => 4096 - 88,
        left => 100 * left + index,
    };
    vec![index as u8; len as usize]
}

fn head(index: u64) -> EntryHead {
    EntryHead {
        index: LogIndex(index),
        term: Term(1 + index / 50),
        kind: EntryKind::Command,
        timestamp: UnixMillis(7 + index),
        records: 0,
        chain: None,
    }
}

/// A log with entries of several lives.
async fn filled(dir: &str) -> EntryLog {
    let mut log = EntryLog::open(&options(Path::new(dir))).await.expect("it opens");
    log.begin_as(FOUNDER).await.expect("it is empty");
    for index in 0..COUNT {
        if index == COUNT / 2 {
            log.close().await.expect("closed");
            log = EntryLog::open(&options(Path::new(dir))).await.expect("it opens again");
        }
        let bytes = payload(index);
        log.commit(LogIndex(index.saturating_sub(UNCOMMITTED)));
        log.append(&[(head(index), &bytes)]).await.expect("appended");
    }
    log.commit(LogIndex(COUNT - UNCOMMITTED));
    log
}

async fn read(log: &EntryLog) -> Result<Vec<LogEntry>, EntryLogError> {
    log.reader().read(ALL, usize::MAX).await
}

fn assert_same(ours: &[LogEntry], theirs: &[LogEntry]) {
    assert_eq!(ours.len(), theirs.len());
    for (one, other) in ours.iter().zip(theirs) {
        assert_eq!((one.head, one.offset), (other.head, other.offset));
        assert_eq!(one.payload[..], other.payload[..], "entry {}", one.head.index);
    }
}

/// What is damaged first, from the log's beginning on.
async fn first_damage(log: &EntryLog) -> Option<Damage> {
    let reader = log.reader();
    let (mut at, end) = (0, log.state().end.0);
    while at < end {
        if let Some(damage) = reader.look(PhysicalOffset(at)).await.expect("the disk works") {
            return Some(damage);
        }
        at += 64 * 1024;
    }
    None
}

async fn prove(ours: &EntryLog, damage: &Damage, theirs: &[LogEntry]) -> Result<Patch, Misfit> {
    let mut proof = ours.reader().prove(damage, ours.state().committed);
    loop {
        let next = &theirs[proof.next().0 as usize];
        if let Some(patch) = proof.take(&next.head, &next.payload).await? {
            return Ok(patch);
        }
    }
}

async fn write(ours: &mut EntryLog, patch: &Patch, theirs: &[LogEntry]) -> Result<(), Misfit> {
    for (number, range) in patch.pieces().enumerate() {
        let piece = &theirs[range.start.0 as usize..range.end.0 as usize];
        let given: Vec<_> = piece.iter().map(|entry| (entry.head, &entry.payload[..])).collect();
        ours.mend(patch, number, &given).await?;
    }
    Ok(())
}

/// Repairs all that is damaged; how often something was.
async fn repair(ours: &mut EntryLog, theirs: &[LogEntry]) -> Result<u64, Misfit> {
    let mut count = 0;
    while let Some(damage) = first_damage(ours).await {
        let patch = prove(ours, &damage, theirs).await?;
        assert!(patch.indexes().contains(&damage.index()));
        write(ours, &patch, theirs).await?;
        count += 1;
    }
    Ok(count)
}

/// The files of a log's segments.
fn segments(disk: &Disk, dir: &str) -> Vec<PathBuf> {
    let is_segment = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit())
    };
    let log = Path::new(dir).join("log");
    let files = disk.files().into_iter().map(|(path, _)| path);
    let mut files: Vec<_> =
        files.filter(|path| path.starts_with(&log) && is_segment(path)).collect();
    files.sort();
    files
}

/// A life that waits with two logs open until one of them was damaged, and goes on then.
struct Paused {
    reached: Arc<AtomicBool>,
    go_on: Arc<AtomicBool>,
}

impl Paused {
    fn new() -> (Self, Pause) {
        let (reached, go_on) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let pause = Pause { reached: Arc::clone(&reached), go_on: Arc::clone(&go_on) };
        (Self { reached, go_on }, pause)
    }

    /// Runs until it waits.
    fn wait(&self, simulation: &Simulation) {
        assert!(
            simulation.run_until(LIMIT, || self.reached.load(Ordering::Relaxed)),
            "it is reached"
        );
    }

    fn go_on(&self) {
        self.go_on.store(true, Ordering::Relaxed);
    }
}

#[derive(Clone)]
struct Pause {
    reached: Arc<AtomicBool>,
    go_on: Arc<AtomicBool>,
}

impl Pause {
    async fn here(&self) {
        self.reached.store(true, Ordering::Relaxed);
        while !self.go_on.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Where the entries begin that must not be damaged: the tail, of which nobody knows what is committed.
fn offset_of(entries: &[LogEntry], index: u64) -> u64 {
    entries[index as usize].offset.0
}

/// Damages a few places of the committed log.
fn damage(disk: &Disk, dice: &mut Dice, end: u64) -> String {
    let size = options(Path::new(OURS)).segment_size;
    let files = segments(disk, OURS);
    let mut said = String::new();
    for _ in 0..=dice.below(3) {
        let at = dice.below(end);
        let (file, within) = (&files[(at / size) as usize], at % size);
        // A segment's header is not part of what is repaired.
        let within = within.max(BLOCK as u64);
        let last = (end - 1).min(at / size * size + size - 1) % size;
        match dice.below(4) {
            0 => disk.flip_bit(file, within * 8 + dice.below(8)),
            1 => disk.spoil(file, within..within + 1),
            2 => disk.spoil(file, within..(within + dice.below(300_000)).min(last.max(within) + 1)),
            _ => {
                let many = dice.below(40) * 512;
                for byte in (within..(within + many).min(last)).step_by(512) {
                    disk.flip_bit(file, byte * 8);
                }
            }
        }
        said += &format!("{at} ");
    }
    said
}

fn world(seed: u64) -> (Simulation, Node) {
    let simulation = Simulation::new(seed);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    (simulation, node)
}

/// Where the last entry begins that may be damaged: it ends before the first one that is not committed.
async fn committed_end(log: &EntryLog) -> u64 {
    let all = read(log).await.expect("it is whole");
    // The block in which what is committed ends has what is not, too.
    offset_of(&all, COUNT - UNCOMMITTED - 8) / BLOCK as u64 * BLOCK as u64
}

fn begin(node: &Node, pause: Pause, end: Arc<std::sync::Mutex<u64>>) -> Executor<u64> {
    node.start("logs", move || async move {
        let (mut ours, theirs) = (filled(OURS).await, filled(THEIRS).await);
        *end.lock().expect("nobody panics") = committed_end(&ours).await;
        pause.here().await;
        let theirs = read(&theirs).await.expect("it is whole");
        let count = repair(&mut ours, &theirs).await.expect("it is repaired");
        assert_same(&read(&ours).await.expect("all is well"), &theirs);
        ours.close().await.expect("closed");
        let again = EntryLog::open(&options(Path::new(OURS))).await.expect("a start finds it well");
        assert_same(&read(&again).await.expect("all is well"), &theirs);
        count
    })
}

#[test]
fn what_rots_and_what_cannot_be_read_is_repaired_wherever_it_lies() {
    let mut repaired = 0;
    for seed in 0..8 {
        let (simulation, node) = world(seed);
        let ((paused, pause), end) = (Paused::new(), Arc::default());
        let life = begin(&node, pause, Arc::clone(&end));
        paused.wait(&simulation);
        let end = *end.lock().expect("nobody panics");
        let said = damage(&node.disk(), &mut Dice(seed * 7 + 1), end);
        paused.go_on();
        let count = simulation.join(life, LIMIT);
        repaired += count.unwrap_or_else(|error| panic!("seed {seed}, {said}: {error}"));
    }
    assert!(repaired >= 8, "{repaired}: little of it was damage");
}

/// A life in which the power is cut during a repair, and what is found afterwards.
fn cut(op: DiskOp, number: u64) -> bool {
    let (simulation, node) = world(number);
    let (paused, pause) = Paused::new();
    let spoilt = Arc::new(std::sync::Mutex::new((0, 0)));
    let told = Arc::clone(&spoilt);
    let over = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&over);
    let life = node.start("logs", move || async move {
        let (mut ours, theirs) = (filled(OURS).await, filled(THEIRS).await);
        let theirs = read(&theirs).await.expect("it is whole");
        *told.lock().expect("nobody panics") = (offset_of(&theirs, 30), offset_of(&theirs, 36));
        pause.here().await;
        let repaired = repair(&mut ours, &theirs).await;
        is_over.store(true, Ordering::Relaxed);
        drop(ours);
        repaired.is_ok()
    });
    paused.wait(&simulation);
    let (from, to) = *spoilt.lock().expect("nobody panics");
    let size = options(Path::new(OURS)).segment_size;
    let files = segments(&node.disk(), OURS);
    for offset in (from..to).step_by(5000) {
        node.disk().flip_bit(&files[(offset / size) as usize], offset % size * 8);
    }
    // The disk fails with that one, and the power is cut then.
    node.disk().fail(op, When::Nth(number));
    paused.go_on();
    let is_repaired = simulation.join(life, LIMIT).expect("it ends");
    assert!(over.load(Ordering::Relaxed));
    node.disk().heal();
    node.crash();
    let after = node.start("after", move || async move {
        let theirs = EntryLog::open(&options(Path::new(THEIRS))).await.expect("it is whole");
        let theirs = read(&theirs).await.expect("it is whole");
        match EntryLog::open(&options(Path::new(OURS))).await {
            Ok(ours) => assert_same(&read(&ours).await.expect("all is well"), &theirs),
            Err(EntryLogError::Store(StoreError::Damage(damage))) => {
                assert!(!is_repaired, "it was said to be repaired: {damage}");
                let at = damage.offset.0;
                assert!((from..to).contains(&at), "{damage}");
            }
            Err(error) => panic!("{error}"),
        }
    });
    simulation.join(after, LIMIT).expect("it ends");
    is_repaired
}

#[test]
fn after_a_power_cut_at_any_write_or_flush_of_a_repair_there_is_damage_or_what_was_there_before() {
    for op in [DiskOp::Write, DiskOp::Flush] {
        let mut number = 1;
        while !cut(op, number) {
            number += 1;
            assert!(number < 100, "a repair ends");
        }
        assert!(number > 2, "a repair writes and flushes more than once");
    }
}

/// A life in which our log is damaged from one entry up to another.
fn damaged<F, Fut>(range: Range<u64>, unreadable: bool, then: F)
where
    F: FnOnce(EntryLog, Vec<LogEntry>) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let (simulation, node) = world(1);
    let (paused, pause) = Paused::new();
    let offsets = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = Arc::clone(&offsets);
    let life = node.start("logs", move || async move {
        let (ours, theirs) = (filled(OURS).await, filled(THEIRS).await);
        let theirs = read(&theirs).await.expect("it is whole");
        let places = range.map(|index| offset_of(&theirs, index)).collect();
        *told.lock().expect("nobody panics") = places;
        pause.here().await;
        then(ours, theirs).await;
    });
    paused.wait(&simulation);
    let size = options(Path::new(OURS)).segment_size;
    let files = segments(&node.disk(), OURS);
    for offset in offsets.lock().expect("nobody panics").iter() {
        let (file, within) = (&files[(offset / size) as usize], offset % size);
        match unreadable {
            true => node.disk().spoil(file, within..within + 88),
            false => node.disk().flip_bit(file, (within + 40) * 8),
        }
    }
    paused.go_on();
    simulation.join(life, LIMIT).expect("it ends");
}

#[test]
fn where_terms_end_is_found_without_reading_a_segment_of_one_term() {
    damaged(5..6, true, |ours, theirs| async move {
        let reader = ours.reader();
        let of = |index: u64| (LogIndex(index), head(index).term);
        for (first, last) in
            [(0, COUNT - 1), (0, 49), (0, 50), (49, 50), (50, 99), (7, 7), (99, 119)]
        {
            let ends = reader.ends_of_terms(of(first), of(last)).await.expect("it is not read");
            let is_end = |index: &u64| *index == last || head(*index).term < head(index + 1).term;
            let expected: Vec<_> = (first..=last).filter(is_end).map(of).collect();
            assert_eq!(ends, expected, "from {first} to {last}");
        }
        assert!(read(&ours).await.is_err() && theirs.len() as u64 == COUNT);
    });
}

#[test]
fn what_is_not_known_to_be_committed_is_not_repaired() {
    damaged(COUNT - UNCOMMITTED - 1..COUNT - 1, false, |ours, theirs| async move {
        let damage = first_damage(&ours).await.expect("it is damaged");
        let refused = prove(&ours, &damage, &theirs).await.expect_err("its end is not known");
        assert!(matches!(refused, Misfit::Uncommitted { .. }), "{refused}");
        assert!(first_damage(&ours).await.is_some(), "and nothing was written");
    });
}

#[test]
fn the_last_entries_are_repaired_once_they_are_committed_because_the_end_is_known() {
    damaged(COUNT - 2..COUNT, true, |mut ours, theirs| async move {
        ours.commit(LogIndex(COUNT));
        assert_eq!(repair(&mut ours, &theirs).await.expect("it is repaired"), 1);
        assert_same(&read(&ours).await.expect("all is well"), &theirs);
        // What comes next continues it.
        let bytes = payload(COUNT + 3);
        ours.append(&[(head(COUNT), &bytes)]).await.expect("appended");
        ours.close().await.expect("closed");
        let ours = EntryLog::open(&options(Path::new(OURS))).await.expect("it is well");
        assert_eq!(read(&ours).await.expect("all is well").len() as u64, COUNT + 1);
    });
}

#[test]
fn entries_that_are_not_the_same_are_refused_before_anything_is_written() {
    damaged(40..44, false, |mut ours, theirs| async move {
        let damage = first_damage(&ours).await.expect("it is damaged");
        let other = |change: fn(&mut LogEntry)| {
            let mut theirs = theirs.clone();
            change(&mut theirs[41]);
            theirs
        };
        let byte = other(|entry| entry.payload = entry.payload.slice(0..entry.payload.len() - 1));
        let refused = prove(&ours, &damage, &byte).await.expect_err("a byte is missing");
        assert!(matches!(refused, Misfit::Chain { index: LogIndex(41), .. }), "{refused}");
        let gap = other(|entry| entry.head.index = LogIndex(43));
        let refused = prove(&ours, &damage, &gap).await.expect_err("one is missing");
        assert!(matches!(refused, Misfit::Order { .. }), "{refused}");
        let older = other(|entry| entry.head.term = Term(0));
        let refused = prove(&ours, &damage, &older).await.expect_err("its term is too old");
        assert!(matches!(refused, Misfit::Falls(LogIndex(41))), "{refused}");
        // Whoever does not say its chains cannot come to ours.
        let silent = other(|entry| entry.head.timestamp = UnixMillis(1_000));
        let silent: Vec<_> = silent
            .into_iter()
            .map(|entry| LogEntry { head: EntryHead { chain: None, ..entry.head }, ..entry })
            .collect();
        let refused =
            prove(&ours, &damage, &silent).await.expect_err("they come to something else");
        let is_known =
            matches!(refused, Misfit::Elsewhere(_) | Misfit::Uncommitted { .. } | Misfit::Falls(_));
        assert!(is_known, "{refused}");
        // What is got a second time must be the same.
        let patch = prove(&ours, &damage, &theirs).await.expect("these are");
        let refused = write(&mut ours, &patch, &byte).await.expect_err("they have changed");
        assert!(matches!(refused, Misfit::Chain { .. } | Misfit::Changed(_)), "{refused}");
        let still = first_damage(&ours).await.expect("nothing was written");
        // But for the piece before, which was what it should be.
        assert!((40..=41).contains(&still.index().0), "{}", still.index());
        assert!(read(&ours).await.is_err(), "and what is damaged is not served");
        write(&mut ours, &patch, &theirs).await.expect("written");
        repair(&mut ours, &theirs).await.expect("it is repaired");
        assert_same(&read(&ours).await.expect("all is well"), &theirs);
    });
}

#[test]
fn a_whole_segment_that_is_gone_but_for_its_header_is_repaired_in_pieces() {
    let (simulation, node) = world(3);
    let ((paused, pause), end) = (Paused::new(), Arc::default());
    let life = begin(&node, pause, Arc::clone(&end));
    paused.wait(&simulation);
    let size = options(Path::new(OURS)).segment_size;
    let second = &segments(&node.disk(), OURS)[1];
    node.disk().spoil(second, BLOCK as u64..size);
    paused.go_on();
    assert_eq!(simulation.join(life, LIMIT).expect("it ends"), 1);
}
