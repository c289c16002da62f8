//! What openraft calls to reach a peer.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::Stream;
use futures::future::{Either, select};
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::{Backoff, RPCOption, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendError,
    StreamAppendResult, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::{SnapshotOf, VoteOf};

use super::error::CallError;
use super::facts::Lane;
use super::peer::Peer;
use super::peers::Peers;
use super::pipeline::{Pipeline, Sent};
use super::snapshot::{self, SnapshotBytes};
use super::wire::frame::Kind;
use super::wire::{WireError, append, transfer, vote};
use crate::types::{Member, MemberId, Types};

/// So many snapshots in a row that a peer has not taken are told of, seconds after the first.
const TELLING: u32 = 4;

/// Makes openraft's ways to its peers. `D` is what the state machine's snapshots are.
pub struct Dialler<D> {
    peers: Peers,
    data: PhantomData<fn() -> D>,
}

impl<D> Dialler<D> {
    /// Over these peers.
    #[must_use]
    pub fn new(peers: Peers) -> Self {
        Self { peers, data: PhantomData }
    }

    fn client(&self, target: MemberId, member: &Member, appends: Lane) -> PeerClient<D> {
        let (peers, peer) = (self.peers.clone(), self.peers.peer(target, member));
        peer.engage();
        PeerClient { peers, peer, appends, data: PhantomData }
    }
}

impl<D: SnapshotBytes> RaftNetworkFactory<Types> for Dialler<D> {
    type Network = PeerClient<D>;

    async fn new_client(&mut self, target: MemberId, member: &Member) -> PeerClient<D> {
        self.client(target, member, Lane::Bulk)
    }

    async fn new_heartbeat_client(&mut self, target: MemberId, member: &Member) -> PeerClient<D> {
        self.client(target, member, Lane::Urgent)
    }
}

/// One of openraft's ways to a peer: all of them share the peer's two connections.
pub struct PeerClient<D> {
    peers: Peers,
    peer: Rc<Peer>,
    /// Where its appends go: those of a stream stay in order on one lane, heartbeats never wait behind them.
    appends: Lane,
    data: PhantomData<fn() -> D>,
}

impl<D> Drop for PeerClient<D> {
    fn drop(&mut self) {
        self.peers.let_go(&self.peer);
    }
}

impl<D> PeerClient<D> {
    /// Asks on the urgent lane, within the time that openraft gives.
    async fn ask<R>(
        &self,
        (kind, action): (Kind, RPCTypes),
        option: &RPCOption,
        fill: impl FnOnce(&mut Vec<u8>),
        read: impl FnOnce(&[u8]) -> Result<R, WireError>,
    ) -> Result<R, RPCError<Types>> {
        let answer = self.peer.ask(Lane::Urgent, kind, option.soft_ttl(), fill).await;
        let read = answer.and_then(|body| read(&body).map_err(CallError::Answer));
        read.map_err(|error| self.rpc_error(error, action))
    }

    fn rpc_error(&self, error: CallError, action: RPCTypes) -> RPCError<Types> {
        let (id, target) = (self.peers.facts().store, self.peer.id());
        match error {
            CallError::Late(timeout) => RPCError::Timeout(Timeout { action, id, target, timeout }),
            // Each of these would come again at once.
            CallError::Unreachable(_)
            | CallError::Failed(_)
            | CallError::Answer(_)
            | CallError::Contradiction(_) => {
                let (addr, why) = (self.peer.addr(), error);
                Unreachable::from_string(format!("{target} at {addr}: {why}")).into()
            }
        }
    }

    /// A snapshot cannot be sent as it is, which only time or an operator changes.
    fn tell_obstacle(&self, why: &str, pause: Duration) {
        let (target, addr) = (self.peer.id(), self.peer.addr());
        tracing::error!(
            group = %self.peers.facts().group, peer = %self.peers.name_of(target), %addr, again_in = ?pause,
            "this member lacks what was trimmed, and cannot be sent the snapshot that stands for it: {why}"
        );
        self.peer.takes(Err(why));
    }

    /// Gives a snapshot up for now: openraft would make it anew at once.
    async fn give_up(
        &self,
        why: &str,
        pause: Duration,
        cancel: impl Future<Output = ReplicationClosed>,
    ) -> StreamingError<Types> {
        let (target, addr) = (self.peer.id(), self.peer.addr());
        match select(pin!(cancel), pin!(runtime::sleep(pause))).await {
            Either::Left((closed, _)) => closed.into(),
            Either::Right(((), _)) => {
                Unreachable::from_string(format!("no snapshot for {target} at {addr}: {why}"))
                    .into()
            }
        }
    }

    /// A snapshot was not sent, or not taken. openraft makes it anew at once, from the disk, and applies nothing meanwhile: so this takes
    /// until there is hope.
    async fn wait_after(
        &self,
        error: CallError,
        cancel: impl Future<Output = ReplicationClosed>,
    ) -> StreamingError<Types> {
        match &error {
            CallError::Late(_) => {}
            CallError::Unreachable(_) => {
                if let Either::Left((closed, _)) =
                    select(pin!(cancel), pin!(self.connected())).await
                {
                    return closed.into();
                }
            }
            CallError::Failed(_) | CallError::Answer(_) | CallError::Contradiction(_) => {
                return self.was_refused(&error.to_string(), cancel).await;
            }
        }
        self.rpc_error(error, RPCTypes::InstallSnapshot).into()
    }

    /// The peer has not taken a snapshot. One that starts again with it says no more either, and is there in a moment.
    async fn was_refused(
        &self,
        why: &str,
        cancel: impl Future<Output = ReplicationClosed>,
    ) -> StreamingError<Types> {
        let limits = &self.peer.net().limits;
        let times = self.peer.refused_snapshot();
        let pause = limits.redial_max.saturating_mul(1 << times.min(16)).min(limits.hopeless);
        if times >= TELLING {
            self.tell_obstacle(why, pause);
        }
        self.give_up(why, pause, cancel).await
    }

    /// Waits until there is a connection for entries and snapshots.
    async fn connected(&self) {
        let limits = &self.peer.net().limits;
        while self.peer.link(Lane::Bulk, limits.connect).await.is_err() {
            runtime::sleep(limits.redial_max).await;
        }
    }

    fn stream<'s, S>(
        &'s self,
        input: S,
        option: RPCOption,
    ) -> BoxStream<'s, Result<StreamAppendResult<Types>, RPCError<Types>>>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + Unpin + 'static,
    {
        let action = RPCTypes::AppendEntries;
        let pipeline = Pipeline::new(input, &self.peer, self.appends, option.soft_ttl());
        let answers = futures::stream::unfold(pipeline, move |mut pipeline| async move {
            let answer = pipeline.next().await?;
            Some((answer.map_err(|error| self.rpc_error(error, action)), pipeline))
        });
        Box::pin(answers)
    }
}

impl<D: SnapshotBytes> RaftNetworkV2<Types> for PeerClient<D> {
    type SnapshotData = D;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let (limit, action) = (option.soft_ttl(), RPCTypes::AppendEntries);
        let sent = Sent::of(&request);
        let fill = |out: &mut Vec<u8>| append::put(out, &request);
        let answer = self.peer.ask(self.appends, Kind::Append, limit, fill).await;
        let result = answer.and_then(|body| sent.judge(&body));
        Ok(match result.map_err(|error| self.rpc_error(error, action))? {
            Ok(matched) if matched == sent.last => AppendEntriesResponse::Success,
            Ok(matched) => AppendEntriesResponse::PartialSuccess(matched),
            Err(StreamAppendError::Conflict(_)) => AppendEntriesResponse::Conflict,
            Err(StreamAppendError::HigherVote(vote)) => AppendEntriesResponse::HigherVote(vote),
        })
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<
        's,
        Result<BoxStream<'s, Result<StreamAppendResult<Types>, RPCError<Types>>>, RPCError<Types>>,
    >
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + Unpin + 'static,
    {
        let answers = self.stream(input, option);
        Box::pin(async move { Ok(answers) })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let fill = |out: &mut Vec<u8>| vote::put(out, &request);
        self.ask((Kind::Vote, RPCTypes::Vote), &option, fill, vote::take_answer).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let fill = |out: &mut Vec<u8>| vote::put(out, &request);
        self.ask((Kind::PreVote, RPCTypes::Vote), &option, fill, vote::take_answer).await
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<Types>,
        snapshot: SnapshotOf<Types, D>,
        cancel: impl Future<Output = ReplicationClosed> + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let limits = &self.peer.net().limits;
        let limit = option.soft_ttl().max(limits.answer);
        let piece = option.snapshot_chunk_size().unwrap_or(limits.piece).clamp(1, limits.piece);
        let mut cancel = pin!(cancel);
        if let Some(why) = snapshot::obstacle(&snapshot.snapshot, limits.max_snapshot) {
            self.tell_obstacle(&why, limits.hopeless);
            return Err(self.give_up(&why, limits.hopeless, cancel).await);
        }
        let sent = {
            let (meta, bytes) = (snapshot.meta, snapshot.snapshot.into_bytes());
            let sending = snapshot::send(&self.peer, vote, meta, &bytes, piece, limit);
            match select(cancel.as_mut(), pin!(sending)).await {
                Either::Left((closed, _)) => return Err(closed.into()),
                Either::Right((sent, _)) => sent,
            }
        };
        match sent {
            Ok(answer) => {
                self.peer.takes(Ok(()));
                Ok(answer)
            }
            Err(error) => Err(self.wait_after(error, cancel).await),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let fill = |out: &mut Vec<u8>| transfer::put(out, &request);
        let (kind, action) = (Kind::Transfer, RPCTypes::TransferLeader);
        self.ask((kind, action), &option, fill, transfer::take_answer).await
    }

    /// As the lanes are dialled again.
    fn backoff(&self) -> Option<Backoff> {
        let (min, max) = {
            let limits = &self.peer.net().limits;
            (limits.redial_min, limits.redial_max)
        };
        let doubled = move |last: &Duration| Some(last.saturating_mul(2).min(max));
        Some(Backoff::new(std::iter::successors(Some(min), doubled)))
    }
}
