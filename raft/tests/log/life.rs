//! One life of a log: it is opened and compared with the model, then used as openraft does until it dies.

use std::io;
use std::ops::Range;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use openraft::RaftLogReader;
use openraft::impls::leader_id_std::LeaderId;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use openraft::type_config::alias::{LogIdOf, VoteOf};
use raft::{LogError, LogReader, MemberId, RaftLog, Types};
use storage::{Options, StoreId};

use crate::content::{entry, has_time, id, is};
use crate::model::{Found, Known, Model, UnderWay, Vote};

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

fn one_in(chances: u64) -> bool {
    runtime::random_below(chances) == 0
}

/// Opens the log, compares it with the model, and uses it.
pub async fn live(script: Script, shared: Shared) -> Ended {
    let (mut log, writer) = match RaftLog::open(&script.options).await {
        Ok(opened) => opened,
        Err(error) => return Ended::Failed(error.to_string()),
    };
    let done = work(&mut log, &script, &shared).await;
    if done.is_err() {
        refuses_everything(&mut log).await;
    }
    drop(log);
    let closed = writer.await;
    match (done, closed) {
        (Ok(()), Ok(())) => {
            with(&shared, |model| model.flushed = model.next());
            Ended::Closed
        }
        (Err(error), _) => Ended::Failed(error.to_string()),
        (Ok(()), Err(error)) => Ended::Failed(error.to_string()),
    }
}

async fn work(log: &mut RaftLog, script: &Script, shared: &Shared) -> Result<(), io::Error> {
    check(log, shared).await?;
    let mut life = Life { log, shared, script };
    let mut turn = 0;
    while script.turns.is_none_or(|turns| turn < turns) {
        life.turn().await?;
        turn += 1;
        if one_in(4) {
            runtime::sleep(Duration::from_micros(runtime::random_below(2_000))).await;
        }
    }
    Ok(())
}

/// After a failure nothing is taken any more.
async fn refuses_everything(log: &mut RaftLog) {
    let state = log.get_log_state().await.expect("it is in memory");
    let next = state.last_log_id.map_or(0, |last| last.index + 1);
    let known = Known { number: 0, term: u64::MAX, timestamp: 0, len: 0 };
    let appended = log.append([entry(known, next, 0)], IOFlushed::noop()).await;
    assert!(appended.is_err(), "a log that has failed takes an entry");
    let vote = vote_of((u64::MAX, 1, true));
    assert!(log.save_vote(&vote).await.is_err(), "a log that has failed takes a vote");
}

/// Reads everything, and compares it.
async fn check(log: &mut RaftLog, shared: &Shared) -> Result<(), io::Error> {
    let mut reader = log.reader();
    let entries = reader.try_get_log_entries(..).await?;
    let (state, vote) = (log.get_log_state().await?, reader.read_vote().await?);
    let committed = log.read_committed().await?;
    let of_state = |id: LogIdOf<Types>| (id.index, id.leader_id.term);
    let behind = |id: (u64, u64)| (id.0 + 1, id.1);
    let purged = state.last_purged_log_id.map(of_state).map_or((0, 0), behind);
    let first = entries.first().map_or(purged.0, |first| first.log_id.index);
    let last = state.last_log_id.map(of_state);
    let vote = vote.map_or((0, 0, false), |vote| {
        (vote.leader_id.term, vote.leader_id.voted_for.0.0, vote.is_committed())
    });
    let next = first + entries.len() as u64;
    let found = Found {
        first,
        next,
        last,
        purged,
        vote,
        committed: committed.map_or(0, |id| id.index + 1),
    };
    with(shared, |model| {
        model.find(&found).unwrap_or_else(|why| panic!("{why}"));
        for (index, entry) in (first..).zip(&entries) {
            let known = model.at(index);
            assert!(is(known, index, entry), "entry {index} is {entry:?}, {known:?} was due");
        }
        let term = committed.map(|id| (id.index, id.leader_id.term));
        let inside = term.filter(|(index, _)| *index >= model.base);
        assert!(inside.is_none_or(|(index, term)| model.at(index).term == term));
    });
    Ok(())
}

fn vote_of((term, who, elected): Vote) -> VoteOf<Types> {
    let leader = LeaderId { term, voted_for: MemberId(StoreId(who)) };
    VoteOf::<Types> { leader_id: leader, committed: elected }
}

struct Life<'a> {
    log: &'a mut RaftLog,
    shared: &'a Shared,
    script: &'a Script,
}

impl Life<'_> {
    async fn turn(&mut self) -> Result<(), io::Error> {
        match runtime::random_below(24) {
            0..13 => self.append().await,
            13..16 => self.truncate().await,
            16..18 => self.vote().await,
            18..20 => self.purge().await,
            20 => self.reading().await,
            21 => {
                match one_in(2) {
                    true => self.read_meanwhile(),
                    false => self.stream_meanwhile(),
                }
                Ok(())
            }
            _ => self.commit().await,
        }
    }

    /// What is appended next: new entries, or those that were cut here.
    fn make(&self) -> Vec<(Known, u64)> {
        let again = one_in(2);
        with(self.shared, |model| {
            let cut = std::mem::take(&mut model.cut);
            if again && !cut.is_empty() {
                let count = 1 + runtime::random_below(cut.len() as u64) as usize;
                return cut[..count].iter().map(|known| (*known, known.timestamp)).collect();
            }
            let last = model.log.last();
            let before = last.map_or(model.purged.1.max(1), |last| last.term);
            let (term, mut timestamp) =
                (before + u64::from(one_in(6)), last.map_or(0, |last| last.timestamp));
            let mut entries = Vec::new();
            for _ in 0..=runtime::random_below(8) {
                let number = model.made;
                model.made += 1;
                // Clocks of leaders differ.
                let time = (timestamp + runtime::random_below(5)).saturating_sub(2);
                if has_time(number) {
                    timestamp = timestamp.max(time);
                }
                entries.push((Known { number, term, timestamp, len: self.len() }, time));
            }
            entries
        })
    }

    fn len(&self) -> usize {
        let below = |end: u64| 8 + runtime::random_below(end) as usize;
        match runtime::random_below(8) {
            0 if one_in(self.script.large_one_in) => below(self.log.largest_body() as u64 - 8),
            0..6 => below(400),
            _ => below(9_000),
        }
    }

    /// Appends, and goes on before that is flushed.
    async fn append(&mut self) -> Result<(), io::Error> {
        let entries = self.make();
        let (index, cuts) = with(self.shared, |model| {
            let index = model.next();
            model.log.extend(entries.iter().map(|(known, _)| known));
            (index, model.cuts)
        });
        let made: Vec<_> = (index..)
            .zip(&entries)
            .map(|(index, (known, time))| entry(*known, index, *time))
            .collect();
        let (flushed, told) = Types::oneshot();
        let next = index + made.len() as u64;
        self.log.append(made, IOFlushed::signal(flushed)).await?;
        let shared = Arc::clone(self.shared);
        runtime::spawn(async move {
            if let Ok(Ok(())) = told.await {
                let note = |model: &mut Model| model.flushed = model.flushed.max(next);
                with(&shared, |model| {
                    if model.cuts == cuts {
                        note(model)
                    }
                });
            }
        })
        .detach();
        if one_in(3) {
            let read = self.log.reader().try_get_log_entries(index..).await?;
            assert_eq!(read.len() as u64, next - index, "what was appended can be read at once");
        }
        Ok(())
    }

    async fn truncate(&mut self) -> Result<(), io::Error> {
        let few = one_in(3);
        let (to, term) = with(self.shared, |model| {
            let loose = model.next() - model.committed.max(model.base);
            let cut = runtime::random_below(if few { loose } else { loose.min(10) } + 1);
            let to = model.next() - cut;
            model.under_way = UnderWay::Truncate(to);
            (
                to,
                to.checked_sub(1)
                    .filter(|last| *last >= model.base)
                    .map(|last| model.at(last).term),
            )
        });
        let reading = runtime::spawn(self.reading());
        if one_in(2) {
            runtime::yield_now().await;
        }
        let last = to.checked_sub(1).map(|last| id(last, term.unwrap_or_default()));
        self.log.truncate_after(last).await?;
        with(self.shared, |model| {
            model.under_way = UnderWay::Nothing;
            model.cut();
            model.cut = model.log.split_off((to - model.base) as usize);
            model.flushed = to; // What stays was written before, and told.
        });
        let state = self.log.get_log_state().await?;
        assert_eq!(state.last_log_id.map_or(0, |last| last.index + 1), to);
        reading.await
    }

    async fn vote(&mut self) -> Result<(), io::Error> {
        let (same_term, who) = (one_in(2), u128::from(runtime::random_below(3)));
        let vote = with(self.shared, |model| {
            let (term, before, elected) = model.vote;
            let vote = match same_term && term > 0 {
                true if elected => model.vote,
                true => (term, if who == 0 { before } else { who }, true),
                false => (term + 1, who, false),
            };
            model.under_way = UnderWay::Vote(vote);
            vote
        });
        self.log.save_vote(&vote_of(vote)).await?;
        with(self.shared, |model| {
            model.vote = vote;
            model.under_way = UnderWay::Nothing;
        });
        assert_eq!(self.log.reader().read_vote().await?, Some(vote_of(vote)));
        Ok(())
    }

    /// Purges what is committed, or all for a snapshot that goes beyond.
    async fn purge(&mut self) -> Result<(), io::Error> {
        let beyond = one_in(4);
        let (before, term) = with(self.shared, |model| {
            let known = |index: u64| model.at(index).term;
            let purged = if beyond {
                let last = model.log.last().map_or(model.purged.1, |last| last.term);
                (model.next() + 1 + runtime::random_below(20), last.max(1) + 1)
            } else {
                let from = model.base.max(model.purged.0);
                let before = from + runtime::random_below(model.committed.saturating_sub(from) + 1);
                if before <= from { model.purged } else { (before, known(before - 1)) }
            };
            model.under_way = UnderWay::Purge(purged);
            purged
        });
        if let Some(last) = before.checked_sub(1) {
            self.log.purge(id(last, term)).await?;
        }
        with(self.shared, |model| {
            model.under_way = UnderWay::Nothing;
            model.purged = (before, term);
            model.committed = model.committed.max(before);
            if beyond {
                model.cut();
                (model.base, model.flushed) = (before, before);
                model.log.clear();
                model.cut.clear();
            }
        });
        let entries = self.log.reader().limited_get_log_entries(0, u64::MAX).await?;
        assert!(entries.first().is_none_or(|first| first.log_id.index == before), "it is purged");
        Ok(())
    }

    /// Reads while the log goes on, and is cut; what comes must have been there, all at the same time.
    fn read_meanwhile(&self) {
        let (mut reader, shared) = (self.log.reader(), Arc::clone(self.shared));
        let since = with(&shared, |model| model.before.len());
        runtime::spawn(async move {
            let Ok(entries) = reader.try_get_log_entries(..).await else { return };
            let Some(first) = entries.first().map(|entry| entry.log_id.index) else { return };
            let held = |(base, log): &(u64, Vec<Known>)| {
                (first..).zip(&entries).all(|(index, entry)| {
                    let at = index.checked_sub(*base).and_then(|at| log.get(at as usize));
                    at.is_some_and(|known| is(*known, index, entry))
                })
            };
            let right = with(&shared, |model| {
                let now = (model.base, model.log.clone());
                model.before[since..].iter().chain([&now]).any(held)
            });
            assert!(right, "from {first} on, {} entries that never were the log", entries.len());
        })
        .detach();
    }

    /// Reads what is committed as one who applies it does, while the log goes on: none may be missing, unless that is told.
    fn stream_meanwhile(&self) {
        let (mut reader, shared) = (self.log.reader(), Arc::clone(self.shared));
        let model = with(&shared, |model| (model.base, model.log.clone(), model.committed));
        let (base, log, committed) = model;
        runtime::spawn(async move {
            let (mut entries, mut next) =
                (pin!(reader.entries_stream(base..committed).await), None);
            while let Some(read) = entries.next().await {
                let entry = match read {
                    Ok(entry) => entry,
                    Err(error) => return is_due(&error, &shared),
                };
                let index = entry.log_id.index;
                assert!(next.is_none_or(|next| next == index), "{index} comes, {next:?} was due");
                let known = log[(index - base) as usize];
                assert!(is(known, index, &entry), "entry {index} is {entry:?}, {known:?} was due");
                next = Some(index + 1);
                if one_in(8) {
                    runtime::sleep(Duration::from_micros(runtime::random_below(200))).await;
                }
            }
            assert!(next.is_none_or(|next| next == committed), "{committed} were due: {next:?}");
        })
        .detach();
    }

    /// Reads from anywhere; whatever comes must be what the log held when this was called for.
    fn reading(&self) -> impl Future<Output = Result<(), io::Error>> + use<> {
        let (base, log, purged) =
            with(self.shared, |model| (model.base, model.log.clone(), model.purged.0));
        let from = base + runtime::random_below(log.len() as u64 + 1);
        let to = (from + runtime::random_below(50)).min(base + log.len() as u64);
        read_some(self.log.reader(), from.max(purged)..to, base, log)
    }

    async fn commit(&mut self) -> Result<(), io::Error> {
        let last = with(self.shared, |model| {
            let loose = model.flushed.saturating_sub(model.committed);
            model.committed += runtime::random_below(loose / 2 + 1);
            model.committed.checked_sub(1).filter(|last| *last >= model.base)
        });
        let term = last.map(|last| id(last, with(self.shared, |model| model.at(last).term)));
        self.log.save_committed(term).await
    }
}

/// A stream says that entries were purged only if they were.
fn is_due(error: &io::Error, shared: &Shared) {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<LogError>());
    let Some(LogError::Hole { found, .. }) = error else { return }; // The disk has failed.
    with(shared, |model| {
        let begun = match model.under_way {
            UnderWay::Purge(purged) => purged.0,
            _ => 0,
        };
        let purged = model.purged.0.max(begun);
        assert!(*found <= purged, "{purged} are purged, and not {found}");
    });
}

async fn read_some(
    mut reader: LogReader,
    range: Range<u64>,
    base: u64,
    log: Vec<Known>,
) -> Result<(), io::Error> {
    if range.is_empty() {
        return Ok(());
    }
    let entries = match one_in(2) {
        true => reader.limited_get_log_entries(range.start, range.end).await?,
        false => reader.try_get_log_entries(range.clone()).await?,
    };
    for (index, found) in range.zip(&entries) {
        let known = log[(index - base) as usize];
        assert!(is(known, index, found), "entry {index} is {found:?}, {known:?} was there");
    }
    Ok(())
}
