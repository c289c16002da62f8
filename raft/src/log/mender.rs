//! Repairing this member's log, and lending others what they lack for theirs.

use std::ops::Range;
use std::rc::Rc;

use model::{LogIndex, PhysicalOffset, UnixMillis};
use openraft::type_config::alias::EntryOf;
use runtime::channel::{WeakSender, oneshot};
use storage::{Damage, EntryHead, EntryReader, Misfit, Patch, Proof, StoreError};

use super::entry::{Body, behind, from_log, to_log};
use super::error::LogError;
use super::shared::Shared;
use super::writer::{Mend, Order};
use crate::types::Types;

/// For the one who repairs. Clones are the same.
#[derive(Clone)]
pub(crate) struct Mender {
    pub(super) shared: Rc<Shared>,
    pub(super) orders: WeakSender<Order>,
}

impl Mender {
    /// Entries before this index are committed, as far as this member knows.
    pub(crate) fn committed(&self) -> LogIndex {
        behind(self.shared.committed.get().as_ref())
    }

    /// What was read last and was damaged.
    pub(crate) fn damaged(&self) -> Option<LogError> {
        self.shared.damaged()
    }

    /// The first damage around `offset`, if there is some.
    pub(crate) async fn look(&self, offset: PhysicalOffset) -> Result<Option<Damage>, StoreError> {
        self.log().look(offset).await
    }

    /// Begins to prove what takes the place of what is damaged.
    pub(crate) fn prove(&self, damage: &Damage, committed: LogIndex) -> Proof {
        self.log().prove(damage, committed)
    }

    /// Writes a piece of what was proven, in turn with all that is written. It is durable then, and was read back.
    pub(crate) async fn mend(
        &self,
        patch: &Rc<Patch>,
        number: usize,
        entries: Vec<(EntryHead, Body)>,
    ) -> Result<(), Misfit> {
        let orders = self.orders.upgrade().ok_or(Misfit::Gone)?;
        let (tell, told) = oneshot();
        let mend = Mend { patch: Rc::clone(patch), number, entries, told: tell };
        orders.send(Order::Mend(mend)).await.map_err(|_| Misfit::Gone)?;
        told.await.map_err(|_| Misfit::Gone)?
    }

    /// Committed entries for a member whose log is damaged: those of `range` from its first one on, fewer once they come to
    /// `max_bytes` bytes, but one at least.
    ///
    /// # Errors
    /// This member does not have the first one, or does not know it to be committed, or cannot read it; the text says why.
    pub(crate) async fn lend(
        &self,
        range: Range<LogIndex>,
        max_bytes: usize,
    ) -> Result<Vec<EntryOf<Types>>, String> {
        let (first, committed) = (range.start, self.committed());
        if first >= committed {
            return Err(format!(
                "it knows that entries before {committed} are committed, and is asked for entry {first}"
            ));
        }
        let read = self.log().read(first..range.end.min(committed), max_bytes).await;
        let read = read.map_err(|error| error.to_string())?;
        if read.first().is_none_or(|entry| entry.head.index != first) {
            return Err(format!("entry {first} is trimmed there"));
        }
        let entries: Result<_, _> = read.into_iter().map(from_log).collect();
        entries.map_err(|error| error.to_string())
    }

    fn log(&self) -> &EntryReader {
        &self.shared.reader
    }
}

/// An entry of another member, as it would be written here.
pub(crate) fn as_written(entry: &EntryOf<Types>) -> (EntryHead, Body) {
    to_log(entry, UnixMillis(0))
}
