//! Looking into a store from outside: every kind of damage is named, what a start would do is foretold
//! and then tried, and nothing is changed.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod support;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{PhysicalOffset, QueueId};
use runtime::fs;
use runtime::sim::{Node, Simulation};
use storage::Event;
use storage::inspect::{Checked, Place, Seen, Severity, Start, View};
use support::{Opened, alter, everywhere, open, options, try_open};

const LEN: usize = 300_000;
const HEADER: u64 = 88;
const STORE: &str = "/store";

fn place(dir: &Path) -> Place {
    Place { dir: dir.to_owned(), log_dir: None }
}

async fn look(dir: &Path) -> Checked {
    let view = View::open(&place(dir)).await.expect("nobody has it");
    view.check(&mut |_| {}).await.expect("readable")
}

/// A store of a little more than `segments` segments, stopped in order.
async fn make(dir: &Path, segments: u64) -> Vec<u64> {
    let mut opened = open(options(dir)).await;
    opened.store.append_create_topic("T", 2, b"").expect("room");
    let until = segments * options(dir).segment_size + 1_500_000;
    let sent = fill(&mut opened, until).await;
    opened.answer().await;
    opened.stop().await;
    sent
}

async fn fill(opened: &mut Opened, until: u64) -> Vec<u64> {
    let mut sent: Vec<u64> = Vec::new();
    while sent.last().is_none_or(|last| *last < until) {
        let queue = QueueId((sent.len() % 2) as u32);
        opened.append("T", queue, &vec![0x5A; LEN]).await;
        sent.push(opened.collect(1).await[0].physical.0);
    }
    sent
}

fn segment(dir: &Path, number: u64) -> PathBuf {
    dir.join("log").join(format!("{:020}", number * options(dir).segment_size))
}

/// Whether a start goes well.
async fn starts(dir: &Path) -> bool {
    let Ok((store, mut events)) = try_open(options(dir)).await else { return false };
    loop {
        match events.next().await {
            Event::Recovered(_) => break,
            Event::StateWanted(wanted) => wanted.give(support::STATE.to_vec()),
            Event::Failed(_) => return false,
            _ => {}
        }
    }
    drop((store, events));
    runtime::yield_now().await;
    true
}

fn on_sim<F, Fut>(seed: u64, test: F)
where
    F: FnOnce(PathBuf) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let simulation = Simulation::new(seed);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    run(&simulation, &node, move || test(PathBuf::from(STORE)));
}

fn run<T, F, Fut>(simulation: &Simulation, node: &Node, test: F) -> T
where
    T: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let executor = node.start("test", test);
    simulation.join(executor, Duration::from_secs(600)).expect("it ends")
}

#[test]
fn an_intact_store_is_intact() {
    everywhere("inspect-intact", |dir| async move {
        let sent = make(&dir, 2).await;
        let checked = look(&dir).await;
        assert!(checked.intact(), "{:#?}", checked.findings);
        assert_eq!(checked.log.messages, sent.len() as u64);
        assert_eq!(checked.log.topics["T"], sent.len() as u64);
        assert_eq!((checked.topics, checked.clean, checked.torn), (1, true, false));
        assert_eq!(checked.behind.entries, 0);
        assert!(matches!(checked.start, Start::From(from) if from.0 > 0));
        let view = View::open(&place(&dir)).await.expect("nobody has it");
        let mending = view.plan(&checked, None).expect("nothing to cut");
        assert!(mending.remove.is_empty() && mending.keep.is_empty());
        for at in [0, checked.end.expect("a log").0] {
            assert!(view.plan(&checked, Some(PhysicalOffset(at))).is_err(), "{at} is not damaged");
        }
    });
}

#[test]
fn a_store_in_use_is_left_alone() {
    everywhere("inspect-locked", |dir| async move {
        let opened = open(options(&dir)).await;
        let refused = View::open(&place(&dir)).await.err().expect("it is in use");
        assert!(refused.to_string().contains("in use"), "{refused}");
        opened.stop().await;
        let none = View::open(&place(&dir.join("nothing"))).await.err().expect("no store");
        assert!(none.to_string().contains("no store"), "{none}");
        assert!(!fs::exists(dir.join("nothing")).await.expect("readable"));
    });
}

#[test]
fn nothing_is_changed() {
    let simulation = Simulation::new(3);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    run(&simulation, &node, || async {
        let dir = PathBuf::from(STORE);
        let sent = make(&dir, 1).await;
        alter(&segment(&dir, 0), sent[3] + 100, 1, |byte| byte[0] ^= 1).await;
        alter(&dir.join("vote"), 20, 1, |byte| byte[0] ^= 1).await;
    });
    let all = || {
        let disk = node.disk();
        let files = disk.files();
        files.into_iter().map(|(path, len)| (disk.content(&path), path, len)).collect::<Vec<_>>()
    };
    let before = all();
    run(&simulation, &node, || async {
        let dir = PathBuf::from(STORE);
        let checked = look(&dir).await;
        assert!(!checked.intact());
        let view = View::open(&place(&dir)).await.expect("nobody has it");
        view.plan(&checked, checked.damaged_at()).expect("it can be cut there");
        let mut entries = view.entries(PhysicalOffset(0));
        while !matches!(entries.next().await.expect("readable"), Seen::End { .. }) {}
    });
    assert!(before == all(), "a file was changed");
}

/// What is to be found after `harm`: severity, part of the file's name, the byte in it.
struct Expected {
    severity: Severity,
    file: &'static str,
    at: Option<u64>,
    what: &'static str,
}

/// Makes a store, harms it, looks, and then starts it: what was foretold must happen.
fn named<F, Fut>(seed: u64, harm: F)
where
    F: FnOnce(PathBuf, Vec<u64>) -> Fut + Send + 'static,
    Fut: Future<Output = Expected> + 'static,
{
    on_sim(seed, move |dir| async move {
        let sent = make(&dir, 2).await;
        let Expected { severity, file, at, what } = harm(dir.clone(), sent).await;
        let checked = look(&dir).await;
        let found = checked.findings.iter().find(|finding| {
            finding.severity == severity
                && finding.file.to_string_lossy().contains(file)
                && finding.at == at
                && finding.what.contains(what)
        });
        assert!(found.is_some(), "{severity} {file} {at:?} {what}: {:#?}", checked.findings);
        assert_eq!(checked.intact(), severity < Severity::Warning);
        let foretold = matches!(checked.start, Start::From(_));
        assert_eq!(starts(&dir).await, foretold, "{}", checked.start);
    });
}

async fn first_file(dir: PathBuf) -> PathBuf {
    let names = fs::list(&dir).await.expect("readable");
    dir.join(&names.first().expect("a file").name)
}

#[test]
fn a_damaged_identity_is_named() {
    named(10, |dir, _| async move {
        alter(&dir.join("store"), 20, 1, |byte| byte[0] ^= 1).await;
        Expected { severity: Severity::Error, file: "store", at: Some(0), what: "CRC" }
    });
}

#[test]
fn a_damaged_vote_is_named() {
    named(11, |dir, _| async move {
        alter(&dir.join("vote"), 4096 + 20, 1, |byte| byte[0] ^= 1).await;
        Expected {
            severity: Severity::Warning,
            file: "vote",
            at: Some(4096),
            what: "slot 1 is damaged",
        }
    });
    named(12, |dir, _| async move {
        for slot in [0, 4096] {
            alter(&dir.join("vote"), slot + 20, 1, |byte| byte[0] ^= 1).await;
        }
        Expected { severity: Severity::Error, file: "vote", at: Some(0), what: "no slot" }
    });
}

#[test]
fn a_damaged_segment_header_is_named() {
    named(13, |dir, _| async move {
        alter(&segment(&dir, 1), 40, 1, |byte| byte[0] ^= 1).await;
        Expected { severity: Severity::Error, file: "log/", at: Some(0), what: "header" }
    });
}

#[test]
fn a_missing_segment_is_named() {
    named(14, |dir, _| async move {
        fs::remove_file(segment(&dir, 1)).await.expect("removable");
        Expected { severity: Severity::Error, file: "log/", at: Some(0), what: "missing" }
    });
}

#[test]
fn a_short_segment_is_named() {
    named(15, |dir, _| async move {
        let file = runtime::File::open(segment(&dir, 2), runtime::OpenMode::ReadWrite).await;
        let file = file.expect("it is there");
        file.truncate(1_000_000 / 4096 * 4096).await.expect("possible");
        file.close().await.expect("closable");
        Expected { severity: Severity::Error, file: "log/", at: Some(0), what: "999424 bytes" }
    });
}

#[test]
fn a_damaged_entry_is_named() {
    // In its header, and in its record's body; before the checkpoint that a start reads, and behind it.
    for (seed, number, into) in
        [(16, 0, 20), (17, 4, 5000), (18, usize::MAX, 20), (19, usize::MAX, 5000)]
    {
        named(seed, move |dir, sent| async move {
            let record = sent[number.min(sent.len() - 3)];
            let size = options(&dir).segment_size;
            let (base, entry) = (record / size * size, record - HEADER);
            alter(&segment(&dir, base / size), entry - base + into, 1, |byte| byte[0] ^= 1).await;
            Expected {
                severity: Severity::Error,
                file: "log/",
                at: Some(entry - base),
                what: "the log is damaged",
            }
        });
    }
}

#[test]
fn a_damaged_checkpoint_is_named() {
    named(20, |dir, _| async move {
        let newest = fs::list(dir.join("checkpoints")).await.expect("readable");
        let newest = &newest.last().expect("a checkpoint").name;
        alter(&dir.join("checkpoints").join(newest), 40, 1, |byte| byte[0] ^= 1).await;
        Expected { severity: Severity::Warning, file: "checkpoints/", at: Some(0), what: "CRC" }
    });
}

#[test]
fn a_damaged_index_file_is_named() {
    named(21, |dir, _| async move {
        alter(&first_file(dir.join("index")).await, 30, 1, |byte| byte[0] ^= 1).await;
        Expected { severity: Severity::Error, file: "index/", at: Some(0), what: "damaged" }
    });
    named(22, |dir, _| async move {
        // Of its messages: a start does not look there.
        alter(&first_file(dir.join("index")).await, 4096 + 30, 1, |byte| byte[0] ^= 1).await;
        Expected { severity: Severity::Error, file: "index/", at: None, what: "CRC-32C of block 1" }
    });
    named(23, |dir, _| async move {
        fs::remove_file(first_file(dir.join("index")).await).await.expect("removable");
        Expected {
            severity: Severity::Warning,
            file: "index",
            at: None,
            what: "no index file covers",
        }
    });
}

#[test]
fn foreign_files_are_named() {
    for (seed, path) in
        [(24, "notes"), (25, "log/notes"), (26, "index/notes"), (27, "checkpoints/notes")]
    {
        named(seed, move |dir, _| async move {
            let file = runtime::File::open(dir.join(path), runtime::OpenMode::CreateNew).await;
            file.expect("a new file").close().await.expect("closable");
            Expected { severity: Severity::Info, file: path, at: None, what: "no file of a store" }
        });
    }
}

#[test]
fn what_follows_damage_is_found() {
    on_sim(30, |dir| async move {
        let sent = make(&dir, 2).await;
        let size = options(&dir).segment_size;
        // A header in the first segment, a body in the second one.
        let second = sent.iter().position(|record| *record > size).expect("a second segment");
        for (record, into) in [(sent[2], 1), (sent[second + 1], 5000)] {
            let at = record - HEADER + into;
            alter(&segment(&dir, at / size), at % size, 1, |byte| byte[0] ^= 1).await;
        }
        let checked = look(&dir).await;
        let damage =
            checked.findings.iter().filter(|found| found.what.contains("the log is damaged"));
        assert_eq!(damage.count(), 2, "{:#?}", checked.findings);
        assert_eq!(checked.log.messages, 2);
        assert_eq!(checked.damaged_at().map(|at| at.0), Some(sent[2] - HEADER));
        // The damaged ones, and the one behind the damaged header: nothing tells what it must continue.
        assert_eq!(checked.behind.messages, sent.len() as u64 - 2 - 3);
        let view = View::open(&place(&dir)).await.expect("nobody has it");
        let mut entries = view.entries(PhysicalOffset(sent[4]));
        let Seen::Damage { offset, .. } = entries.next().await.expect("readable") else {
            panic!("the damage comes first");
        };
        assert_eq!(offset.0, sent[2] - HEADER);
        let Seen::Entry(row) = entries.next().await.expect("readable") else {
            panic!("the log goes on");
        };
        assert_eq!(row.offset.0, sent[5] - HEADER);
    });
}

#[test]
fn a_torn_tail_is_no_damage() {
    let simulation = Simulation::new(31);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let last = run(&simulation, &node, || async {
        let dir = PathBuf::from(STORE);
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 2, b"").expect("room");
        fill(&mut opened, 1_500_000).await.pop().expect("one")
    });
    node.crash();
    run(&simulation, &node, move || async move {
        let dir = PathBuf::from(STORE);
        alter(&segment(&dir, 0), last + 500, 1, |byte| byte[0] ^= 1).await;
        let checked = look(&dir).await;
        assert!(checked.intact() && checked.torn, "{:#?}", checked.findings);
        assert_eq!(checked.end.map(|end| end.0), Some(last - HEADER));
        assert!(starts(&dir).await);
    });
}

#[test]
fn an_unreadable_sector_costs_only_what_is_in_it() {
    let simulation = Simulation::new(32);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let sent = run(&simulation, &node, || async { make(Path::new(STORE), 1).await });
    let (third, dir) = (sent[2], PathBuf::from(STORE));
    let sector = (third + 9000) / 4096 * 4096;
    node.disk().spoil(segment(&dir, 0), sector..sector + 512);
    run(&simulation, &node, move || async move {
        let checked = look(&dir).await;
        assert_eq!(checked.damaged_at().map(|at| at.0), Some(third - HEADER));
        assert_eq!(checked.log.messages, 2);
        assert_eq!(checked.behind.messages, sent.len() as u64 - 3);
    });
}

#[test]
fn a_power_cut_is_no_damage() {
    for seed in 100..108 {
        let simulation = Simulation::new(seed);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        for life in 0..2 {
            drop(node.start("life", move || async move {
                let mut opened = open(options(Path::new(STORE))).await;
                if !opened.store.has_topic("T") {
                    opened.store.append_create_topic("T", 2, b"").expect("room");
                }
                fill(&mut opened, u64::MAX).await;
            }));
            simulation
                .run_for(Duration::from_micros(10_000 + (seed * 7919 + life * 104_729) % 40_000));
            node.power_cut();
            run(&simulation, &node, move || async move {
                let dir = Path::new(STORE);
                let place = place(dir);
                // A store that was never finished is none.
                let Ok(view) = View::open(&place).await else { return };
                let checked = view.check(&mut |_| {}).await.expect("readable");
                drop(view);
                assert!(matches!(checked.start, Start::From(_)), "seed {seed}: {}", checked.start);
                let errors =
                    checked.findings.iter().filter(|found| found.severity == Severity::Error);
                assert_eq!(errors.count(), 0, "seed {seed}: {:#?}", checked.findings);
                let opened = open(options(dir)).await;
                assert_eq!(Some(opened.recovery.end), checked.end, "seed {seed}");
                assert_eq!(opened.recovery.torn, checked.torn, "seed {seed}");
                drop(opened);
                runtime::yield_now().await;
            });
            node.crash();
        }
    }
}

#[test]
fn a_trimmed_store_is_intact_and_judged_by_its_oldest_checkpoint() {
    on_sim(33, |dir| async move {
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 2, b"").expect("room");
        let size = options(&dir).segment_size;
        let sent = fill(&mut opened, 2 * size + 1_500_000).await;
        opened.answer().await;
        while opened.store.append_trim(PhysicalOffset(size)).await.is_err() {
            opened.answer().await;
        }
        while opened.store.stats().min.0 < size {
            opened.answer().await;
        }
        opened.stop().await;
        let left = sent.iter().filter(|at| **at > size).count() as u64;
        let checked = look(&dir).await;
        assert!(checked.intact(), "{:#?}", checked.findings);
        assert_eq!((checked.log.messages, checked.topics), (left, 1));
        // Without its index all of the log is read, from its oldest checkpoint on.
        for file in fs::list(dir.join("index")).await.expect("readable") {
            fs::remove_file(dir.join("index").join(file.name)).await.expect("removable");
        }
        let checked = look(&dir).await;
        assert_eq!(checked.start, Start::From(PhysicalOffset(size)));
        // And without that one as well nothing tells what the log before it came to.
        let oldest = dir.join("checkpoints").join(format!("{size:020}"));
        alter(&oldest, 40, 1, |byte| byte[0] ^= 1).await;
        let checked = look(&dir).await;
        assert!(matches!(checked.start, Start::Refused { .. }), "{}", checked.start);
        assert!(!starts(&dir).await);
    });
}

#[test]
fn a_beginning_that_was_not_trimmed_is_missed() {
    on_sim(34, |dir| async move {
        make(&dir, 2).await;
        fs::remove_file(segment(&dir, 0)).await.expect("removable");
        let checked = look(&dir).await;
        let Start::Refused { why } = &checked.start else { panic!("{}", checked.start) };
        assert!(why.contains("no trim has given it up"), "{why}");
        assert!(!checked.intact() && !starts(&dir).await);
    });
}

/// Checkpoints of a log that was trimmed further since wait to be removed: that the segments before them are gone is no damage.
#[test]
fn what_an_earlier_trim_has_left_is_no_damage() {
    on_sim(35, |dir| async move {
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 2, b"").expect("room");
        let size = options(&dir).segment_size;
        fill(&mut opened, 4 * size + 1_500_000).await;
        for to in [size, 3 * size] {
            while opened.store.append_trim(PhysicalOffset(to)).await.is_err() {
                opened.answer().await;
            }
            while opened.store.stats().min.0 < to {
                opened.answer().await;
            }
        }
        while fs::exists(segment(&dir, 2)).await.expect("readable") {
            runtime::sleep(Duration::from_millis(10)).await;
        }
        opened.stop().await;
        let checkpoints = fs::list(dir.join("checkpoints")).await.expect("readable");
        let before = |name: &str| name.parse::<u64>().is_ok_and(|at| at < 3 * size);
        assert!(checkpoints.iter().any(|file| before(&file.name)), "{checkpoints:?}");
        let checked = look(&dir).await;
        assert!(checked.intact(), "{:#?}", checked.findings);
        assert!(starts(&dir).await);
    });
}
