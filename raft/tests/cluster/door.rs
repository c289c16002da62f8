//! The door through which peers come to a member: what they say, and what they are told, is seen.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use futures::StreamExt;
use futures::future::LocalBoxFuture;
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::{SnapshotMetaOf, VoteOf};
use raft::net::{Handled, Handler, Requests, Results};
use raft::{Gate, Types};

use crate::invariants::flushed::Told;
use crate::witness::Me;

#[derive(Clone)]
pub struct Door {
    pub handler: Gate,
    pub me: Me,
}

impl Door {
    /// A leader says that it is one.
    fn heard(&self, vote: &VoteOf<Types>) -> u64 {
        let term = vote.leader_id.term;
        if vote.committed {
            self.me.seen().leaders.heard(term, vote.leader_id.voted_for);
        }
        term
    }

    /// The leader of that term is told what this member has.
    fn told(&self, leader_term: u64, result: &Handled<StreamAppendResult<Types>>) {
        if let Ok(Ok(Some(last))) = result {
            let told = Told { leader_term, index: last.index, term: last.leader_id.term };
            self.me.tells(told);
        }
    }

    fn voted(&self, candidate: &VoteOf<Types>, result: &Handled<VoteResponse<Types>>) {
        if result.as_ref().is_ok_and(|answer| answer.vote_granted) {
            let id = &candidate.leader_id;
            self.me.seen().votes.given(self.me.member, id.term, id.voted_for);
        }
    }
}

impl Handler for Door {
    fn append_all(&self, requests: Requests) -> Results {
        // Answers come in the order of the requests.
        let asked = Rc::new(RefCell::new(VecDeque::new()));
        let (terms, door) = (Rc::clone(&asked), self.clone());
        let requests = requests
            .inspect(move |request| terms.borrow_mut().push_back(door.heard(&request.vote)));
        let door = self.clone();
        let results = Handler::append_all(&self.handler, requests.boxed_local());
        let results = results.inspect(move |result| {
            let term = asked.borrow_mut().pop_front().expect("it answers what it was asked");
            door.told(term, result);
        });
        results.boxed_local()
    }

    fn append(
        &self,
        request: AppendEntriesRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<StreamAppendResult<Types>>> {
        self.heard(&request.vote);
        Handler::append(&self.handler, request) // a heartbeat: the leader counts on no entry by it
    }

    fn vote(
        &self,
        request: VoteRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<VoteResponse<Types>>> {
        let (door, candidate) = (self.clone(), request.vote);
        let handled = Handler::vote(&self.handler, request);
        Box::pin(async move {
            let result = handled.await;
            door.voted(&candidate, &result);
            result
        })
    }

    fn pre_vote(
        &self,
        request: VoteRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<VoteResponse<Types>>> {
        Handler::pre_vote(&self.handler, request) // nothing is promised
    }

    fn transfer_leader(
        &self,
        request: TransferLeaderRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<TransferLeaderResponse<Types>>> {
        Handler::transfer_leader(&self.handler, request)
    }

    fn install_snapshot(
        &self,
        vote: VoteOf<Types>,
        meta: SnapshotMetaOf<Types>,
        bytes: Vec<u8>,
    ) -> LocalBoxFuture<'static, Handled<SnapshotResponse<Types>>> {
        self.heard(&vote);
        Handler::install_snapshot(&self.handler, vote, meta, bytes)
    }
}
