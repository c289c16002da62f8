//! The stores of a group side by side: whether what all of them know as committed is the same, byte for byte.
//!
//! Each log is read once, from its beginning to its end, with the rules of a start. The entries of one index are
//! compared as soon as each store has come to it, so that a window of each log and the largest entry are all that is in
//! memory. What a store knows as committed is known only at the end of its log; so every entry is compared that two
//! stores have, and a difference is judged when all has been read.

mod cursor;
mod difference;
mod pair;

use futures::future::join_all;
use model::{LogIndex, PhysicalOffset, Term};
use runtime::IoError;
use thiserror::Error;

use std::ops::Range;
use std::path::PathBuf;

pub use self::pair::{Difference, PairSeen, Side, Verdict};

use self::cursor::Cursor;
use super::check::Progress;
use super::view::View;
use crate::identity::StoreId;

/// Stores that are compared at a time, at most: their locks, windows and entries are held together.
pub const MOST_STORES: usize = 9;
/// Bytes of log between two words of progress.
const WORD: u64 = 8 * 1024 * 1024;

/// Why stores cannot be compared. Nothing was changed.
#[derive(Debug, Error)]
pub enum CompareError {
    /// One store is nothing to compare, and too many are too much.
    #[error("{0} stores: 2 to {MOST_STORES} can be compared")]
    Count(usize),
    /// A store and itself, or a copy of it.
    #[error(
        "{} and {} are one store, or one is a copy of the other: both have the id {id}. Name the stores of other members of the group",
        .one.display(), .other.display()
    )]
    Copy {
        /// A directory.
        one: PathBuf,
        /// The other one.
        other: PathBuf,
        /// Their id.
        id: StoreId,
    },
    /// They were made differently, as no two members of a group are.
    #[error(
        "{} and {} are not of one group: {what} is {ours} and {theirs}. Name the stores of one group",
        .one.display(), .other.display()
    )]
    Made {
        /// A directory.
        one: PathBuf,
        /// The other one.
        other: PathBuf,
        /// What is not the same.
        what: &'static str,
        /// What it is there.
        ours: u64,
        /// What it is in the other one.
        theirs: u64,
    },
    /// Their logs have nothing to do with each other.
    #[error(
        "{} and {} are not of one group: entry {index} is not the same, and {why}. Name the stores of one group",
        .one.display(), .other.display()
    )]
    OtherGroup {
        /// A directory.
        one: PathBuf,
        /// The other one.
        other: PathBuf,
        /// The first entry that both have.
        index: LogIndex,
        /// Why that is no difference between replicas.
        why: &'static str,
    },
    /// The disk.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// An entry's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryPlace {
    /// Its index.
    pub index: LogIndex,
    /// Its term.
    pub term: Term,
    /// Where its header begins.
    pub offset: PhysicalOffset,
}

/// Where a log is damaged first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDamage {
    /// The file.
    pub file: PathBuf,
    /// Where the damage begins.
    pub offset: PhysicalOffset,
    /// Index of the entry that should be there, if it is one.
    pub index: Option<LogIndex>,
    /// What is wrong.
    pub why: String,
    /// In what its bytes differ from those of a store that has the entry, and the number of that store.
    pub beside: Option<(usize, String)>,
}

/// What was seen of one store.
#[derive(Clone, Debug)]
pub struct StoreSeen {
    /// Its directory.
    pub dir: PathBuf,
    /// Its id, which is the member's in its group.
    pub id: StoreId,
    /// Its oldest entry; `None` if it has none. One above 0 means that the log was trimmed.
    pub first: Option<EntryPlace>,
    /// Its newest entry.
    pub last: Option<EntryPlace>,
    /// Where the log ends.
    pub end: Option<PhysicalOffset>,
    /// Entries before this index are known as committed here. The group may have committed more.
    pub committed: LogIndex,
    /// A write that was not finished follows the log.
    pub torn: bool,
    /// Index of the newest entry that says who belongs to the group, and the voters' store ids.
    pub membership: Option<(LogIndex, Vec<u128>)>,
    /// The first damage.
    pub damage: Option<LogDamage>,
    /// Bytes of its intact entries.
    pub bytes: u64,
}

/// What a comparison has shown.
#[derive(Clone, Debug)]
pub struct Compared {
    /// In the order in which they were given.
    pub stores: Vec<StoreSeen>,
    /// Each two of them.
    pub pairs: Vec<PairSeen>,
}

impl Compared {
    /// The common committed prefix: from the first entry that all stores have up to, and without, the first one that not all of
    /// them know as committed.
    #[must_use]
    pub fn common(&self) -> Range<LogIndex> {
        let first = self.stores.iter().map(|store| store.first.map(|first| first.index));
        let first = first.max_by_key(|first| first.map_or(u64::MAX, |first| first.0)).flatten();
        let end = self.stores.iter().map(|store| store.committed).min();
        let end = end.expect("there are stores");
        let first = first.unwrap_or(end);
        first..end.max(first)
    }

    /// What came of two stores.
    #[must_use]
    pub fn verdict(&self, pair: &PairSeen) -> Verdict {
        pair.judge(&self.stores[pair.one], &self.stores[pair.other])
    }

    /// Whether the committed prefix is there, whole, and the same in all stores.
    #[must_use]
    pub fn identical(&self) -> bool {
        let common = self.common();
        let entries = common.end.0 - common.start.0;
        let is_the_same = |pair: &PairSeen| {
            let whole = pair.entries >= entries;
            whole && matches!(self.verdict(pair), Verdict::Same | Verdict::TailsDiffer)
        };
        let is_intact = self.stores.iter().all(|store| store.damage.is_none());
        entries > 0 && is_intact && self.pairs.iter().all(is_the_same)
    }
}

/// Reads the logs of `views` side by side. Changes nothing. The memory that it takes depends on the largest entry and the largest
/// checkpoint, and not on the size of the stores; each log is read a window at a time, and those of all stores at once.
///
/// # Errors
/// [`CompareError`]. Damage is no error: it is in what was seen.
pub async fn compare(
    views: &[View],
    progress: &mut dyn FnMut(Progress),
) -> Result<Compared, CompareError> {
    if !(2..=MOST_STORES).contains(&views.len()) {
        return Err(CompareError::Count(views.len()));
    }
    let numbers = 0..views.len();
    let mut pairs: Vec<PairSeen> = numbers
        .clone()
        .flat_map(|one| (one + 1..views.len()).map(move |other| PairSeen::new(one, other)))
        .collect();
    for pair in &pairs {
        could_be_of_one_group(&views[pair.one], &views[pair.other])?;
    }
    let mut cursors = Vec::new();
    for view in views {
        cursors.push(Cursor::new(view).await?);
    }
    let total = views.iter().map(View::log_bytes).sum();
    let mut told = 0;
    loop {
        let filled = join_all(cursors.iter_mut().map(Cursor::fill)).await;
        filled.into_iter().collect::<Result<(), _>>()?;
        let Some(index) = cursors.iter().filter_map(Cursor::index).min() else { break };
        for pair in &mut pairs {
            pair.look(index, &cursors[pair.one], &cursors[pair.other])?;
        }
        for number in numbers.clone() {
            explain(&mut cursors, number, index).await;
        }
        let done = cursors.iter().map(|cursor| cursor.seen.bytes).sum();
        if done - told >= WORD {
            told = done;
            progress(Progress { what: "logs", done, total });
        }
        cursors.iter_mut().for_each(|cursor| cursor.pass(index));
    }
    let stores: Vec<StoreSeen> = cursors.into_iter().map(|cursor| cursor.seen).collect();
    for pair in &pairs {
        pair.refuse_other_groups(&stores[pair.one], &stores[pair.other])?;
    }
    Ok(Compared { stores, pairs })
}

/// What is known before a log is read.
fn could_be_of_one_group(one: &View, other: &View) -> Result<(), CompareError> {
    let dirs = || (one.dir.clone(), other.dir.clone());
    if one.id == other.id {
        let (id, (one, other)) = (one.id, dirs());
        return Err(CompareError::Copy { one, other, id });
    }
    let made = |view: &View| view.identity.as_ref().ok().copied();
    let mut fixed = vec![("mappedFileSizeCommitLog", one.segment_size, other.segment_size)];
    if let (Some(ours), Some(theirs)) = (made(one), made(other)) {
        fixed.push(("shards", ours.shards.into(), theirs.shards.into()));
        fixed.push(("the shard's number", ours.shard.into(), theirs.shard.into()));
    }
    match fixed.into_iter().find(|(_, ours, theirs)| ours != theirs) {
        None => Ok(()),
        Some((what, ours, theirs)) => {
            let (one, other) = dirs();
            Err(CompareError::Made { one, other, what, ours, theirs })
        }
    }
}

/// The store `number` is damaged where the entry `index` should be: says in what its bytes differ from another store's.
async fn explain(cursors: &mut [Cursor<'_>], number: usize, index: LogIndex) {
    let Some(damaged) = cursors[number].damaged_at(index) else { return };
    let Some(other) = cursors.iter().position(|cursor| cursor.index() == Some(index)) else {
        return;
    };
    let entry = cursors[other].head.as_ref().expect("it has this index");
    let Some(bytes) = cursors[number].bytes_at(damaged, entry.bytes.len()).await else { return };
    let what = difference::between(&bytes, &entry.bytes).map_or_else(
        || "its replicated bytes are the same there".to_owned(),
        |differing| format!("{differing} (here and there)"),
    );
    let damage = cursors[number].seen.damage.as_mut().expect("it is damaged");
    damage.beside = Some((other, what));
}
