//! A network in memory: calls that take their time, and nodes that can be cut off.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use openraft::errors::{
    NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable,
};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::{SnapshotOf, VoteOf};
use raft::{Member, MemberId, Types};

use crate::machine::Machine;

pub type Raft = openraft::Raft<Types, Machine>;

/// The wires between all nodes. Clones are the same.
#[derive(Clone, Default)]
pub struct Wires {
    nodes: Rc<RefCell<BTreeMap<MemberId, Raft>>>,
    cut_off: Rc<Cell<Option<MemberId>>>,
}

impl Wires {
    pub fn add(&self, id: MemberId, raft: Raft) {
        self.nodes.borrow_mut().insert(id, raft);
    }

    /// There are no nodes any more.
    pub fn forget(&self) {
        self.nodes.borrow_mut().clear();
    }

    /// Cuts off this node, and nobody else.
    pub fn cut_off(&self, id: Option<MemberId>) {
        self.cut_off.set(id);
    }

    /// One way of one message. A message to or from a node that is cut off is lost.
    async fn travel(&self, from: MemberId, to: MemberId) -> Result<(), RPCError<Types>> {
        runtime::sleep(Duration::from_micros(100 + runtime::random_below(1000))).await;
        if [Some(from), Some(to)].contains(&self.cut_off.get()) {
            return Err(Unreachable::from_string("cut off").into());
        }
        Ok(())
    }
}

/// Dials for one node.
pub struct Dialer {
    pub from: MemberId,
    pub wires: Wires,
}

/// From one node to another.
pub struct Link {
    from: MemberId,
    to: MemberId,
    wires: Wires,
}

impl RaftNetworkFactory<Types> for Dialer {
    type Network = Link;

    async fn new_client(&mut self, target: MemberId, _member: &Member) -> Link {
        Link { from: self.from, to: target, wires: self.wires.clone() }
    }
}

impl Link {
    /// There, the call, and back.
    async fn call<R, F: Future<Output = Result<R, RaftError<Types>>>>(
        &self,
        call: impl FnOnce(Raft) -> F,
    ) -> Result<R, RPCError<Types>> {
        self.wires.travel(self.from, self.to).await?;
        let node = self.wires.nodes.borrow().get(&self.to).cloned();
        let node = node.ok_or_else(|| Unreachable::from_string("not started"))?;
        let answer = call(node).await.map_err(|error| NetworkError::new(&error))?;
        self.wires.travel(self.to, self.from).await?;
        Ok(answer)
    }
}

impl RaftNetworkV2<Types> for Link {
    type SnapshotData = ();

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        self.call(|node| async move { node.append_entries(request).await }).await
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.call(|node| async move { node.vote(request).await }).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.call(|node| async move { node.pre_vote(request).await }).await
    }

    async fn full_snapshot(
        &mut self,
        _vote: VoteOf<Types>,
        _snapshot: SnapshotOf<Types, ()>,
        _cancel: impl Future<Output = ReplicationClosed> + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        panic!("without snapshots none is sent");
    }
}
