//! What a member whose disk is full takes from a leader: nothing that it could not write.
//!
//! What openraft has accepted it has to be told to be flushed before it is told the same of a vote. So an entry that waits for room
//! on the disk would keep this member from voting, and a group that has lost its leader from electing one. It is refused at the door
//! instead, and the leader sends it again.

use std::cell::Cell;
use std::future::ready;
use std::rc::Rc;

use futures::future::LocalBoxFuture;
use futures::{StreamExt, stream};
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::{SnapshotMetaOf, VoteOf};
use storage::Store;

use crate::log::{Helm, weight};
use crate::net::{Handled, Handler, Requests, Results};
use crate::node::Raft;
use crate::types::Types;

const FULL: &str = "its disk has no room for more of the log. Free some space there";

/// Answers for a member: openraft does, but for what there is no room for.
#[derive(Clone)]
pub struct Gate {
    raft: Raft,
    store: Store,
    helm: Helm,
}

impl Gate {
    pub(crate) fn new(raft: Raft, store: Store, helm: Helm) -> Self {
        Self { raft, store, helm }
    }

    /// Whether there is room for these entries, behind all that waits.
    fn admits(&self, request: &AppendEntriesRequest<Types>) -> bool {
        let bytes: usize = request.entries.iter().map(weight).sum();
        bytes == 0 || self.store.has_room((self.helm.waiting_bytes() + bytes) as u64)
    }
}

impl Handler for Gate {
    /// Ends behind a request that there is no room for.
    fn append_all(&self, requests: Requests) -> Results {
        let (gate, is_full) = (self.clone(), Rc::new(Cell::new(false)));
        let noted = Rc::clone(&is_full);
        let admitted = requests.take_while(move |request| {
            noted.set(!gate.admits(request));
            ready(!noted.get())
        });
        let results = Handler::append_all(&self.raft, admitted.boxed_local());
        let refusal = stream::once(async move { is_full.get().then(|| Err(FULL.to_owned())) });
        results.chain(refusal.filter_map(ready)).boxed_local()
    }

    fn append(
        &self,
        request: AppendEntriesRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<StreamAppendResult<Types>>> {
        match self.admits(&request) {
            true => Handler::append(&self.raft, request),
            false => Box::pin(ready(Err(FULL.to_owned()))),
        }
    }

    fn vote(
        &self,
        request: VoteRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<VoteResponse<Types>>> {
        Handler::vote(&self.raft, request)
    }

    fn pre_vote(
        &self,
        request: VoteRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<VoteResponse<Types>>> {
        Handler::pre_vote(&self.raft, request)
    }

    fn transfer_leader(
        &self,
        request: TransferLeaderRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<TransferLeaderResponse<Types>>> {
        Handler::transfer_leader(&self.raft, request)
    }

    fn install_snapshot(
        &self,
        vote: VoteOf<Types>,
        meta: SnapshotMetaOf<Types>,
        bytes: Vec<u8>,
    ) -> LocalBoxFuture<'static, Handled<SnapshotResponse<Types>>> {
        Handler::install_snapshot(&self.raft, vote, meta, bytes)
    }
}
