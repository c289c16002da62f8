//! What answers peers: openraft, or a test's stand-in.

use futures::StreamExt;
use futures::future::LocalBoxFuture;
use futures::stream::LocalBoxStream;
use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendError,
    StreamAppendResult, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::storage::{RaftStateMachine, Snapshot};
use openraft::type_config::alias::{SnapshotMetaOf, VoteOf};

use super::snapshot::SnapshotBytes;
use crate::types::Types;

/// An answer, or a text that says why there is none.
pub type Handled<T> = Result<T, String>;

/// Requests to append, one after the other.
pub type Requests = LocalBoxStream<'static, AppendEntriesRequest<Types>>;

/// Answers to them, in the same order.
pub type Results = LocalBoxStream<'static, Handled<StreamAppendResult<Types>>>;

/// Answers the requests of peers. What it returns runs on by itself: no connection waits for another one's.
pub trait Handler: 'static {
    /// Appends what comes, in order, several at a time. It may end after an answer that is an error: what was taken in
    /// behind that is given up.
    fn append_all(&self, requests: Requests) -> Results;

    /// Appends once: a heartbeat.
    fn append(
        &self,
        request: AppendEntriesRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<StreamAppendResult<Types>>>;

    /// A candidate asks for a vote.
    fn vote(
        &self,
        request: VoteRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<VoteResponse<Types>>>;

    /// Somebody asks whether he would be voted for.
    fn pre_vote(
        &self,
        request: VoteRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<VoteResponse<Types>>>;

    /// The leader hands over.
    fn transfer_leader(
        &self,
        request: TransferLeaderRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<TransferLeaderResponse<Types>>>;

    /// The leader has sent a whole snapshot.
    fn install_snapshot(
        &self,
        vote: VoteOf<Types>,
        meta: SnapshotMetaOf<Types>,
        bytes: Vec<u8>,
    ) -> LocalBoxFuture<'static, Handled<SnapshotResponse<Types>>>;
}

impl<M> Handler for Raft<Types, M>
where
    M: RaftStateMachine<Types>,
    M::SnapshotData: SnapshotBytes,
{
    fn append_all(&self, requests: Requests) -> Results {
        let results = self.stream_append(requests);
        results.map(|result| result.map_err(|error| error.to_string())).boxed_local()
    }

    fn append(
        &self,
        request: AppendEntriesRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<StreamAppendResult<Types>>> {
        let (raft, before) = (self.clone(), request.prev_log_id);
        let last = request.entries.last().map(|entry| entry.log_id).or(before);
        Box::pin(async move {
            let response = raft.append_entries(request).await.map_err(|error| error.to_string())?;
            Ok(match (response, before) {
                (AppendEntriesResponse::Success, _) => Ok(last),
                (AppendEntriesResponse::PartialSuccess(matched), _) => Ok(matched),
                (AppendEntriesResponse::Conflict, Some(at)) => Err(StreamAppendError::Conflict(at)),
                (AppendEntriesResponse::Conflict, None) => {
                    return Err("a conflict with the beginning of the log".to_owned());
                }
                (AppendEntriesResponse::HigherVote(vote), _) => {
                    Err(StreamAppendError::HigherVote(vote))
                }
            })
        })
    }

    fn vote(
        &self,
        request: VoteRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<VoteResponse<Types>>> {
        let raft = self.clone();
        Box::pin(async move { Raft::vote(&raft, request).await.map_err(|error| error.to_string()) })
    }

    fn pre_vote(
        &self,
        request: VoteRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<VoteResponse<Types>>> {
        let raft = self.clone();
        Box::pin(
            async move { Raft::pre_vote(&raft, request).await.map_err(|error| error.to_string()) },
        )
    }

    fn transfer_leader(
        &self,
        request: TransferLeaderRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<TransferLeaderResponse<Types>>> {
        let raft = self.clone();
        Box::pin(async move {
            raft.handle_transfer_leader(request).await.map_err(|error| error.to_string())
        })
    }

    fn install_snapshot(
        &self,
        vote: VoteOf<Types>,
        meta: SnapshotMetaOf<Types>,
        bytes: Vec<u8>,
    ) -> LocalBoxFuture<'static, Handled<SnapshotResponse<Types>>> {
        let raft = self.clone();
        Box::pin(async move {
            check_behind_committed(&raft, &meta)?;
            let snapshot = M::SnapshotData::from_bytes(bytes, &meta)?;
            let installed = raft.install_full_snapshot(vote, Snapshot { meta, snapshot }).await;
            installed.map_err(|error| error.to_string())
        })
    }
}

/// A snapshot that replaces anything stands for entries behind all that is committed here: openraft takes one that contradicts
/// what is committed for the end of the process, and here it is only that of a sender who is wrong.
fn check_behind_committed<M: RaftStateMachine<Types>>(
    raft: &Raft<Types, M>,
    meta: &SnapshotMetaOf<Types>,
) -> Result<(), String> {
    let committed = raft.metrics().borrow_watched().local_committed;
    match (&meta.last_log_id, committed) {
        (Some(last), Some(committed)) if *last > committed && last.index <= committed.index => {
            Err(format!("the snapshot ends with {last}, and {committed} is committed here"))
        }
        _ => Ok(()),
    }
}
