//! Entering what is committed: the index, the checkpoints that are due, and the owner's events.

use std::rc::Rc;

use model::{LogIndex, PhysicalOffset, Term};
use runtime::Slice;
use runtime::channel::Sender;
use thiserror::Error;

use super::ahead::{Ahead, Written};
use super::staging::{self, NotStaged};
use crate::apply::{Origin, apply};
use crate::command::Trim;
use crate::entry::{Kind, Replicated};
use crate::error::StoreError;
use crate::keeper::{self, Due};
use crate::membership::{ALONE, Membership, founder_of};
use crate::position::Position;
use crate::store::{Event, Inner};

/// Applies committed entries, one after the other. It belongs to the group, which knows what is committed.
pub struct Applier {
    pub(super) ahead: Rc<Ahead>,
    events: Sender<Event>,
    due: Sender<Due>,
    /// Behind the last entry that was applied.
    position: Position,
}

/// A committed entry could not be entered. The store has failed, and told its owner.
#[derive(Clone, Debug, Error)]
#[error("entry {index} is committed and was not applied: {why}")]
pub struct NotApplied {
    /// Index of the entry.
    pub index: LogIndex,
    /// What was in the way, and what to do.
    pub why: String,
}

/// The last entry that was applied, and who belongs to the group after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedState {
    /// Index of the entry behind it, and its term; index 0 if there is none.
    pub next: LogIndex,
    /// Term of the last entry; 0 if there is none.
    pub term: Term,
    /// The entry that says who belongs to the group: its index, its term, and its payload. `None` before there is one.
    pub group: Option<(LogIndex, Term, Vec<u8>)>,
}

impl Applier {
    pub(super) fn new(
        ahead: Rc<Ahead>,
        events: Sender<Event>,
        due: Sender<Due>,
        position: Position,
    ) -> Self {
        Self { ahead, events, due, position }
    }

    fn inner(&self) -> &Rc<Inner> {
        &self.ahead.inner
    }

    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// How far it has come.
    #[must_use]
    pub fn state(&self) -> AppliedState {
        let index = self.inner().index.borrow();
        let Position { index: next, term, .. } = self.position;
        let group = index.membership().cloned().map(Membership::into_entry);
        AppliedState { next, term, group }
    }

    /// Whether the store was a group of its own when it wrote this entry, which is not applied: what its disk had was committed,
    /// and no group has decided otherwise since, as each later leader had it.
    pub(super) fn was_alone(&self, header: &Replicated, payload: &[u8]) -> bool {
        let inner = self.inner();
        let founder = match inner.index.borrow().membership() {
            Some(Membership::Alone(founder)) => Ok(*founder),
            Some(Membership::Group { .. }) => return false,
            None if header.index == LogIndex(0) => founder_of(payload),
            None => return false,
        };
        header.term == ALONE && founder == Ok(inner.id)
    }

    /// Applies the next entry, which must be the one of `index` and `term`; `payload` is what it holds. Waits until this node has
    /// written it. Not to be cancelled.
    ///
    /// # Errors
    /// The store has failed, or the entry is not what this version understands. The store takes nothing any more then, and its owner
    /// is told.
    ///
    /// # Panics
    /// When another entry is next.
    pub async fn apply(
        &mut self,
        index: LogIndex,
        term: Term,
        payload: Slice,
    ) -> Result<(), NotApplied> {
        let next = self.ahead.next(index).await.map_err(|error| self.fail(index, error))?;
        let Some(written) = next else {
            let why = "the log was closed before it was written, or has failed".to_owned();
            return Err(NotApplied { index, why });
        };
        let Replicated { term: in_log, payload_len, .. } = written.header;
        assert_eq!(
            (in_log, payload_len as usize),
            (term, payload.len()),
            "what is committed is what this member has written"
        );
        let entered = self.enter(written, payload, false).await;
        entered.map_err(|error| self.fail(index, error))
    }

    fn fail(&self, index: LogIndex, error: StoreError) -> NotApplied {
        let why = error.to_string();
        self.inner().fail(error);
        NotApplied { index, why }
    }

    /// Lays down a snapshot that is to take the place of the log, and of all that was applied: [`super::Store::snapshot`] of
    /// another member. Durable when it returns. The next start puts it into place, so nothing must be applied any more.
    ///
    /// # Errors
    /// It is none for this store, or cannot be written; the text says why. A flush that failed is the store's end as well.
    pub async fn stage_snapshot(&mut self, bytes: &[u8]) -> Result<(), String> {
        let inner = self.inner();
        let staged = staging::stage(&inner.options, &inner.checkpoints, self.position, bytes).await;
        staged.map_err(|error| match error {
            NotStaged::Unfit(why) => why,
            NotStaged::Disk(error) => inner.told(error),
        })
    }

    /// Enters an entry that is in the log. `replayed`: it was read at a start.
    pub(super) async fn enter(
        &mut self,
        written: Written,
        payload: Slice,
        replayed: bool,
    ) -> Result<(), StoreError> {
        let inner = Rc::clone(self.inner());
        let Written { header, end, records } = written;
        assert_eq!(header.index, self.position.index, "entries are applied in their order");
        keeper::wait_for_index(&inner).await?;
        self.cut_before(header.offset).await?;
        if header.kind == Kind::Trim {
            self.wait_for_checkpoint(&payload).await?;
        }
        assert!(inner.committed.get() <= header.offset, "what is committed stays committed");
        inner.committed.set(end.offset);
        let origin = match (&records, replayed) {
            (Some(records), _) => Origin::Written(records),
            (None, true) => Origin::Log,
            (None, false) => Origin::Group,
        };
        let applied = apply(&inner, &header, payload, origin).await?;
        drop(self.events.send(Event::Committed(applied)).await);
        self.position = end;
        inner.note_move();
        Ok(())
    }

    /// Ends the growing part of the index where that is due before an entry at `next`.
    async fn cut_before(&self, next: PhysicalOffset) -> Result<(), StoreError> {
        let (inner, before) = (self.inner(), self.position);
        let size = inner.options.segment_size;
        let base = PhysicalOffset(next.0 / size * size);
        let begun = before.index > LogIndex(0);
        if base != inner.index.borrow().segment() {
            keeper::cut(inner, Position { offset: base, ..before }, &self.events, &self.due).await
        } else if begun && keeper::is_due(inner, before.offset) {
            keeper::cut(inner, before, &self.events, &self.due).await
        } else {
            Ok(())
        }
    }

    /// A trim begins with the checkpoint where it ends. Another member had that when it appended the trim; this one has it
    /// once it is written, and a start as well: the life before may have ended while it waited here.
    async fn wait_for_checkpoint(&self, trim: &[u8]) -> Result<(), StoreError> {
        let Ok(Trim { to }) = Trim::from_bytes(trim) else { return Ok(()) }; // whoever applies it says what is wrong
        let (inner, to) = (self.inner(), PhysicalOffset(to));
        loop {
            let progress = inner.progress.notified();
            inner.check()?;
            if inner.newest_checkpoint() >= to || to <= inner.index.borrow().trimmed_to() {
                return Ok(());
            }
            keeper::give_up_if_full(inner)?;
            progress.await;
        }
    }

    /// Has a checkpoint made of all that is applied.
    pub(super) async fn checkpoint(&self) -> Result<(), StoreError> {
        keeper::cut(self.inner(), self.position, &self.events, &self.due).await
    }
}
