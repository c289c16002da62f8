//! A member that learns that its group was recovered by force without it: it has been given up, and must not go on.
//!
//! Together with others that were given up it could be a majority of the group as it was, and acknowledge what the group as it is will
//! never have. So it notes durably that it was given up, votes for nobody from then on, and leads no more: not in this life, and
//! in no other.

use std::cell::Cell;
use std::rc::Rc;

use crate::lineage::Lineage;
use crate::log::Helm;
use crate::net::Peers;
use crate::node::Raft;

/// By whom this member was given up, if it has learned so. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct GivenUp(Rc<Cell<Option<Lineage>>>);

impl GivenUp {
    pub(crate) fn by(&self) -> Option<Lineage> {
        self.0.get()
    }
}

/// Ends the core of this member once it learns so.
pub(crate) async fn run(raft: Raft, helm: Helm, peers: Peers, given_up: GivenUp) {
    let by = peers.given_up().await;
    given_up.0.set(Some(by));
    tracing::error!(
        group = %peers.facts().group, store = %peers.facts().store,
        "the group was {by}, without this store, which was given up: it votes and leads no more"
    );
    if let Err(error) = helm.given_up(by.recoveries).await {
        tracing::warn!(%error, "that could not be noted: the next start has to learn it again");
    }
    let Ok(()) = raft.shutdown().await;
}
