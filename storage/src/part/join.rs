//! The queues of several parts of a segment, one after the other.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use model::QueueOffset;

use super::QueueKey;
use super::error::{BadPart, PartError};
use super::file::{PartFile, RunAt};
use super::pace::Pace;
use super::scan::Directory;

/// Work of taking the next queue from many parts, for [`Pace`].
const TAKE_WORK: u32 = 15;

/// A queue of all parts together.
#[derive(Debug)]
pub(super) struct Joined {
    pub key: QueueKey,
    /// Offset of its first message, or of its next one if there is none.
    pub first: QueueOffset,
    /// Messages of all its runs.
    pub count: u32,
    /// Its runs, oldest first, each with the number of its part.
    pub runs: Vec<(usize, RunAt)>,
}

/// Gives the queues of all parts in order, or those that `complete` names.
pub(super) struct Join<'a, I> {
    parts: &'a [PartFile],
    directories: Vec<Directory<'a>>,
    /// The next queue of each part that has one.
    heads: BinaryHeap<Reverse<(QueueKey, usize)>>,
    /// The run of each of them.
    runs: Vec<Option<RunAt>>,
    complete: Option<I>,
    last: Option<QueueKey>,
    pace: Pace,
}

impl<'a, I: Iterator<Item = (QueueKey, QueueOffset)>> Join<'a, I> {
    pub(super) async fn of(parts: &'a [PartFile], complete: Option<I>) -> Result<Self, PartError> {
        let mut join = Self {
            parts,
            directories: parts.iter().map(PartFile::directory).collect(),
            heads: BinaryHeap::with_capacity(parts.len()),
            runs: vec![None; parts.len()],
            complete,
            last: None,
            pace: Pace::default(),
        };
        for part in 0..parts.len() {
            join.advance(part).await?;
        }
        Ok(join)
    }

    async fn advance(&mut self, part: usize) -> Result<(), PartError> {
        assert!(self.runs[part].is_none(), "a run is taken before the next one comes");
        if let Some((key, run)) = self.directories[part].next().await? {
            self.heads.push(Reverse((key, part)));
            self.runs[part] = Some(run);
        }
        self.pace.spend(TAKE_WORK).await;
        Ok(())
    }

    fn next_key(&self) -> Option<QueueKey> {
        self.heads.peek().map(|Reverse((key, _))| *key)
    }

    /// Takes the runs of `key`, the next queue, from all parts that have one.
    async fn take(&mut self, key: QueueKey) -> Result<Joined, PartError> {
        let mut runs: Vec<(usize, RunAt)> = Vec::new();
        let (mut first, mut count) = (QueueOffset(0), 0_u32);
        while self.next_key() == Some(key) {
            let Reverse((_, part)) = self.heads.pop().expect("it was just seen");
            let run = self.runs[part].take().expect("every head has its run");
            let damaged = |why| self.parts[part].damaged(why);
            match runs.last() {
                None => first = run.first,
                // Within one part, a queue comes once.
                Some((last, _)) if *last >= part => return Err(damaged(BadPart::Order("queues"))),
                Some((_, before)) if before.end() != run.first => {
                    let (found, expected) = (run.first.0, before.end().0);
                    return Err(damaged(BadPart::Gap { key, found, expected }));
                }
                Some(_) => {}
            }
            let sum = count.checked_add(run.count);
            count = sum.ok_or_else(|| damaged(BadPart::Run(key)))?;
            runs.push((part, run));
            self.advance(part).await?;
        }
        if let Some((part, _)) = runs.first()
            && self.last.replace(key).is_some_and(|last| last >= key)
        {
            return Err(self.parts[*part].damaged(BadPart::Order("queues")));
        }
        Ok(Joined { key, first, count, runs })
    }

    /// The next queue; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Joined>, PartError> {
        let Some(complete) = &mut self.complete else {
            return match self.next_key() {
                Some(key) => self.take(key).await.map(Some),
                None => Ok(None),
            };
        };
        let Some((key, end)) = complete.next() else {
            return Ok(None);
        };
        // The topics of the queues before it were deleted.
        while let Some(gone) = self.next_key().filter(|next| *next < key) {
            self.take(gone).await?;
        }
        let mut joined = self.take(key).await?;
        match joined.runs.last() {
            None => joined.first = end,
            Some((_, run)) if run.end() == end => {}
            Some((part, run)) => {
                let (found, expected) = (end.0, run.end().0);
                return Err(self.parts[*part].damaged(BadPart::Gap { key, found, expected }));
            }
        }
        Ok(Some(joined))
    }
}
