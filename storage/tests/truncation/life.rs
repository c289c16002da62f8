//! One life of a log: it is opened and compared with the model, then used until it dies.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::{LogIndex, Term, UnixMillis};
use runtime::BLOCK;
use storage::{
    EntryHead, EntryKind, EntryLog, EntryLogError, EntryReader, Flush, LogEntry, Options, Promise,
    StoreId,
};

use crate::model::{Known, Model, UnderWay};

pub type Shared = Arc<Mutex<Model>>;

pub fn with<T>(shared: &Shared, look: impl FnOnce(&mut Model) -> T) -> T {
    look(&mut shared.lock().expect("no test thread has panicked"))
}

/// What a life is to do.
#[derive(Clone, Debug)]
pub struct Script {
    pub options: Options,
    /// How rare large entries are.
    pub large_one_in: u64,
    /// It ends after so many turns; [`None`]: never by itself.
    pub turns: Option<u64>,
}

/// How a life ended by itself.
#[derive(Debug)]
pub enum Ended {
    Closed,
    Failed(String),
}

const KINDS: [EntryKind; 3] = [EntryKind::Blank, EntryKind::Messages, EntryKind::Command];
/// Bytes read at a time when all is read.
const AT_ONCE: usize = 300_000;
/// Bytes of an entry before its payload.
const HEADER: u64 = 88;

fn one_in(chances: u64) -> bool {
    runtime::random_below(chances) == 0
}

fn below(end: usize) -> usize {
    runtime::random_below(end as u64) as usize
}

/// Opens the log, compares it with the model, and uses it.
pub async fn live(script: Script, shared: Shared) -> Ended {
    match work(script, &shared).await {
        Ok(()) => Ended::Closed,
        Err(error) => Ended::Failed(error.to_string()),
    }
}

async fn work(script: Script, shared: &Shared) -> Result<(), EntryLogError> {
    let log = EntryLog::open(&script.options).await?;
    let corners = check(&log, script.options.segment_size, shared).await?;
    let sync = script.options.flush == Flush::Sync;
    let Script { large_one_in, options, .. } = script;
    let mut life =
        Life { log, shared, sync, large_one_in, segment_size: options.segment_size, corners };
    let mut turn = 0;
    while script.turns.is_none_or(|turns| turn < turns) {
        life.turn().await?;
        turn += 1;
        if one_in(4) {
            runtime::sleep(Duration::from_micros(runtime::random_below(2_000))).await;
        }
    }
    life.log.close().await?;
    with(shared, |model| model.durable = model.log.len());
    Ok(())
}

/// Reads everything, and compares it. Returns the indexes of entries before which a cut asks for more than others do.
async fn check(
    log: &EntryLog,
    segment_size: u64,
    shared: &Shared,
) -> Result<Vec<usize>, EntryLogError> {
    let state = log.state();
    assert_eq!((state.first, state.durable), (LogIndex(0), state.end), "what is found is durable");
    let (mut found, mut corners, mut before) = (Vec::new(), Vec::new(), None);
    let reader = log.reader();
    while (found.len() as u64) < state.next.0 {
        let from = LogIndex(found.len() as u64);
        let entries = reader.read(from..LogIndex(u64::MAX), AT_ONCE).await?;
        assert!(!entries.is_empty(), "the log goes on to {}", state.next);
        known(&mut found, &entries);
        for entry in entries {
            let segment = entry.offset.0 / segment_size;
            if before != Some(segment) || is_split(entry.offset.0) {
                corners.push(entry.head.index.0 as usize);
            }
            before = Some(segment);
        }
    }
    let Promise { term, voted_for, .. } = log.promise();
    with(shared, |model| {
        let right = model.find(&found, (term.0, voted_for.0));
        right.unwrap_or_else(|why| panic!("{why}"));
        assert!(state.committed.0 <= model.committed as u64, "nobody has committed that");
    });
    Ok(corners)
}

/// Whether the header of an entry at `offset` reaches into the next block.
fn is_split(offset: u64) -> bool {
    offset % BLOCK as u64 + HEADER > BLOCK as u64
}

/// Adds to `found` what was read behind it.
fn known(found: &mut Vec<Known>, entries: &[LogEntry]) {
    for LogEntry { head, payload, .. } in entries {
        assert_eq!(head.index.0, found.len() as u64, "entries follow each other");
        let number = u64::from_le_bytes(payload[..8].try_into().expect("eight bytes"));
        assert_eq!(head.kind, kind(number));
        let (term, timestamp) = (head.term.0, head.timestamp.0);
        let entry = Known { number, term, timestamp, len: payload.len() };
        assert!(entry.payload() == payload[..], "{entry:?} has another payload");
        found.push(entry);
    }
}

fn kind(number: u64) -> EntryKind {
    KINDS[number as usize % KINDS.len()]
}

struct Life<'a> {
    log: EntryLog,
    shared: &'a Shared,
    sync: bool,
    large_one_in: u64,
    segment_size: u64,
    /// Indexes of entries with which a segment begins, or whose header reaches into the next block; of most of them.
    corners: Vec<usize>,
}

impl Life<'_> {
    async fn turn(&mut self) -> Result<(), EntryLogError> {
        match runtime::random_below(20) {
            0..11 => self.append(self.make()).await,
            11..15 => self.truncate().await,
            15 => {
                self.log.flush().await?;
                with(self.shared, |model| model.durable = model.log.len());
                Ok(())
            }
            16 => self.promise().await,
            17 => self.read().await,
            _ => {
                self.commit();
                Ok(())
            }
        }
    }

    /// What is appended next: new entries, or those that were cut here.
    fn make(&self) -> Vec<Known> {
        let again = one_in(2);
        with(self.shared, |model| {
            if again && !model.cut.is_empty() {
                let count = 1 + below(model.cut.len());
                return std::mem::take(&mut model.cut)[..count].to_vec();
            }
            model.cut.clear();
            let last = model.log.last();
            let term = last.map_or(1, |last| last.term) + u64::from(one_in(6));
            let mut timestamp = last.map_or(1, |last| last.timestamp);
            let count = 1 + below(8);
            let mut entries = Vec::with_capacity(count);
            for _ in 0..count {
                timestamp += runtime::random_below(3);
                let number = model.made;
                model.made += 1;
                entries.push(Known { number, term, timestamp, len: self.len() });
            }
            entries
        })
    }

    fn len(&self) -> usize {
        match runtime::random_below(8) {
            0 if one_in(self.large_one_in) => 8 + below(900_000),
            0..6 => 8 + below(400),
            _ => 8 + below(9_000),
        }
    }

    async fn append(&mut self, entries: Vec<Known>) -> Result<(), EntryLogError> {
        let index = with(self.shared, |model| {
            model.under_way = UnderWay::Append(entries.clone());
            let again = model.made > entries.last().map_or(0, |last| last.number + 1);
            model.is_split_again = again && is_split(self.log.state().end.0);
            model.log.len() as u64
        });
        let payloads: Vec<_> = entries.iter().map(Known::payload).collect();
        let heads = entries.iter().zip(index..).map(|(entry, index)| EntryHead {
            index: LogIndex(index),
            term: Term(entry.term),
            kind: kind(entry.number),
            timestamp: UnixMillis(entry.timestamp),
            records: 0,
            chain: None,
        });
        let mut place = self.log.place(payloads[0].len()).0;
        if place / self.segment_size != self.log.state().end.0 / self.segment_size {
            self.corners.push(index as usize);
        }
        for (entry, at) in entries.iter().zip(index as usize..) {
            if is_split(place) {
                self.corners.push(at);
            }
            place += (HEADER + entry.len as u64).next_multiple_of(8);
        }
        let given: Vec<_> = heads.zip(payloads.iter().map(Vec::as_slice)).collect();
        self.log.append(&given).await?;
        let sync = self.sync;
        with(self.shared, |model| {
            model.under_way = UnderWay::Nothing;
            model.log.extend(entries);
            if sync {
                model.durable = model.log.len();
            }
        });
        Ok(())
    }

    async fn truncate(&mut self) -> Result<(), EntryLogError> {
        let corner = self.corners.last().copied().filter(|_| one_in(3));
        let to = with(self.shared, |model| {
            let loose = model.log.len() - model.committed;
            let few = if one_in(3) { loose } else { loose.min(10) };
            let to = model.log.len() - below(few + 1);
            corner.filter(|at| (model.committed..model.log.len()).contains(at)).unwrap_or(to)
        });
        let before = with(self.shared, |model| {
            model.under_way = UnderWay::Truncate(to);
            model.log.clone()
        });
        let reading = runtime::spawn(read_some(self.log.reader(), before));
        if one_in(2) {
            runtime::yield_now().await;
        }
        self.log.truncate(LogIndex(to as u64)).await?;
        with(self.shared, |model| {
            model.under_way = UnderWay::Nothing;
            model.cut = model.log.split_off(to);
            model.durable = model.durable.min(to);
            if !model.cut.is_empty() {
                model.durable = to; // what stays was flushed
            }
        });
        self.corners.retain(|index| *index < to);
        assert_eq!(self.log.state().next, LogIndex(to as u64));
        reading.await
    }

    async fn promise(&mut self) -> Result<(), EntryLogError> {
        let (term, voted_for) = with(self.shared, |model| {
            let next = (model.promise.0 + 1, u128::from(runtime::random_below(3)));
            model.under_way = UnderWay::Promise(next.0, next.1);
            next
        });
        let promise = Promise { term: Term(term), voted_for: StoreId(voted_for), elected: false };
        self.log.save_promise(promise).await?;
        with(self.shared, |model| {
            model.promise = (term, voted_for);
            model.under_way = UnderWay::Nothing;
        });
        assert_eq!(self.log.promise(), promise);
        Ok(())
    }

    async fn read(&mut self) -> Result<(), EntryLogError> {
        read_some(self.log.reader(), with(self.shared, |model| model.log.clone())).await
    }

    fn commit(&mut self) {
        let committed = with(self.shared, |model| {
            model.committed += below(model.durable.saturating_sub(model.committed) / 2 + 1);
            model.committed
        });
        self.log.commit(LogIndex(committed as u64));
        assert!(self.log.state().committed.0 >= committed as u64);
    }
}

/// Reads from anywhere; whatever comes must be what the log held when this was called for.
async fn read_some(reader: EntryReader, log: Vec<Known>) -> Result<(), EntryLogError> {
    let from = below(log.len() + 1);
    let to = from + below(50);
    let range = LogIndex(from as u64)..LogIndex(to as u64);
    let entries = reader.read(range, 1 + below(AT_ONCE)).await?;
    assert!(entries.len() <= to - from);
    let mut found = log[..from].to_vec();
    known(&mut found, &entries);
    assert!(log.starts_with(&found), "from {from}: other entries than were written");
    Ok(())
}
