//! The log of a group's member, for openraft: [`storage::EntryLog`] with a queue before it.
//!
//! openraft appends and goes on: it is told later when an entry is flushed. So the log belongs to a task, which writes
//! what came in while the last write was under way as one batch. Votes, cuts and purges go through the same queue, so
//! nothing ever overtakes anything. What waits can be read already; all else is read from the disk.
//!
//! One vote, one number: how far the log is purged lies beside the vote. Nothing is deleted by it.

mod entry;
mod error;
mod helm;
pub(crate) mod membership;
mod mender;
mod newest;
mod placing;
mod reader;
mod shared;
#[cfg(test)]
mod suite;
mod writer;

use std::io;
use std::rc::Rc;

use model::{LogIndex, Term};
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::vote::RaftVote;
use openraft::{LogState, impls::leader_id_std::LeaderId};
use runtime::Task;
use runtime::channel::{Sender, mpsc, oneshot};
use storage::{EntryLog, InTerm, Options, Promise, Purged, StoreId};

pub use error::LogError;
pub(crate) use helm::Helm;
pub(crate) use mender::{Mender, as_written};
pub use reader::LogReader;

use crate::types::{MemberId, Types};
use entry::behind;
pub(crate) use entry::{Body, body_of};
pub(crate) use entry::{disk_len, id_before, weight};
use shared::Shared;
use writer::{Done, Order, Writer};

/// Calls that wait for the writer. Whoever asks for more waits.
const ORDERS_MAX: usize = 1024;

/// The log, for the one openraft core that changes it. It belongs to the executor that opened it.
///
/// What it is asked for is done in the order in which it is asked for. No call may be cancelled. After an error of a write
/// everything is refused with it, and every append that waits is told.
pub struct RaftLog {
    shared: Rc<Shared>,
    orders: Sender<Order>,
    largest_body: usize,
}

impl RaftLog {
    /// Opens the log in `options.dir`, or makes one. The task writes; it ends, and closes the log, when the
    /// `RaftLog` is dropped. What it returns says whether the log was closed in order.
    ///
    /// Entries are flushed before openraft is told so, whatever `options.flush` says.
    ///
    /// # Errors
    /// [`LogError::Log`]; nothing was changed, except that a purge that a crash has interrupted may be done.
    pub async fn open(options: &Options) -> Result<(Self, Task<Result<(), LogError>>), LogError> {
        Self::new(EntryLog::open(options).await?, None).await
    }

    /// As [`RaftLog::open`], for a log that is open, and the term of the last entry that was `applied`.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn new(
        mut log: EntryLog,
        applied: Option<InTerm>,
    ) -> Result<(Self, Task<Result<(), LogError>>), LogError> {
        let Purged { before, term } = log.purged();
        if before > log.state().next {
            log.restart_at(before).await?;
        }
        log.commit(before);
        let shared = Rc::new(Shared::new(log.reader(), vote_of(log.promise())));
        shared.purge(id_before(before, term));
        shared.follow(&log.state());
        shared.committed.set(committed(&log, &shared, applied).await?);
        let largest_body = log.largest_payload();
        let (orders, receiver) = mpsc(ORDERS_MAX);
        let writer = Writer { log, shared: Rc::clone(&shared), orders: receiver };
        let task = runtime::spawn(writer.run());
        Ok((Self { shared, orders, largest_body }, task))
    }

    /// Bytes of the largest body that a proposal may have. A larger one ends the member when it is appended, so it must be
    /// refused where it comes from.
    #[must_use]
    pub fn largest_body(&self) -> usize {
        self.largest_body
    }

    /// A reader of this log.
    #[must_use]
    pub fn reader(&self) -> LogReader {
        LogReader { shared: Rc::clone(&self.shared) }
    }

    /// The one who lets this member lead.
    pub(crate) fn helm(&self) -> Helm {
        Helm { shared: Rc::clone(&self.shared), orders: self.orders.downgrade() }
    }

    /// The one who repairs it.
    pub(crate) fn mender(&self) -> Mender {
        Mender { shared: Rc::clone(&self.shared), orders: self.orders.downgrade() }
    }

    /// Has the writer do something, and waits until it is done.
    async fn order(&self, order: impl FnOnce(Done) -> Order) -> Result<(), LogError> {
        let (done, told) = oneshot();
        self.orders.send(order(done)).await.map_err(|_| LogError::Closed)?;
        told.await.map_err(|_| LogError::Closed)?
    }
}

fn vote_of(promise: Promise) -> Option<VoteOf<Types>> {
    let Promise { term, voted_for, elected } = promise;
    if term == Term(0) && voted_for == StoreId(0) {
        return None;
    }
    let leader = LeaderId { term: term.0, voted_for: MemberId(voted_for) };
    Some(VoteOf::<Types>::from_leader_id(leader, elected))
}

/// The last entry that the log knows to be committed. Where that is the last one that was `applied` nothing is read: a long way, if a
/// segment ends there.
async fn committed(
    log: &EntryLog,
    shared: &Shared,
    applied: Option<InTerm>,
) -> Result<Option<LogIdOf<Types>>, LogError> {
    let (committed, purged) = (log.state().committed, shared.purged());
    let Some(last) = committed.0.checked_sub(1).map(LogIndex) else { return Ok(None) };
    if committed <= behind(purged.as_ref()) {
        return Ok(purged);
    }
    if let Some((_, term)) = applied.filter(|(index, _)| *index == last) {
        return Ok(id_before(committed, term));
    }
    let entries = shared.reader.read(last..committed, 1).await?;
    Ok(entries.first().and_then(|entry| id_before(committed, entry.head.term)))
}

impl RaftLogStorage<Types> for RaftLog {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        Ok(LogState { last_purged_log_id: self.shared.purged(), last_log_id: self.shared.last() })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        self.reader()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Types>) -> Result<(), io::Error> {
        Ok(self.order(|done| Order::Vote(*vote, done)).await?)
    }

    /// It reaches the disk with an entry that is written later.
    async fn save_committed(&mut self, committed: Option<LogIdOf<Types>>) -> Result<(), io::Error> {
        let known = self.shared.committed.get();
        self.shared.committed.set(committed.max(known));
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogIdOf<Types>>, io::Error> {
        Ok(self.shared.committed.get())
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = EntryOf<Types>>,
    {
        self.shared.room().await?;
        let count = self.shared.accept(entries)?;
        let order = Order::Append { count, flushed };
        Ok(self.orders.send(order).await.map_err(|_| LogError::Closed)?)
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Types>>) -> Result<(), io::Error> {
        Ok(self.order(|done| Order::Truncate(behind(last.as_ref()), done)).await?)
    }

    async fn purge(&mut self, upto: LogIdOf<Types>) -> Result<(), io::Error> {
        Ok(self.order(|done| Order::Purge(upto, done)).await?)
    }
}
