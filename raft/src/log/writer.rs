//! The one who writes: everything that changes the disk goes through it, in the order in which it was asked for.

use std::rc::Rc;

use model::{LogIndex, Term};
use openraft::EntryPayload;
use openraft::storage::IOFlushed;
use openraft::type_config::alias::{EntryOf, LogIdOf, VoteOf};
use runtime::channel::{OneshotSender, Receiver};
use storage::{EntryHead, EntryLog, EntryLogError, Misfit, Patch, Promise, Purged, StoreId};

use super::entry::{Body, behind, to_log};
use super::error::LogError;
use super::shared::Shared;
use crate::types::Types;

/// Bytes of entries that are written at once, but for the last append.
const BATCH_MAX: usize = 1024 * 1024;

/// Told when it is done, durably.
pub(super) type Done = OneshotSender<Result<(), LogError>>;

/// What is to be done.
pub(super) enum Order {
    /// Write so many of the entries that wait.
    Append { count: usize, flushed: IOFlushed<Types> },
    /// Promise this.
    Vote(VoteOf<Types>, Done),
    /// Cut this entry and all behind it.
    Truncate(LogIndex, Done),
    /// Entries up to this one are not needed any more.
    Purge(LogIdOf<Types>, Done),
    /// Write a piece of what was damaged.
    Mend(Mend),
    /// Lead in this term, if all that was accepted is applied. Answered with whether that is so.
    Lead(Term, OneshotSender<bool>),
    /// Note that the group has given this member up, in that recovery by force.
    GivenUp(u32, Done),
}

/// What is written where the log is damaged, and who is told how it went.
pub(super) struct Mend {
    pub patch: Rc<Patch>,
    /// Number of the piece.
    pub number: usize,
    pub entries: Vec<(EntryHead, Body)>,
    pub told: OneshotSender<Result<(), Misfit>>,
}

/// Owns the log. After an error everything that was or will be ordered is answered with it.
pub(super) struct Writer {
    pub log: EntryLog,
    pub shared: Rc<Shared>,
    pub orders: Receiver<Order>,
}

impl Writer {
    /// Writes until nobody can order anything any more, and closes the log. Not to be cancelled.
    pub(super) async fn run(mut self) -> Result<(), LogError> {
        let mut next = None;
        loop {
            let order = match next.take() {
                Some(order) => Some(order),
                None => self.orders.recv().await,
            };
            self.note_committed();
            match order {
                None => break,
                Some(Order::Append { count, flushed }) => next = self.append(count, flushed).await,
                Some(Order::Vote(vote, done)) => {
                    let saved = self.save_vote(vote).await;
                    self.tell(saved, done);
                }
                Some(Order::Truncate(from, done)) => {
                    let cut = self.truncate(from).await;
                    self.tell(cut, done);
                }
                Some(Order::Mend(mend)) => self.mend(mend).await,
                Some(Order::GivenUp(recovery, done)) => {
                    let saved = self.save_given_up(recovery).await;
                    self.tell(saved, done);
                }
                Some(Order::Lead(term, told)) => {
                    if told.send(self.lead(term)).is_err() {
                        self.shared.placing.borrow_mut().follow(); // whoever asked leads no more
                    }
                }
                Some(Order::Purge(upto, done)) => {
                    let purged = self.purge(upto).await;
                    self.tell(purged, done);
                }
            }
        }
        self.shared.check()?;
        Ok(self.log.close().await?)
    }

    fn tell(&self, result: Result<(), LogError>, done: Done) {
        if let Err(error) = &result {
            self.shared.fail(error);
        }
        drop(done.send(result)); // Whoever asked may be gone.
    }

    /// What is known to be committed is noted with the next entry, and never cut.
    fn note_committed(&mut self) {
        let committed = behind(self.shared.committed.get().as_ref());
        self.log.commit(committed.min(self.log.state().next));
    }

    /// Writes what was ordered, with all that was ordered to be appended right behind it. Returns what comes next.
    async fn append(&mut self, count: usize, flushed: IOFlushed<Types>) -> Option<Order> {
        let (mut count, mut told, mut next) = (count, vec![flushed], None);
        let mut bytes = self.shared.weight_behind(0, count);
        while bytes < BATCH_MAX {
            match self.orders.try_recv() {
                Some(Order::Append { count: more, flushed }) => {
                    bytes += self.shared.weight_behind(count, more);
                    count += more;
                    told.push(flushed);
                }
                other => {
                    next = other;
                    break;
                }
            }
        }
        let written = self.write(count).await;
        if let Err(error) = &written {
            self.shared.fail(error);
        }
        for flushed in told {
            flushed.io_completed(written.clone().map_err(Into::into));
        }
        next
    }

    /// Writes the oldest entries that wait; durable when it returns.
    async fn write(&mut self, count: usize) -> Result<(), LogError> {
        self.shared.check()?;
        let mut left = count;
        while left > 0 {
            let written = match self.shared.next(left) {
                (entries, None) => self.lay_down(&entries).await?,
                (_, Some(placed)) => {
                    let count = placed.entries().count();
                    self.log.append_placed(placed).await?;
                    count
                }
            };
            assert!((1..=left).contains(&written), "what is ordered waits, and comes together");
            left -= written;
            if left > 0 {
                self.shared.written(written);
            } else {
                self.log.flush().await?;
                let after = self.log.state();
                assert_eq!(after.durable, after.end, "what is told to be flushed is durable");
                self.shared.written(written);
            }
        }
        Ok(())
    }

    /// Lays entries down behind the log, and writes them; how many.
    async fn lay_down(&mut self, entries: &[EntryOf<Types>]) -> Result<usize, LogError> {
        let Some(first) = entries.first().map(|entry| LogIndex(entry.log_id.index)) else {
            return Ok(0);
        };
        let before = self.log.state();
        if first > before.next {
            assert_eq!(before.first, before.next, "only a log that is empty begins elsewhere");
            self.log.restart_at(first).await?;
        }
        if let Some(founder) = founder(&entries[0]) {
            self.log.begin_as(founder).await?;
        }
        let mut timestamp = before.last_timestamp;
        let mut parts: Vec<(_, Body)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let part = to_log(entry, timestamp);
            timestamp = part.0.timestamp;
            parts.push(part);
        }
        let given: Vec<_> = parts.iter().map(|(head, body)| (*head, body.bytes())).collect();
        let appended = self.log.append(&given).await;
        appended.map_err(|error| self.name(error))?;
        Ok(entries.len())
    }

    /// An operator is told which group it is whose logs differ.
    fn name(&self, error: EntryLogError) -> LogError {
        let EntryLogError::OtherLog(other) = error else { return error.into() };
        let error = LogError::OtherLog { group: self.shared.group.get().cloned(), other };
        tracing::error!("{error}");
        error
    }

    /// Lets this member lead in `term`, if all that was accepted is applied; whether it does.
    fn lead(&self, term: Term) -> bool {
        if !self.shared.is_drained() {
            return false;
        }
        let Some(placer) = self.log.take_placer(term) else { return false };
        self.shared.placing.borrow_mut().lead(placer);
        true
    }

    /// Writes a piece of what was damaged. A write that fails is the end of the log, as any other.
    async fn mend(&mut self, mend: Mend) {
        let Mend { patch, number, entries, told } = mend;
        let given: Vec<_> = entries.iter().map(|(head, body)| (*head, body.bytes())).collect();
        let written = self.log.mend(&patch, number, &given).await;
        drop(told.send(written)); // Whoever asked may be gone.
    }

    async fn save_vote(&mut self, vote: VoteOf<Types>) -> Result<(), LogError> {
        self.shared.check()?;
        let before = self.shared.vote.get();
        assert!(before.is_none_or(|before| vote >= before), "{vote} cannot follow {before:?}");
        let (term, voted_for) = (Term(vote.leader_id.term), vote.leader_id.voted_for.0);
        self.log.save_promise(Promise { term, voted_for, elected: vote.committed }).await?;
        self.shared.vote.set(Some(vote));
        Ok(())
    }

    async fn save_given_up(&mut self, recovery: u32) -> Result<(), LogError> {
        self.shared.check()?;
        Ok(self.log.save_given_up(recovery).await?)
    }

    async fn truncate(&mut self, from: LogIndex) -> Result<(), LogError> {
        self.shared.check()?;
        self.shared.placing.borrow_mut().follow(); // it knows an end that goes
        self.shared.cut();
        self.log.truncate(from).await?;
        self.shared.follow(&self.log.state());
        Ok(())
    }

    /// Nothing is deleted: entries go when the log is trimmed. Only a log that ends before is given up, because
    /// what comes next does not follow it.
    async fn purge(&mut self, upto: LogIdOf<Types>) -> Result<(), LogError> {
        self.shared.check()?;
        let (before, term) = (behind(Some(&upto)), Term(upto.leader_id.term));
        if before <= self.log.purged().before {
            return Ok(());
        }
        self.compare(&upto).await?;
        // Should the power go now, the next start gives the log up.
        self.log.save_purged(Purged { before, term }).await?;
        self.shared.purge(Some(upto));
        let next = self.log.state().next;
        if before > next {
            self.shared.cut();
            self.log.restart_at(before).await?;
            self.shared.follow(&self.log.state());
        } else {
            self.log.commit(before);
        }
        Ok(())
    }

    /// The log has the entry `id`, or none at its place, as far as that is known at once: openraft does nothing else
    /// meanwhile, and a long way through a segment would cost a leader its office. What is damaged says nothing, and goes.
    async fn compare(&self, id: &LogIdOf<Types>) -> Result<(), LogError> {
        let index = LogIndex(id.index);
        if !self.shared.reader.is_near(index) {
            return Ok(());
        }
        let entries = match self.shared.reader.read(index..index.next(), 1).await {
            Err(EntryLogError::Store(error)) if error.damaged_at().is_some() => return Ok(()),
            read => read?,
        };
        let Some(entry) = entries.first() else { return Ok(()) };
        let (found, snapshot) = (entry.head.term.0, id.leader_id.term);
        if found == snapshot {
            Ok(())
        } else {
            Err(LogError::OtherTerm { index: id.index, found, snapshot })
        }
    }
}

/// The store that the log of a group begins as, if this is its first entry: all members come to the same.
fn founder(first: &EntryOf<Types>) -> Option<StoreId> {
    if first.log_id.index > 0 {
        return None;
    }
    let EntryPayload::Membership(group) = &first.payload else { return None };
    group.voter_ids().min().map(|id| id.0)
}
