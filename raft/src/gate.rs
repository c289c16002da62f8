//! What a member takes from a leader: nothing that it could not write, because its disk is full or its log has no place for it.
//!
//! What openraft has accepted it has to be told to be flushed before it is told the same of a vote. So an entry that waits for room
//! on the disk would keep this member from voting, and a group that has lost its leader from electing one. It is refused at the door
//! instead, and the leader sends it again.
//!
//! While a snapshot is put in the place of the log, openraft goes by the snapshot, and accepts what comes behind it; the log takes it
//! only when the member has been started again. It is refused at the door, too: for openraft the log's error would be the member's end.

use std::cell::Cell;
use std::future::ready;
use std::rc::Rc;

use futures::future::LocalBoxFuture;
use futures::{StreamExt, stream};
use model::LogIndex;
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::{SnapshotMetaOf, VoteOf};
use runtime::channel::oneshot;
use storage::{Reserved, Store};

use crate::admitted::Admitted;
use crate::heard::Heard;
use crate::log::{Helm, disk_len};
use crate::net::{Handled, Handler, Requests, Results};
use crate::node::Raft;
use crate::types::Types;

const FULL: &str = "its disk has no room for more of the log. Free some space there";
const COPIES: &str =
    "a snapshot is being put in the place of its log, and what comes behind it is taken after that";

/// Answers for a member: openraft does, but for what there is no room for.
#[derive(Clone)]
pub struct Gate {
    raft: Raft,
    store: Store,
    helm: Helm,
    heard: Heard,
    admitted: Admitted,
    /// Snapshots that are being put in the place of the log.
    copies: Rc<Cell<u32>>,
}

/// Whether the log has all that is before the entries of a request, or may have: it ends before the index `end`.
fn continues(request: &AppendEntriesRequest<Types>, end: u64) -> bool {
    let before = request.prev_log_id.map_or(0, |last| last.index + 1);
    request.entries.is_empty() || before <= end
}

/// Bytes that the entries of a request take on the disk.
fn bytes_of(request: &AppendEntriesRequest<Types>) -> u64 {
    request.entries.iter().map(disk_len).sum()
}

impl Gate {
    pub(crate) fn new(raft: Raft, store: Store, helm: Helm, heard: Heard) -> Self {
        let (admitted, copies) = Default::default();
        Self { raft, store, helm, heard, admitted, copies }
    }

    /// Why a request is refused, if it is.
    fn obstacle(&self, request: &AppendEntriesRequest<Types>) -> Option<&'static str> {
        self.heard.hear(LogIndex(request.leader_commit.map_or(0, |last| last.index + 1)));
        if self.copies.get() > 0 && !continues(request, self.helm.end().0) {
            return Some(COPIES);
        }
        (!self.admits(bytes_of(request))).then_some(FULL)
    }

    /// Whether there is room for entries of so many bytes, behind all that waits: what was let in, and what the log has taken of a
    /// connection that is gone by now.
    fn admits(&self, bytes: u64) -> bool {
        let waits = self.admitted.bytes().max(self.helm.waiting_bytes() as u64);
        bytes == 0 || self.store.has_room(waits + bytes)
    }
}

/// Has a snapshot installed. With an error the core has ended: what was laid down is for the next start.
async fn install(
    raft: &Raft,
    (vote, meta, bytes): (VoteOf<Types>, SnapshotMetaOf<Types>, Vec<u8>),
    reserved: Reserved,
) -> Handled<SnapshotResponse<Types>> {
    let response = Handler::install_snapshot(raft, vote, meta, bytes).await?;
    reserved.give_back().await; // it was not wanted: of a leader that was deposed, or known already
    Ok(response)
}

impl Handler for Gate {
    /// Ends behind a request that is refused.
    fn append_all(&self, requests: Requests) -> Results {
        let (gate, obstacle) = (self.clone(), Rc::new(Cell::new(None)));
        let (noted, stream) = (Rc::clone(&obstacle), Rc::new(self.admitted.stream()));
        let entered = Rc::clone(&stream);
        let admitted = requests.take_while(move |request| {
            let obstacle = gate.obstacle(request);
            if obstacle.is_none() {
                entered.enters(bytes_of(request));
            }
            noted.set(obstacle);
            ready(obstacle.is_none())
        });
        let results = Handler::append_all(&self.raft, admitted.boxed_local());
        let results = results.inspect(move |_| stream.is_answered());
        let refusal = stream::once(async move { obstacle.get().map(|why| Err(why.to_owned())) });
        results.chain(refusal.filter_map(ready)).boxed_local()
    }

    fn append(
        &self,
        request: AppendEntriesRequest<Types>,
    ) -> LocalBoxFuture<'static, Handled<StreamAppendResult<Types>>> {
        match self.obstacle(&request) {
            None => Handler::append(&self.raft, request),
            Some(why) => Box::pin(ready(Err(why.to_owned()))),
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
        if self.copies.get() > 0 {
            return Box::pin(ready(Err(COPIES.to_owned())));
        }
        let (copies, (tell, told)) = (Rc::clone(&self.copies), oneshot());
        copies.set(copies.get() + 1);
        let (raft, store) = (self.raft.clone(), self.store.clone());
        // It goes on when nobody waits for the answer any more: the connection may be lost meanwhile.
        let to_its_end = async move {
            // A disk that fills up while it is laid down would end the core.
            let reserved = store.reserve_for_snapshot(bytes.len()).await;
            drop(store); // once it is laid down the store is opened again, which nobody may have by then
            let installed = match reserved {
                Ok(reserved) => install(&raft, (vote, meta, bytes), reserved).await,
                Err(error) => Err(format!("its disk does not take a snapshot: {error}")),
            };
            copies.set(copies.get() - 1);
            drop(tell.send(installed));
        };
        runtime::spawn(to_its_end).detach();
        Box::pin(
            async move { told.await.unwrap_or_else(|_| Err("it is being stopped".to_owned())) },
        )
    }
}

#[cfg(test)]
mod tests {
    use openraft::entry::RaftEntry;
    use openraft::type_config::alias::{EntryOf, LogIdOf};
    use storage::StoreId;

    use super::*;
    use crate::types::MemberId;

    #[test]
    fn entries_behind_a_snapshot_that_is_under_way_do_not_continue_an_empty_log() {
        let id = |index| LogIdOf::<Types>::new_term_index(3, index);
        let request = |before: Option<u64>, count: u64| {
            let first = before.map_or(0, |last| last + 1);
            let entries = (first..first + count).map(|at| EntryOf::<Types>::new_blank(id(at)));
            AppendEntriesRequest::<Types> {
                vote: VoteOf::<Types>::new(3, MemberId(StoreId(1))),
                prev_log_id: before.map(id),
                entries: entries.collect(),
                leader_commit: None,
            }
        };
        assert!(!continues(&request(Some(6), 1), 0));
        assert!(continues(&request(Some(6), 0), 0), "a heartbeat appends nothing");
        assert!(continues(&request(None, 2), 0));
        assert!(continues(&request(Some(6), 1), 7) && continues(&request(Some(3), 1), 7));
    }
}
