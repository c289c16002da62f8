//! Finding messages by a key.

use model::{PhysicalOffset, Record, UnixMillis};
use runtime::Slice;

use crate::error::ReadError;
use crate::index::message_keys;
use crate::part::key_hash;
use crate::store::Store;

/// Records that one search reads at most. Other keys may have the same hash, and messages of the key may
/// lie outside of the times that are asked for.
const READ_AT_MOST: usize = 4096;
/// Places that are asked of one part at a time.
const PLACES: usize = 64;

/// What is searched for.
#[derive(Clone, Copy, Debug)]
pub struct KeyQuery<'a> {
    /// Messages of this topic.
    pub topic: &'a str,
    /// One of the message's keys, or its unique key.
    pub key: &'a str,
    /// Stored at or after this time.
    pub begin: UnixMillis,
    /// Stored at or before this time.
    pub end: UnixMillis,
    /// As many messages at most.
    pub max: usize,
    /// As many bytes of records at most; the newest message is found however large it is.
    pub max_bytes: usize,
}

/// A search under way.
struct Search<'a> {
    query: KeyQuery<'a>,
    hash: u32,
    found: Vec<Slice>,
    /// Bytes of what was found.
    bytes: usize,
    /// There was one more, for which there was no room.
    full: bool,
    read: usize,
}

impl Store {
    /// The newest committed messages that have the key, newest first. Messages of a topic that was deleted
    /// are not found. Cancel safe.
    ///
    /// # Errors
    /// [`ReadError`] of the disk, of a damaged index file, or of a damaged record.
    pub async fn find_by_key(&self, query: KeyQuery<'_>) -> Result<Vec<Slice>, ReadError> {
        let hash = key_hash(query.topic, query.key);
        let mut search = Search { query, hash, found: Vec::new(), bytes: 0, full: false, read: 0 };
        self.search_memory(&mut search).await?;
        let files: Vec<_> = self.inner.index.borrow().files().rev().cloned().collect();
        for part in files {
            if search.is_over() {
                break;
            }
            if !part.times().is_some_and(|times| search.may_be_in(times)) {
                continue;
            }
            let mut below = u32::MAX;
            loop {
                let places = part.positions(search.hash, below, PLACES).await?;
                for at in places.iter().rev() {
                    self.look(&mut search, part.base().plus(u64::from(*at))).await?;
                }
                match places.first() {
                    Some(first) if places.len() == PLACES && !search.is_over() => below = *first,
                    _ => break,
                }
            }
        }
        Ok(search.found)
    }

    async fn search_memory(&self, search: &mut Search<'_>) -> Result<(), ReadError> {
        let mut places = Vec::new();
        for part in self.inner.index.borrow().in_memory() {
            if part.times().is_some_and(|times| search.may_be_in(times)) {
                let base = part.base();
                places.extend(part.positions(search.hash).map(|at| base.plus(u64::from(at))));
            }
        }
        for at in places.into_iter().rev() {
            self.look(search, at).await?;
        }
        Ok(())
    }

    /// Reads the message at `at`, and keeps it if it is one.
    async fn look(&self, search: &mut Search<'_>, at: PhysicalOffset) -> Result<(), ReadError> {
        if search.is_over() || at < self.inner.oldest() {
            return Ok(());
        }
        search.read += 1;
        match self.look_closer(search, at).await {
            // It was trimmed while it was read.
            Err(_) if at < self.inner.oldest() => Ok(()),
            looked => looked,
        }
    }

    async fn look_closer(
        &self,
        search: &mut Search<'_>,
        at: PhysicalOffset,
    ) -> Result<(), ReadError> {
        let bytes = self.body_checked_at(at).await?;
        let record = Record::parse(&bytes).expect("it was just checked");
        if search.wants(&record) && self.still_holds(&record) {
            self.check_whole(&bytes).await?;
            search.take(bytes);
        }
        Ok(())
    }

    /// Whether the record is a message of the topic as it is now, and not of one that was deleted.
    pub(crate) fn still_holds(&self, record: &Record<'_>) -> bool {
        let index = self.inner.index.borrow();
        let Some((_, min, counter)) = index.queue(record.topic(), record.queue_id()) else {
            return false;
        };
        let (offset, at) = (record.queue_offset(), record.physical_offset());
        min <= offset && offset < counter.next && counter.began <= at
    }
}

impl Search<'_> {
    fn is_over(&self) -> bool {
        self.full || self.found.len() >= self.query.max || self.read >= READ_AT_MOST
    }

    fn take(&mut self, record: Slice) {
        self.full = !self.found.is_empty() && self.bytes + record.len() > self.query.max_bytes;
        if !self.full {
            self.bytes += record.len();
            self.found.push(record);
        }
    }

    fn may_be_in(&self, (oldest, newest): (UnixMillis, UnixMillis)) -> bool {
        oldest <= self.query.end && newest >= self.query.begin
    }

    fn wants(&self, record: &Record<'_>) -> bool {
        let KeyQuery { topic, key, begin, end, .. } = self.query;
        let stored = record.store_time();
        record.topic() == topic
            && begin <= stored
            && stored <= end
            && message_keys(record.properties()).any(|found| found == key)
    }
}
