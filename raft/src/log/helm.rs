//! Letting this member lead: what it proposes is placed from then on.

use std::rc::Rc;

use model::{LogIndex, Term};
use openraft::type_config::alias::LogIdOf;
use runtime::Instant;
use runtime::channel::{WeakSender, oneshot};

use super::error::LogError;
use super::reader::UNREADABLE;
use super::shared::Shared;
use super::writer::Order;
use crate::types::Types;

/// For the one who knows when this member leads. Clones are the same.
#[derive(Clone)]
pub(crate) struct Helm {
    pub(super) shared: Rc<Shared>,
    pub(super) orders: WeakSender<Order>,
}

impl Helm {
    /// Lets this member lead in `term`, if all that the log has accepted is applied; whether it does.
    pub(crate) async fn lead(&self, term: Term) -> bool {
        let Some(orders) = self.orders.upgrade() else { return false };
        let (tell, told) = oneshot();
        orders.send(Order::Lead(term, tell)).await.is_ok() && told.await.unwrap_or(false)
    }

    /// Notes durably that the group has given this member up, in that recovery by force.
    ///
    /// # Errors
    /// It could not be written, or the log is closed.
    pub(crate) async fn given_up(&self, recovery: u32) -> Result<(), LogError> {
        let orders = self.orders.upgrade().ok_or(LogError::Closed)?;
        let (done, told) = oneshot();
        orders.send(Order::GivenUp(recovery, done)).await.map_err(|_| LogError::Closed)?;
        told.await.map_err(|_| LogError::Closed)?
    }

    /// This member leads no more: what it took from its store becomes blank entries.
    pub(crate) fn follow(&self) {
        self.shared.placing.borrow_mut().follow();
    }

    /// What the group is called; for errors. It may be said again.
    pub(crate) fn name_group(&self, name: &str) {
        let named = self.shared.group.get_or_init(|| name.into());
        assert_eq!(&**named, name, "a log belongs to one group");
    }

    /// What the group is called; empty before anybody has said so.
    pub(crate) fn group(&self) -> &str {
        self.shared.group.get().map_or("", |name| name)
    }

    /// Index behind the last entry that was accepted.
    pub(crate) fn end(&self) -> LogIndex {
        LogIndex(self.shared.end())
    }

    /// Index behind the last entry that is written here.
    pub(crate) fn written_end(&self) -> LogIndex {
        LogIndex(self.shared.written_end())
    }

    /// Bytes of the entries that were accepted and are not written yet.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.shared.waiting_bytes()
    }

    /// The last entry that is purged.
    pub(crate) fn purged(&self) -> Option<LogIdOf<Types>> {
        self.shared.purged()
    }

    /// Since when a follower has wanted entries that cannot be read here, unless none does any more.
    pub(crate) fn unreadable_since(&self) -> Option<Instant> {
        self.shared.unreadable_since(UNREADABLE)
    }

    /// Since when entries wait to be written here, and none was.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        self.shared.waiting_since()
    }

    /// Waits until all that the log has accepted is written.
    pub(crate) async fn drained(&self) -> Result<(), LogError> {
        self.shared.drained().await
    }
}
