//! A part in memory.

use std::ops::Deref;

use model::{PhysicalOffset, QueueOffset, UnixMillis};

use super::by_queue::ByQueue;
use super::name::Span;
use super::pace::Pace;
use super::sorted::CHUNK;
use super::{KeyAt, Packed, QueueKey};

/// Messages after which a part is full. Together with the other two this keeps a part below
/// [`MAX_MEMORY`], however small the messages are.
pub(crate) const MAX_UNITS: usize = 256 * 1024;
/// Keys of messages after which a part is full.
pub(crate) const MAX_KEYS: usize = 512 * 1024;
/// Queues after which a part is full: what a table of 131,072 places holds before it doubles.
pub(crate) const MAX_RUNS: usize = 112 * 1024;
/// Bytes that a part has at most, if the caller asks [`Growing::is_full`] after every message. If it
/// asks after every entry, what one entry holds comes on top.
pub(crate) const MAX_MEMORY: usize = 32 * 1024 * 1024;

/// Bytes of a run in the table, with the byte that the table itself keeps.
const RUN_LEN: usize = size_of::<(QueueKey, Run)>() + 1;
/// Bytes that the allocator adds to an allocation, at most.
const ALLOCATION: usize = 16;
/// Work of looking at a run or freeing it, for [`Pace`].
pub(crate) const RUN_WORK: u32 = 15;

// A table has at most twice the places that it needs, and its predecessor while it grows. A run of more
// than one message has at most twice the room that it needs, but room for four.
const _: () = assert!(
    MAX_RUNS * 8 / 7 * RUN_LEN * 3 / 2
        + MAX_UNITS * size_of::<Packed>() * 2
        + MAX_RUNS * ALLOCATION
        + (MAX_KEYS + CHUNK) * size_of::<KeyAt>()
        <= MAX_MEMORY
);

/// A queue's messages in one part.
#[derive(Debug)]
struct Run {
    first: QueueOffset,
    units: Vec<Packed>,
}

/// The newest part: what was added since `from`.
#[derive(Debug)]
pub(crate) struct Growing {
    base: PhysicalOffset,
    from: PhysicalOffset,
    /// End of the last message.
    end: PhysicalOffset,
    runs: ByQueue<Run>,
    units: usize,
    /// Messages that all runs have room for.
    room: usize,
    /// In the order of the log; all chunks but the last are full.
    keys: Vec<Vec<KeyAt>>,
    times: Option<(UnixMillis, UnixMillis)>,
}

impl Growing {
    /// An empty part that begins at `from`, in the segment that begins at `base`.
    pub(crate) fn new(base: PhysicalOffset, from: PhysicalOffset) -> Self {
        assert!(from >= base, "a part is within its segment");
        let (runs, keys) = (ByQueue::default(), Vec::new());
        Self { base, from, end: from, runs, units: 0, room: 0, keys, times: None }
    }

    /// Makes room for messages of `queues` queues at once, up to [`MAX_RUNS`], so that the table does
    /// not have to grow under load. What the part before had is a good guess.
    pub(crate) fn reserve(&mut self, queues: usize) {
        self.runs.reserve(queues.min(MAX_RUNS).saturating_sub(self.runs.len()));
    }

    /// Adds a message: the next one of the log and of its queue, and the hashes of its keys.
    ///
    /// # Panics
    /// When it is not the next one of the log or of its queue.
    pub(crate) fn add(
        &mut self,
        key: QueueKey,
        offset: QueueOffset,
        unit: Packed,
        stored: UnixMillis,
        key_hashes: impl Iterator<Item = u32>,
    ) {
        let begin = self.base.plus(u64::from(unit.at));
        assert!(begin >= self.end && unit.size > 0, "messages are added in the order of the log");
        self.end = begin.plus(u64::from(unit.size));
        assert!(self.end.since(self.base) <= u64::from(u32::MAX), "segments are below 4 GiB");
        let run = self.runs.entry(key).or_insert_with(|| {
            let units = Vec::with_capacity(1); // many queues have but one message in a part
            Run { first: offset, units }
        });
        let due = run.first.plus(run.units.len() as u64);
        assert_eq!(offset, due, "a queue's messages have consecutive offsets");
        let room = if run.units.is_empty() { 0 } else { run.units.capacity() };
        run.units.push(unit);
        self.room += run.units.capacity() - room;
        self.units += 1;
        for hash in key_hashes {
            self.add_key(KeyAt { hash, at: unit.at });
        }
        let (oldest, newest) = self.times.unwrap_or((stored, stored));
        self.times = Some((oldest.min(stored), newest.max(stored)));
    }

    fn add_key(&mut self, key: KeyAt) {
        match self.keys.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(key),
            _ => {
                // The first chunk grows as it needs, so that a small part stays small.
                let room = if self.keys.is_empty() { 64 } else { CHUNK };
                let mut chunk = Vec::with_capacity(room);
                chunk.push(key);
                self.keys.push(chunk);
            }
        }
    }

    /// Whether a limit is reached and a new part is due.
    pub(crate) fn is_full(&self) -> bool {
        let full = self.keys.len() > MAX_KEYS / CHUNK;
        self.units >= MAX_UNITS || self.runs.len() >= MAX_RUNS || full
    }

    /// Forgets these queues: their topic was deleted. Their keys stay until a merge and lead to records
    /// that are still in the log, so whoever follows a key looks whether its queue still has the message.
    pub(crate) fn remove_queues(&mut self, keys: impl IntoIterator<Item = QueueKey>) {
        for key in keys {
            if let Some(run) = self.runs.remove(&key) {
                self.units -= run.units.len();
                self.room -= run.units.capacity();
            }
        }
    }

    /// Ends the part at `to`, which is not before the end of its last message.
    pub(crate) fn freeze(self, to: PhysicalOffset) -> Frozen {
        assert!(to >= self.end, "a part covers all messages that it knows");
        assert!(to > self.from, "a part covers something");
        assert!(to.since(self.base) <= u64::from(u32::MAX), "segments are below 4 GiB");
        Frozen { grown: self, to }
    }

    /// The segment's first byte.
    pub(crate) fn base(&self) -> PhysicalOffset {
        self.base
    }

    /// Where the part begins.
    pub(crate) fn from(&self) -> PhysicalOffset {
        self.from
    }

    /// Queues that have messages here.
    pub(crate) fn queues(&self) -> usize {
        self.runs.len()
    }

    /// Messages of those queues.
    pub(crate) fn units(&self) -> usize {
        self.units
    }

    /// The messages of a queue and the offset of the first; `None` when there are none here.
    pub(crate) fn run(&self, key: &QueueKey) -> Option<(QueueOffset, &[Packed])> {
        self.runs.get(key).map(|run| (run.first, run.units.as_slice()))
    }

    /// All queues that have messages here, in no order, with the offset of the first and their number.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (QueueKey, QueueOffset, usize)> {
        self.runs.iter().map(|(key, run)| (*key, run.first, run.units.len()))
    }

    /// Where messages begin that have a key of this hash, each once, newest last. Looks at every key.
    pub(crate) fn positions(&self, hash: u32) -> impl Iterator<Item = u32> {
        let mut last = None;
        let found = self.keys.iter().flatten().filter(move |key| key.hash == hash);
        found.map(|key| key.at).filter(move |at| last.replace(*at) != Some(*at))
    }

    /// The keys, in the order of the log, in chunks of at most [`CHUNK`].
    pub(super) fn keys(&self) -> &[Vec<KeyAt>] {
        &self.keys
    }

    /// The oldest and the newest store time of all that was added; `None` if nothing was.
    pub(crate) fn times(&self) -> Option<(UnixMillis, UnixMillis)> {
        self.times
    }

    /// Bytes of memory, about.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        let table = self.runs.capacity() * 8 / 7 * RUN_LEN;
        let units = self.room * size_of::<Packed>() + self.runs.len() * ALLOCATION;
        let keys: usize = match self.keys.as_slice() {
            [] => 0,
            [one] => one.capacity(),
            [first, rest @ ..] => first.capacity() + rest.len() * CHUNK,
        };
        size_of::<Self>() + table + units + keys * size_of::<KeyAt>()
    }

    /// Frees the memory in small steps: dropping a part of very many queues at once takes milliseconds.
    pub(crate) async fn discard(self) {
        let mut pace = Pace::default();
        for run in self.runs {
            drop(run);
            pace.spend(RUN_WORK).await;
        }
    }
}

/// A part that nothing is added to any more; read as [`Growing`] is.
#[derive(Debug)]
pub(crate) struct Frozen {
    grown: Growing,
    to: PhysicalOffset,
}

impl Frozen {
    /// What it covers.
    pub(crate) fn span(&self) -> Span {
        Span { from: self.grown.from, to: self.to }
    }

    /// See [`Growing::discard`].
    pub(crate) async fn discard(self) {
        self.grown.discard().await;
    }
}

impl Deref for Frozen {
    type Target = Growing;

    fn deref(&self) -> &Growing {
        &self.grown
    }
}
