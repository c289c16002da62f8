//! The stores of a group side by side: what is the same is said to be, and the first thing that is not is named.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod support;

use std::ops::Range;
use std::path::{Path, PathBuf};

use model::{LogIndex, Term, UnixMillis};
use runtime::fs;
use storage::inspect::{CompareError, Compared, Place, Verdict, View, compare as compare_views};
use storage::{EntryHead, EntryKind, EntryLog, Options, StoreId, founding_entry};
use support::{alter, everywhere, options};

/// Bytes of an entry before its payload.
const HEADER: u64 = 88;
const NAMES: [&str; 3] = ["a", "b", "c"];

/// Whose entries a store has.
#[derive(Clone, Copy)]
struct Recipe {
    entries: u64,
    /// When an entry is written, this many before it are not known as committed.
    lag: u64,
    /// From this index on the entries are others.
    other_from: u64,
    /// And of this term.
    other_term: u64,
    len: usize,
}

const PLAIN: Recipe = Recipe { entries: 40, lag: 1, other_from: u64::MAX, other_term: 1, len: 100 };
/// Of more than two segments.
const LONG: Recipe = Recipe { entries: 30, lag: 1, len: 500_000, ..PLAIN };

/// A store, and where its entries begin.
struct Made {
    id: StoreId,
    offsets: Vec<u64>,
}

async fn make(dir: &Path, founder: Option<StoreId>, recipe: Recipe) -> Made {
    make_with(&options(dir), founder, recipe).await
}

/// A store that is founded by `founder`, or by itself; closed in order, and opened once more in the middle.
async fn make_with(options: &Options, founder: Option<StoreId>, recipe: Recipe) -> Made {
    let mut log = EntryLog::open(options).await.expect("it opens");
    let id = log.id();
    let founder = founder.unwrap_or(id);
    log.begin_as(founder).await.expect("nothing is in it");
    let founding = founding_entry(founder);
    let mut offsets = Vec::new();
    for at in 0..recipe.entries {
        let is_other = at >= recipe.other_from;
        let mut payload = vec![at as u8; recipe.len];
        payload[3] ^= u8::from(is_other);
        let (kind, payload) = match at {
            0 => (EntryKind::Membership, &founding),
            _ => (EntryKind::Command, &payload),
        };
        let term = Term(if is_other { recipe.other_term } else { 1 });
        let (index, timestamp, records, chain) = (LogIndex(at), UnixMillis(7), 0, None);
        let head = EntryHead { index, term, kind, timestamp, records, chain };
        log.commit(LogIndex(at.saturating_sub(recipe.lag)));
        offsets.push(log.place(payload.len()).0);
        log.append(&[(head, payload)]).await.expect("appended");
        if at == recipe.entries / 2 {
            log.close().await.expect("closed");
            log = EntryLog::open(options).await.expect("it opens again");
        }
    }
    log.close().await.expect("closed");
    Made { id, offsets }
}

/// A founder and those that follow it, as the recipes say.
async fn group(dir: &Path, recipes: &[Recipe]) -> Vec<PathBuf> {
    let dirs: Vec<PathBuf> = NAMES.iter().take(recipes.len()).map(|name| dir.join(name)).collect();
    let mut founder = None;
    for (dir, recipe) in dirs.iter().zip(recipes) {
        let made = make(dir, founder, *recipe).await;
        founder.get_or_insert(made.id);
    }
    dirs
}

async fn compare(dirs: &[PathBuf]) -> Result<Compared, CompareError> {
    let mut views = Vec::new();
    for dir in dirs {
        let place = Place { dir: dir.clone(), log_dir: None };
        views.push(View::open(&place).await.expect("nobody has it"));
    }
    let mut told = 0;
    let compared = compare_views(&views, &mut |progress| {
        assert!(progress.done > told && progress.done <= progress.total, "{progress:?}");
        told = progress.done;
    })
    .await;
    drop(views);
    compared
}

fn indexes(range: Range<u64>) -> Range<LogIndex> {
    LogIndex(range.start)..LogIndex(range.end)
}

fn first_segment(dir: &Path) -> PathBuf {
    dir.join("log").join(format!("{:020}", 0))
}

#[test]
fn replicas_that_know_different_parts_as_committed_are_identical() {
    everywhere("compare-same", |dir| async move {
        let short = Recipe { entries: 33, ..PLAIN };
        let dirs = group(&dir, &[PLAIN, Recipe { lag: 9, ..PLAIN }, short]).await;
        let compared = compare(&dirs).await.expect("comparable");
        assert!(compared.identical(), "{compared:#?}");
        let committed: Vec<u64> = compared.stores.iter().map(|store| store.committed.0).collect();
        assert_eq!(committed, [38, 30, 31]);
        assert_eq!(compared.common(), indexes(0..30));
        let entries: Vec<u64> = compared.pairs.iter().map(|pair| pair.entries).collect();
        assert_eq!(entries, [40, 33, 33], "what is not committed is compared too");
        for (store, dir) in compared.stores.iter().zip(&dirs) {
            assert_eq!(&store.dir, dir);
            let (index, voters) = store.membership.clone().expect("it is in the log");
            assert_eq!((index, voters), (LogIndex(0), vec![compared.stores[0].id.0]));
        }
    });
}

#[test]
fn logs_of_several_segments_are_compared_to_their_ends() {
    everywhere("compare-long", |dir| async move {
        let dirs = group(&dir, &[LONG, LONG]).await;
        let compared = compare(&dirs).await.expect("comparable");
        assert!(compared.identical(), "{compared:#?}");
        assert_eq!(compared.pairs[0].entries, LONG.entries);
        assert!(compared.pairs[0].bytes > 29 * 500_000);
    });
}

#[test]
fn the_first_committed_entry_that_differs_is_named() {
    everywhere("compare-differ", |dir| async move {
        let other = Recipe { other_from: 17, ..PLAIN };
        let dirs = group(&dir, &[PLAIN, other, PLAIN]).await;
        let compared = compare(&dirs).await.expect("comparable");
        assert!(!compared.identical());
        let verdicts: Vec<Verdict> =
            compared.pairs.iter().map(|pair| compared.verdict(pair)).collect();
        assert_eq!(verdicts, [Verdict::Differ, Verdict::Same, Verdict::Differ]);
        let difference = compared.pairs[0].difference.as_ref().expect("there is one");
        assert_eq!(difference.index, LogIndex(17));
        assert!(
            difference.what.starts_with("byte 3 of the payload's 100; chain "),
            "{difference:?}"
        );
        for (side, dir) in [(&difference.one, &dirs[0]), (&difference.other, &dirs[1])] {
            assert_eq!(side.file, first_segment(dir));
            assert_eq!((side.term, side.at), (Term(1), side.offset.0 + HEADER + 3));
        }
        assert_eq!(compared.pairs[0].entries, 17, "nothing behind it is compared");
    });
}

#[test]
fn tails_that_not_both_know_as_committed_may_differ() {
    everywhere("compare-tails", |dir| async move {
        // The one has a tail of an older term, and knows nothing of what the group has committed since.
        let deposed = Recipe { entries: 24, lag: 6, other_from: 20, ..PLAIN };
        let current = Recipe { other_from: 20, other_term: 2, ..PLAIN };
        let dirs = group(&dir, &[current, deposed]).await;
        let compared = compare(&dirs).await.expect("comparable");
        assert!(compared.identical(), "{compared:#?}");
        assert_eq!(compared.verdict(&compared.pairs[0]), Verdict::TailsDiffer);
        assert_eq!(compared.common(), indexes(0..17));
        let difference = compared.pairs[0].difference.as_ref().expect("there is one");
        assert_eq!(difference.index, LogIndex(20));
        assert!(difference.what.starts_with("term 2 and 1; "), "{difference:?}");
        // It would be another matter if it knew that.
        let dirs = group(&dir.join("again"), &[current, Recipe { lag: 1, ..deposed }]).await;
        let compared = compare(&dirs).await.expect("comparable");
        assert_eq!(compared.verdict(&compared.pairs[0]), Verdict::Differ);
        assert!(!compared.identical());
    });
}

#[test]
fn damage_is_named_beside_what_another_replica_has_there() {
    everywhere("compare-damage", |dir| async move {
        let founder = make(&dir.join("a"), None, PLAIN).await;
        make(&dir.join("b"), Some(founder.id), PLAIN).await;
        let dirs = [dir.join("a"), dir.join("b")];
        let at = founder.offsets[12];
        alter(&first_segment(&dirs[1]), at + HEADER + 70, 1, |byte| byte[0] ^= 0x40).await;
        let compared = compare(&dirs).await.expect("comparable");
        assert!(!compared.identical());
        assert!(compared.stores[0].damage.is_none());
        let damage = compared.stores[1].damage.as_ref().expect("it is damaged");
        assert_eq!((damage.offset.0, damage.index), (at, Some(LogIndex(12))));
        assert_eq!(damage.file, first_segment(&dirs[1]));
        let beside = Some((0, "byte 70 of the payload's 100 (here and there)".to_owned()));
        assert_eq!(damage.beside, beside);
        assert_eq!(compared.pairs[0].entries, PLAIN.entries - 1, "it goes on behind the damage");
        assert!(compared.pairs[0].difference.is_none());
        // Of the local part nobody but the store itself has the bytes.
        alter(&first_segment(&dirs[1]), at + HEADER + 70, 1, |byte| byte[0] ^= 0x40).await;
        alter(&first_segment(&dirs[1]), at + 64, 1, |byte| byte[0] ^= 0x40).await;
        let compared = compare(&dirs).await.expect("comparable");
        let damage = compared.stores[1].damage.clone().expect("it is damaged");
        let (_, what) = damage.beside.expect("the other one has it");
        assert_eq!(what, "its replicated bytes are the same there");
        assert!(!compared.identical());
    });
}

#[test]
fn a_log_that_was_trimmed_is_compared_from_where_it_begins() {
    everywhere("compare-trimmed", |dir| async move {
        let dirs = group(&dir, &[LONG, LONG]).await;
        // As a trim leaves it.
        fs::remove_file(first_segment(&dirs[1])).await.expect("it is there");
        let compared = compare(&dirs).await.expect("comparable");
        assert!(compared.identical(), "{compared:#?}");
        let first = compared.stores[1].first.expect("there is more").index.0;
        assert!(first > 0 && compared.stores[0].first.expect("whole").index.0 == 0);
        assert_eq!(compared.common(), indexes(first..LONG.entries - 2));
        assert_eq!(compared.pairs[0].entries, LONG.entries - first);
    });
}

#[test]
fn stores_without_an_entry_in_common_are_not_said_to_be_identical() {
    everywhere("compare-nothing", |dir| async move {
        let dirs = group(&dir, &[Recipe { entries: 3, ..LONG }, LONG]).await;
        fs::remove_file(first_segment(&dirs[1])).await.expect("it is there");
        let compared = compare(&dirs).await.expect("comparable");
        assert_eq!(compared.verdict(&compared.pairs[0]), Verdict::Nothing);
        assert!(!compared.identical() && compared.common().is_empty());
        let empty = Recipe { entries: 0, ..PLAIN };
        let dirs = group(&dir.join("empty"), &[PLAIN, empty]).await;
        let compared = compare(&dirs).await.expect("comparable");
        assert!(!compared.identical() && compared.stores[1].first.is_none());
    });
}

#[test]
fn stores_of_two_groups_are_refused() {
    everywhere("compare-foreign", |dir| async move {
        let (one, other) = (dir.join("a"), dir.join("b"));
        for dir in [&one, &other] {
            make(dir, None, LONG).await;
        }
        let dirs = [one.clone(), other.clone()];
        let error = compare(&dirs).await.expect_err("another group");
        assert!(matches!(error, CompareError::OtherGroup { .. }), "{error}");
        for part in ["not of one group", "founds a group", "/a", "/b"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        // Without the entries that found the groups.
        for dir in &dirs {
            fs::remove_file(first_segment(dir)).await.expect("it is there");
        }
        let error = compare(&dirs).await.expect_err("another group");
        assert!(error.to_string().contains("neither is a voter"), "{error}");
        let larger = Options { segment_size: options(&one).segment_size * 2, ..options(&one) };
        let larger = Options { dir: dir.join("c"), log_dir: dir.join("c/log"), ..larger };
        make_with(&larger, None, PLAIN).await;
        let error = compare(&[one.clone(), dir.join("c")]).await.expect_err("made otherwise");
        assert!(error.to_string().contains("mappedFileSizeCommitLog"), "{error}");
        let error = compare(&[one]).await.expect_err("too few");
        assert!(matches!(error, CompareError::Count(1)), "{error}");
    });
}
