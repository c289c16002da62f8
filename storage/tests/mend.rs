//! Repairs: what is derived is made anew, a cut log begins again where the damage was, and a crash at any
//! step leaves a store that still is damaged, or is cut.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod support;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::{LogIndex, PhysicalOffset, QueueId, Record, Term};
use runtime::fs;
use runtime::sim::{Node, Simulation};
use storage::inspect::{Checked, MendError, Mending, Place, Start, View};
use storage::{EntryHead, EntryKind, Event, Promise, Store, StoreId, founding_entry};
use support::{Opened, alter, everywhere, open, options, try_open};

const LEN: usize = 300_000;
const HEADER: u64 = 88;
const STORE: &str = "/store";
const QUEUE: QueueId = QueueId(0);

async fn look(dir: &Path) -> (View, Checked) {
    let place = Place { dir: dir.to_owned(), log_dir: None };
    let view = View::open(&place).await.expect("nobody has it");
    let checked = view.check(&mut |_| {}).await.expect("readable");
    (view, checked)
}

async fn repair(dir: &Path, cut: Option<u64>) -> Mending {
    let (view, checked) = look(dir).await;
    let mending = view.plan(&checked, cut.map(PhysicalOffset)).expect("it can be repaired");
    view.mend(&mending, &mut |_| {}).await.expect("the disk is well");
    mending
}

/// A store of a little more than `segments` segments, stopped in order; where its messages are.
async fn make(dir: &Path, segments: u64) -> Vec<u64> {
    let mut opened = open(options(dir)).await;
    opened.store.append_create_topic("T", 1, b"").expect("room");
    let until = segments * options(dir).segment_size + 1_500_000;
    let sent = fill(&mut opened, until).await;
    opened.answer().await;
    opened.stop().await;
    sent
}

async fn fill(opened: &mut Opened, until: u64) -> Vec<u64> {
    let mut sent: Vec<u64> = Vec::new();
    while sent.last().is_none_or(|last| *last < until) {
        opened.append("T", QUEUE, &vec![0x5A; LEN]).await;
        sent.push(opened.collect(1).await[0].physical.0);
    }
    sent
}

/// Changes a byte of the log.
async fn spoil(dir: &Path, at: u64) {
    let size = options(dir).segment_size;
    let file = dir.join("log").join(format!("{:020}", at / size * size));
    alter(&file, at % size, 1, |byte| byte[0] ^= 1).await;
}

/// The store serves exactly these messages.
async fn serves(opened: &Opened, sent: &[u64]) {
    let units = opened.units("T", QUEUE).await;
    let found: Vec<u64> = units.iter().map(|(_, unit)| unit.offset.0).collect();
    assert_eq!(found, sent);
    for (_, unit) in units {
        let bytes = opened.store.read(unit.offset, unit.size).await.expect("it is served");
        let record = Record::parse(&bytes).expect("a record");
        record.check_body().expect("an intact record");
    }
}

/// Whether a start goes well; all messages must be there then, the damaged one too.
async fn starts(dir: &Path, messages: usize) -> bool {
    let (store, mut events) = try_open(options(dir)).await.expect("the segments are a log");
    let recovered = loop {
        match events.next().await {
            Event::Recovered(_) => break true,
            Event::StateWanted(wanted) => wanted.give(support::STATE.to_vec()),
            Event::Failed(_) => break false,
            _ => {}
        }
    };
    if recovered {
        assert_eq!(store.queue("T", QUEUE).map(|range| range.max.0), Some(messages as u64));
    }
    drop((store, events));
    runtime::yield_now().await;
    recovered
}

async fn first_file(dir: PathBuf) -> PathBuf {
    let names = fs::list(&dir).await.expect("readable");
    dir.join(&names.first().expect("a file").name)
}

#[test]
fn derived_files_are_made_anew() {
    everywhere("mend-derived", |dir| async move {
        let sent = make(&dir, 3).await;
        let part = first_file(dir.join("index")).await;
        alter(&part, 4096 + 30, 1, |byte| byte[0] ^= 1).await;
        let names = fs::list(dir.join("checkpoints")).await.expect("readable");
        let of = |at: usize| dir.join("checkpoints").join(&names[at].name);
        let (old, newest) = (of(0), of(names.len() - 1));
        assert!(names.len() > 2, "{names:?}");
        for file in [&old, &newest] {
            alter(file, 40, 1, |byte| byte[0] ^= 1).await;
        }
        let mending = repair(&dir, None).await;
        assert_eq!(mending.remove, [part.clone(), old.clone()]);
        let kept: Vec<_> = mending.keep.iter().map(|keep| &keep.file).collect();
        assert_eq!(kept, [&newest], "a start must see the newest one");
        assert!(
            !fs::exists(&part).await.expect("readable")
                && fs::exists(&newest).await.expect("readable")
        );
        let mut opened = open(options(&dir)).await;
        serves(&opened, &sent).await;
        opened.answer().await;
        opened.stop().await;
        let (_view, checked) = look(&dir).await;
        assert!(checked.intact(), "{:#?}", checked.findings);
    });
}

#[test]
fn an_index_file_stays_if_it_could_not_be_made_anew() {
    everywhere("mend-stays", |dir| async move {
        let sent = make(&dir, 2).await;
        // The log is damaged where only its index file lets a start go by.
        spoil(&dir, sent[2] + 5000).await;
        let part = first_file(dir.join("index")).await;
        alter(&part, 4096 + 30, 1, |byte| byte[0] ^= 1).await;
        let mending = repair(&dir, None).await;
        assert_eq!(mending.remove, [] as [PathBuf; 0]);
        assert!(mending.keep[0].why.contains("would not start"), "{:?}", mending.keep);
        assert_eq!(mending.keep[0].file, part);
        open(options(&dir)).await.stop().await;
    });
}

#[test]
fn the_log_is_cut_where_the_damage_is() {
    everywhere("mend-cut", |dir| async move {
        let sent = make(&dir, 2).await;
        let size = options(&dir).segment_size;
        spoil(&dir, sent[3] + 5000).await;
        let (view, checked) = look(&dir).await;
        for wrong in [sent[2] - HEADER, sent[4] - HEADER, 1 << 40] {
            let refused = view.plan(&checked, Some(PhysicalOffset(wrong))).expect_err("not there");
            assert!(matches!(refused, MendError::NotThere { .. }), "{refused}");
        }
        drop(view);
        let mending = repair(&dir, Some(sent[3] - HEADER)).await;
        let cut = mending.cut.as_ref().expect("a cut");
        assert_eq!(cut.lost.messages, sent.len() as u64 - 4);
        assert_eq!(cut.away.len(), 2);
        assert!(!cut.beyond.is_empty());
        let log = fs::list(dir.join("log")).await.expect("readable");
        assert_eq!(log.iter().filter(|entry| entry.name.contains(".cut-")).count(), 2);
        let mut opened = open(options(&dir)).await;
        serves(&opened, &sent[..3]).await;
        // The log goes on, over segments that had been there before.
        let more = fill(&mut opened, size + 1_000_000).await;
        opened.answer().await;
        opened.stop().await;
        let opened = open(options(&dir)).await;
        serves(&opened, &[&sent[..3], &more].concat()).await;
        opened.stop().await;
        let (_view, checked) = look(&dir).await;
        assert!(checked.intact(), "{:#?}", checked.findings);
    });
}

#[test]
fn a_bad_header_is_cut_before_its_segment() {
    everywhere("mend-header", |dir| async move {
        let sent = make(&dir, 2).await;
        let size = options(&dir).segment_size;
        spoil(&dir, size + 40).await;
        let (_, checked) = look(&dir).await;
        assert!(matches!(checked.start, Start::Refused { .. }));
        let at = checked.damaged_at().expect("it is damaged").0;
        assert!(at < size, "{at}");
        let mending = repair(&dir, Some(at)).await;
        let second = sent.iter().filter(|at| **at > size).count() as u64;
        assert_eq!(mending.cut.expect("a cut").lost.messages, second);
        let opened = open(options(&dir)).await;
        let left: Vec<u64> = sent.into_iter().filter(|at| *at < size).collect();
        serves(&opened, &left).await;
        opened.stop().await;
    });
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

/// Cuts the log at the damage of message `damaged`, and cuts the power after `steps` steps of that. True if
/// the repair was over by then.
fn cut_with_a_power_cut(seed: u64, segments: u64, damaged: usize, steps: u64) -> bool {
    let simulation = Simulation::new(seed * 10_000 + steps);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let sent = run(&simulation, &node, move || async move {
        let dir = Path::new(STORE);
        let sent = make(dir, segments).await;
        spoil(dir, sent[damaged] + 5000).await;
        sent
    });
    let at = sent[damaged] - HEADER;
    let began = Arc::new(AtomicBool::new(false));
    let begins = Arc::clone(&began);
    let executor = node.start("mend", move || async move {
        let (view, checked) = look(Path::new(STORE)).await;
        let mending = view.plan(&checked, Some(PhysicalOffset(at))).expect("it can be cut");
        begins.store(true, Ordering::Relaxed);
        view.mend(&mending, &mut |_| {}).await.expect("the disk is well");
    });
    let limit = Duration::from_secs(600);
    assert!(simulation.run_until(limit, || began.load(Ordering::Relaxed)));
    let mut left = steps;
    simulation.run_until(limit, || {
        left = left.saturating_sub(1);
        left == 0 || executor.is_finished()
    });
    let over = executor.is_finished();
    node.power_cut();
    run(&simulation, &node, move || async move {
        let dir = Path::new(STORE);
        let (view, checked) = look(dir).await;
        match checked.damaged_at() {
            // It still is damaged, a start sees that or goes by it, and it can be cut as before.
            Some(still) => {
                assert!(!over, "the repair did not last");
                assert_eq!(still.0, at, "{:#?}", checked.findings);
                drop(view);
                let foretold = matches!(checked.start, Start::From(from) if from.0 > at);
                assert_eq!(starts(dir, sent.len()).await, foretold, "{}", checked.start);
                repair(dir, Some(at)).await;
            }
            None => {
                drop(view);
                assert_eq!(checked.end.map(|end| end.0), Some(at));
            }
        }
        let opened = open(options(dir)).await;
        assert_eq!(opened.recovery.end.0, at);
        serves(&opened, &sent[..damaged]).await;
        opened.stop().await;
    });
    over
}

#[test]
fn a_power_cut_at_any_step_leaves_the_damage_or_the_cut() {
    // Damage before a checkpoint, with segments behind it; and in the last segment, behind the checkpoint.
    for (seed, segments, damaged) in [(1, 1, 3), (2, 0, 2)] {
        let mut steps = 1;
        while !cut_with_a_power_cut(seed, segments, damaged, steps) {
            steps += 1;
            assert!(steps < 2000, "the repair has an end");
        }
        assert!(steps > 5, "the power was cut within the repair: {steps}");
    }
}

/// The newest segment is gone with its messages: nobody can count those, but how far the log went is known.
#[test]
fn a_cut_tells_how_far_the_log_went_of_which_a_segment_is_gone() {
    everywhere("mend-gone", |dir| async move {
        make(&dir, 2).await;
        let size = options(&dir).segment_size;
        let newest = dir.join("log").join(format!("{:020}", 2 * size));
        fs::remove_file(&newest).await.expect("removable");
        for checkpoint in fs::list(dir.join("checkpoints")).await.expect("readable") {
            if checkpoint.name.parse::<u64>().is_ok_and(|at| at > 2 * size) {
                fs::remove_file(dir.join("checkpoints").join(checkpoint.name))
                    .await
                    .expect("removable");
            }
        }
        let (view, checked) = look(&dir).await;
        let at = checked.damaged_at().expect("the log went further");
        let cut = view.plan(&checked, Some(at)).expect("it can be cut").cut.expect("a cut");
        let (from, to) = cut.missing.expect("a segment is missing");
        assert_eq!(from.0, 2 * size);
        assert!(to.0 > from.0 + 1_000_000, "{to}");
    });
}

/// The store of one of a group, with what says so in its log, in its vote, or in both; where its third entry begins.
async fn make_member(dir: &Path, in_log: bool, voted_for: Option<StoreId>) -> u64 {
    let (store, mut events, opening) = Store::open_member(options(dir)).await.expect("it opens");
    let owner =
        runtime::spawn(async move { while !matches!(events.next().await, Event::Stopped) {} });
    let (mut log, applier) = opening.ready().await.expect("the log is read");
    let voted_for = voted_for.unwrap_or(log.id());
    let promise = Promise { term: Term(1), voted_for, elected: true };
    log.save_promise(promise).await.expect("durable");
    // A group's membership, of which the store knows the first bytes only.
    let group = match in_log {
        true => vec![2, 0, 0, 0, 0, 0, 0, 0],
        false => founding_entry(log.id()),
    };
    let mut third = 0;
    for index in 0..4 {
        let (kind, payload) = match index {
            0 => (EntryKind::Membership, &group),
            _ => (EntryKind::Command, &vec![7; 10_000]),
        };
        if index == 2 {
            third = log.state().end.0;
        }
        let timestamp = log.state().last_timestamp;
        let (index, term) = (LogIndex(index), Term(1));
        let head = EntryHead { index, term, kind, timestamp, records: 0, chain: None };
        log.append(&[(head, payload)]).await.expect("appended");
    }
    log.close().await.expect("closed");
    drop(applier);
    store.stop().await;
    owner.await;
    third
}

#[test]
fn the_log_of_one_of_a_group_is_not_cut() {
    everywhere("mend-member", |dir| async move {
        let other = Some(StoreId(5));
        let all = [(true, None, true), (false, other, true), (false, None, false)];
        for (number, (in_log, voted_for, is_member)) in all.into_iter().enumerate() {
            let dir = dir.join(number.to_string());
            let at = make_member(&dir, in_log, voted_for).await;
            spoil(&dir, at + 200).await;
            let (view, checked) = look(&dir).await;
            assert_eq!(checked.damaged_at(), Some(PhysicalOffset(at)));
            assert_eq!(checked.of_group, is_member, "{number}");
            let planned = view.plan(&checked, Some(PhysicalOffset(at)));
            let remedies: Vec<_> = checked.findings.iter().map(|found| &found.remedy).collect();
            let advised = format!("{remedies:?}");
            if is_member {
                let refused = planned.expect_err("it has acknowledged what is behind").to_string();
                assert!(refused.contains("mqadmin replaceMember"), "{refused}");
                assert!(
                    advised.contains("replaceMember") && !advised.contains("--cut"),
                    "{advised}"
                );
            } else {
                assert!(planned.expect("nobody counts on it").cut.is_some());
                assert!(advised.contains("--cut"), "{advised}");
            }
        }
    });
}

#[test]
fn a_start_of_one_of_a_group_advises_no_cut_of_its_log() {
    everywhere("mend-advice", |dir| async move {
        for (number, voted_for) in [Some(StoreId(5)), None].into_iter().enumerate() {
            let dir = dir.join(number.to_string());
            let at = make_member(&dir, false, voted_for).await;
            spoil(&dir, at + 200).await;
            let (_store, mut events, _opening) =
                Store::open_member(options(&dir)).await.expect("it opens");
            let failed = loop {
                match events.next().await {
                    Event::StateWanted(wanted) => wanted.give(support::STATE.to_vec()),
                    Event::Failed(error) => break error.to_string(),
                    Event::Recovered(_) => panic!("it goes on without what it acknowledged"),
                    _ => {}
                }
            };
            assert_eq!(failed.contains("replaceMember"), voted_for.is_some(), "{failed}");
            assert_eq!(failed.contains("repair --cut"), voted_for.is_none(), "{failed}");
        }
    });
}
