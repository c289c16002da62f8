//! What answers in place of openraft: appends wait as long as the test says, and some conflict.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures::StreamExt;
use futures::future::LocalBoxFuture;
use futures::stream::unfold;
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendError, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::{SnapshotMetaOf, VoteOf};
use raft::Types;
use raft::net::{Handled, Handler, Requests, Results};
use runtime::channel::Flag;

/// Clones are the same.
#[derive(Clone, Default)]
pub struct StandIn(Rc<State>);

#[derive(Default)]
pub struct State {
    /// Appends are answered from when it is raised on.
    pub go: Flag,
    /// Bytes of the bodies of all entries that came.
    pub received: Cell<usize>,
    /// The entry that conflicts, once.
    pub conflict: Cell<Option<u64>>,
    /// Why entries are refused, if they are.
    pub refusal: RefCell<Option<String>>,
    /// What votes are answered with, if they fail.
    pub failure: RefCell<Option<String>>,
    pub snapshot: RefCell<Option<(SnapshotMetaOf<Types>, Vec<u8>)>>,
    /// Why snapshots are not taken, if they are not.
    pub no_snapshot: RefCell<Option<String>>,
}

impl std::ops::Deref for StandIn {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl StandIn {
    fn judge(&self, request: &AppendEntriesRequest<Types>) -> StreamAppendResult<Types> {
        let first = request.entries.first().map(|entry| entry.log_id.index);
        if first.is_some() && first == self.conflict.get() {
            self.conflict.set(None);
            return Err(StreamAppendError::Conflict(request.prev_log_id.expect("not the first")));
        }
        Ok(request.entries.last().map(|entry| entry.log_id).or(request.prev_log_id))
    }

    fn granted(
        &self,
        request: &VoteRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<VoteResponse<Types>>> {
        let answer = VoteResponse::new(request.vote, request.last_log_id, true);
        let failure = self.failure.borrow().clone();
        Box::pin(async move { failure.map_or(Ok(answer), Err) })
    }
}

impl Handler for StandIn {
    fn append_all(&self, requests: Requests) -> Results {
        let state = Some((self.clone(), requests));
        unfold(state, |state| async {
            let (this, mut requests) = state?;
            let request = requests.next().await?;
            for entry in &request.entries {
                if let openraft::EntryPayload::Normal(proposal) = &entry.payload {
                    this.received.set(this.received.get() + proposal.content().unwrap().body.len());
                }
            }
            this.go.raised().await;
            let refusal = this.refusal.borrow().clone();
            let result = refusal.map_or_else(|| Ok(this.judge(&request)), Err);
            // As openraft does: after an error there is nothing more.
            let next = matches!(result, Ok(Ok(_))).then_some((this, requests));
            Some((result, next))
        })
        .boxed_local()
    }

    fn append(
        &self,
        request: AppendEntriesRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<StreamAppendResult<Types>>> {
        let result = self.judge(&request);
        Box::pin(async { Ok(result) })
    }

    fn vote(
        &self,
        request: VoteRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<VoteResponse<Types>>> {
        self.granted(&request)
    }

    fn pre_vote(
        &self,
        request: VoteRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<VoteResponse<Types>>> {
        self.granted(&request)
    }

    fn transfer_leader(
        &self,
        _request: TransferLeaderRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<TransferLeaderResponse<Types>>> {
        Box::pin(async { Ok(Ok(())) })
    }

    fn install_snapshot(
        &self,
        vote: VoteOf<Types>,
        meta: SnapshotMetaOf<Types>,
        bytes: Vec<u8>,
    ) -> LocalBoxFuture<'static, Handled<SnapshotResponse<Types>>> {
        if let Some(why) = self.no_snapshot.borrow().clone() {
            return Box::pin(async move { Err(why) });
        }
        self.snapshot.replace(Some((meta, bytes)));
        Box::pin(async move { Ok(SnapshotResponse::new(vote)) })
    }
}
