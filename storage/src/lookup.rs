//! Looking up messages in the older parts of the index, which are on the disk.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::rc::Rc;

use model::{PhysicalOffset, QueueId, QueueOffset};

use crate::error::ReadError;
use crate::index::{Reach, Unit};
use crate::part::{PartError, PartFile, QueueKey, RunAt};
use crate::store::{Inner, Store};

/// Queues whose newest place in the index is remembered.
const REMEMBERED: usize = 4096;
/// Messages whose places are read at a time for a reader that comes along: four blocks of the index. Read for each pull,
/// they would be a read of the device for every few messages, each in front of a flush.
const ALONG: usize = 1024;
/// Queues of which places are kept, at most [`ALONG`] × 24 bytes each.
const READERS: usize = 256;
/// Parts that are looked into one after the other for the continuation of a queue before it is searched
/// for in all.
const NEIGHBOURS: usize = 4;
/// Times that a queue is searched for in an index that changes meanwhile.
const ATTEMPTS: usize = 16;

/// Where queues were read last: a reader that goes on finds its place without a search.
#[derive(Debug, Default)]
pub(crate) struct Places {
    last: RefCell<HashMap<QueueKey, (PhysicalOffset, RunAt)>>,
    along: RefCell<HashMap<QueueKey, Along>>,
}

/// Places of messages of a queue, one after the other from `first` on. They never change: a part is made of what cannot be
/// cut any more.
#[derive(Debug)]
struct Along {
    first: QueueOffset,
    units: Vec<Unit>,
}

impl Places {
    /// At most `max` places from `at` on, if they were read before; `None`: the disk is to be asked.
    fn known(&self, key: &QueueKey, at: QueueOffset, max: usize) -> Option<Vec<Unit>> {
        let along = self.along.borrow();
        let Along { first, units } = along.get(key)?;
        let skip = usize::try_from(at.0.checked_sub(first.0)?).ok()?;
        let known = units.get(skip..)?;
        Some(known[..known.len().min(max)].to_vec()).filter(|known| !known.is_empty())
    }

    /// Whether somebody who asks for `at` goes on from what was read last.
    fn comes_along(&self, key: &QueueKey, at: QueueOffset) -> bool {
        let along = self.along.borrow();
        along.get(key).is_some_and(|Along { first, units }| {
            *first <= at && at <= first.plus(units.len() as u64)
        })
    }

    /// Keeps what was read of a queue, in place of what was read before.
    fn keep(&self, key: QueueKey, first: QueueOffset, units: Vec<Unit>) {
        assert!(units.len() <= ALONG, "no more is kept than that");
        let mut along = self.along.borrow_mut();
        if along.len() >= READERS && !along.contains_key(&key) {
            along.clear(); // it is read again
        }
        along.insert(key, Along { first, units });
    }

    fn remember(&self, key: QueueKey, part: PhysicalOffset, run: RunAt) {
        let mut last = self.last.borrow_mut();
        if last.len() >= REMEMBERED && !last.contains_key(&key) {
            last.clear(); // a search is no more than a few reads
        }
        last.insert(key, (part, run));
    }

    fn recall(&self, key: &QueueKey) -> Option<(PhysicalOffset, RunAt)> {
        self.last.borrow().get(key).copied()
    }
}

impl RunAt {
    fn holds(&self, at: QueueOffset) -> bool {
        self.first <= at && at < self.end()
    }
}

impl Store {
    /// Calls `visit` for the committed messages of a queue from `from` on, in order, until it breaks or
    /// `max` messages were seen. [`Reach::Disk`]: the first of them is in an older part of the index;
    /// nothing was seen, and [`Store::older_units`] finds them.
    pub fn units(
        &self,
        topic: &str,
        queue: QueueId,
        from: QueueOffset,
        max: usize,
        visit: impl FnMut(QueueOffset, Unit) -> ControlFlow<()>,
    ) -> Reach {
        self.inner.index.borrow().visit(topic, queue, from, max, visit)
    }

    /// Committed messages of a queue from `from` on, in order, wherever their index is: at least one, if
    /// there is one, and at most `max`. Cancel safe.
    ///
    /// # Errors
    /// [`ReadError`] of the disk, or of a damaged index file; the log itself is not read.
    pub async fn older_units(
        &self,
        topic: &str,
        queue: QueueId,
        from: QueueOffset,
        max: usize,
    ) -> Result<Vec<(QueueOffset, Unit)>, ReadError> {
        for _ in 0..ATTEMPTS {
            let mut units = Vec::new();
            let reach = self.units(topic, queue, from, max, |offset, unit| {
                units.push((offset, unit));
                ControlFlow::Continue(())
            });
            if reach == Reach::Memory {
                return Ok(units);
            }
            let found = self.inner.index.borrow().queue(topic, queue);
            let Some((key, min, _)) = found else {
                return Ok(units);
            };
            let at = from.max(min);
            if let Some(units) = self.inner.places.known(&key, at, max) {
                return Ok((at.0..).map(QueueOffset).zip(units).collect());
            }
            if let Some((part, run)) = self.inner.locate(key, at).await? {
                return self.inner.read_along(key, &part, &run, at, max).await;
            }
            // The index has changed while it was searched: a part was written, merged or trimmed.
            runtime::yield_now().await;
        }
        Err(ReadError::Index(format!(
            "no part of the index has message {from} of queue {queue} of `{topic}`"
        )))
    }

    /// The place of one message; `None` when the queue does not hold it.
    pub(crate) async fn unit(
        &self,
        topic: &str,
        queue: QueueId,
        offset: QueueOffset,
    ) -> Result<Option<Unit>, ReadError> {
        let holds =
            self.queue(topic, queue).is_some_and(|range| range.min <= offset && offset < range.max);
        if !holds {
            return Ok(None);
        }
        let units = self.older_units(topic, queue, offset, 1).await?;
        Ok(units.first().filter(|(at, _)| *at == offset).map(|(_, unit)| *unit))
    }
}

/// Messages of a run from `at` on, as many as one read gives.
async fn read(
    part: &PartFile,
    run: &RunAt,
    at: QueueOffset,
    max: usize,
) -> Result<Vec<(QueueOffset, Unit)>, ReadError> {
    let skip = u32::try_from(at.0 - run.first.0).expect("a run is counted with 32 bits");
    let units = part.units(run, skip, max).await?;
    let numbered = (at.0..).map(QueueOffset).zip(units);
    Ok(numbered.map(|(offset, packed)| (offset, packed.unit(part.base()))).collect())
}

impl Inner {
    /// As [`read`], and further for a reader that comes along.
    async fn read_along(
        &self,
        key: QueueKey,
        part: &PartFile,
        run: &RunAt,
        at: QueueOffset,
        max: usize,
    ) -> Result<Vec<(QueueOffset, Unit)>, ReadError> {
        let far = max < ALONG && self.places.comes_along(&key, at);
        let found = match far {
            true => read(part, run, at, ALONG).await,
            false => read(part, run, at, max).await,
        };
        let mut found = match found {
            // What is damaged may lie behind what is asked for.
            Err(_) if far => read(part, run, at, max).await?,
            found => found?,
        };
        self.places.keep(key, at, found.iter().take(ALONG).map(|(_, unit)| *unit).collect());
        found.truncate(max);
        Ok(found)
    }

    /// The part on the disk that holds message `at` of the queue. `None` when there is none, because the
    /// index has changed meanwhile.
    async fn locate(
        &self,
        key: QueueKey,
        at: QueueOffset,
    ) -> Result<Option<(Rc<PartFile>, RunAt)>, ReadError> {
        if let Some((from, run)) = self.places.recall(&key)
            && let Some(found) = self.near(key, at, from, run).await?
        {
            return Ok(Some(found));
        }
        let parts: Vec<_> = self.index.borrow().files().cloned().collect();
        let complete: Vec<_> =
            (0..parts.len()).filter(|number| parts[*number].is_complete()).collect();
        // Every queue there was is in every complete part, so that the search among them can be by halves.
        let (mut low, mut high) = (0, complete.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let part = &parts[complete[middle]];
            match part.run(&key).await? {
                Some(run) if run.holds(at) => return Ok(Some(self.found(key, part, run))),
                Some(run) if at < run.first => high = middle,
                _ => low = middle + 1,
            }
        }
        // Others may be anywhere: a merge waits, or failed. They name only queues that have messages in them,
        // so that those between the two complete ones are looked into one by one.
        let begin = low.checked_sub(1).map_or(0, |before| complete[before] + 1);
        let end = complete.get(low).map_or(parts.len(), |behind| *behind);
        for part in parts[begin..end].iter().rev() {
            if let Some(run) = part.run(&key).await?
                && run.first <= at
            {
                return Ok(run.holds(at).then(|| self.found(key, part, run)));
            }
        }
        Ok(None)
    }

    /// The same, if it is in the part that begins at `from`, where it was last, or soon behind.
    async fn near(
        &self,
        key: QueueKey,
        at: QueueOffset,
        mut from: PhysicalOffset,
        run: RunAt,
    ) -> Result<Option<(Rc<PartFile>, RunAt)>, ReadError> {
        if at < run.first {
            return Ok(None);
        }
        for _ in 0..NEIGHBOURS {
            let Some(part) = self.index.borrow().file_after(from) else {
                return Ok(None);
            };
            match part.run(&key).await? {
                Some(run) if run.holds(at) => return Ok(Some(self.found(key, &part, run))),
                Some(run) if at < run.first => return Ok(None),
                _ => from = part.span().to,
            }
        }
        Ok(None)
    }

    fn found(&self, key: QueueKey, part: &Rc<PartFile>, run: RunAt) -> (Rc<PartFile>, RunAt) {
        self.places.remember(key, part.span().from, run);
        (Rc::clone(part), run)
    }
}

impl From<PartError> for ReadError {
    fn from(error: PartError) -> Self {
        Self::Index(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::Incarnation;

    fn key(queue: u32) -> QueueKey {
        QueueKey { incarnation: Incarnation(model::LogIndex(7)), queue: QueueId(queue) }
    }

    fn units(first: u64, count: u64) -> Vec<Unit> {
        let unit = |n| Unit { offset: PhysicalOffset(n * 100), size: 100, tag_hash: 0, crc: 0 };
        (first..first + count).map(unit).collect()
    }

    #[test]
    fn what_was_read_of_a_queue_is_known() {
        let places = Places::default();
        assert_eq!(places.known(&key(0), QueueOffset(0), 10), None);
        places.keep(key(0), QueueOffset(50), units(50, 10));
        let known = |at, max| places.known(&key(0), QueueOffset(at), max);
        assert_eq!(known(50, 4), Some(units(50, 4)));
        assert_eq!(known(57, 32), Some(units(57, 3)));
        assert_eq!((known(49, 32), known(60, 32), known(u64::MAX, 1)), (None, None, None));
        assert_eq!(places.known(&key(1), QueueOffset(50), 4), None);
        places.keep(key(0), QueueOffset(60), units(60, 5));
        assert_eq!((known(59, 1), known(60, 1)), (None, Some(units(60, 1))));
    }

    #[test]
    fn who_goes_on_where_the_last_one_stopped_comes_along() {
        let places = Places::default();
        assert!(!places.comes_along(&key(0), QueueOffset(0)));
        places.keep(key(0), QueueOffset(50), units(50, 10));
        let comes = [49, 50, 55, 60, 61].map(|at| places.comes_along(&key(0), QueueOffset(at)));
        assert_eq!(comes, [false, true, true, true, false]);
    }

    #[test]
    fn few_queues_are_kept() {
        let places = Places::default();
        for queue in 0..3 * u32::try_from(READERS).expect("small") {
            places.keep(key(queue), QueueOffset(0), units(0, 2));
            assert!(places.along.borrow().len() <= READERS);
            assert!(places.known(&key(queue), QueueOffset(0), 2).is_some(), "the newest is there");
        }
    }
}
