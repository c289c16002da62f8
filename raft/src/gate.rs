//! What a member takes from a leader: nothing that it could not write, because its disk is full or its log has no place for it.
//!
//! What openraft has accepted it has to be told to be flushed before it is told the same of a vote. So an entry that waits for room
//! on the disk would keep this member from voting, and a group that has lost its leader from electing one. It is refused at the door
//! instead, and the leader sends it again.
//!
//! Once openraft has a snapshot that is to take the place of the log, it goes by that, and accepts what comes behind it; the log takes it
//! only when the member has been started again. Entries are refused at the door from then on: for openraft the log's error would be
//! the member's end.

use std::cell::Cell;
use std::future::ready;
use std::rc::Rc;

use futures::future::LocalBoxFuture;
use futures::{StreamExt, stream};
use model::LogIndex;
use openraft::async_runtime::WatchReceiver;
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::{SnapshotMetaOf, VoteOf};
use runtime::channel::{Flag, oneshot};
use storage::Store;

use crate::admitted::Admitted;
use crate::heard::Heard;
use crate::installing::{Installing, UnderWay};
use crate::log::{Helm, disk_len};
use crate::net::{Handled, Handler, Requests, Results};
use crate::node::Raft;
use crate::types::Types;

const FULL: &str = "its disk has no room for more of the log. Free some space there";
const INSTALLS: &str =
    "a snapshot is being put in the place of its log, and what comes behind it is taken after that";
/// What a snapshot comes to: who it is for, what it stands for, and its bytes.
type Sent = (VoteOf<Types>, SnapshotMetaOf<Types>, Vec<u8>);

/// Answers for a member: openraft does, but for what there is no room for.
#[derive(Clone)]
pub struct Gate {
    raft: Raft,
    store: Store,
    helm: Helm,
    heard: Heard,
    admitted: Admitted,
    installing: Installing,
    /// Raised when a snapshot has been laid down.
    staged: Flag,
}

/// Bytes that the entries of a request take on the disk.
fn bytes_of(request: &AppendEntriesRequest<Types>) -> u64 {
    request.entries.iter().map(disk_len).sum()
}

impl Gate {
    pub(crate) fn new(
        raft: Raft,
        (store, helm): (Store, Helm),
        heard: Heard,
        (installing, staged): (Installing, Flag),
    ) -> Self {
        Self { raft, store, helm, heard, admitted: Admitted::default(), installing, staged }
    }

    /// Why a request is refused, if it is.
    fn obstacle(&self, request: &AppendEntriesRequest<Types>) -> Option<&'static str> {
        self.heard.hear(LogIndex(request.leader_commit.map_or(0, |last| last.index + 1)));
        if self.installing.is_handed_over() && !request.entries.is_empty() {
            return Some(INSTALLS);
        }
        (!self.admits(bytes_of(request))).then_some(FULL)
    }

    /// Whether there is room for entries of so many bytes, behind all that waits: what was let in, and what the log has taken of a
    /// connection that is gone by now.
    fn admits(&self, bytes: u64) -> bool {
        let waits = self.admitted.bytes().max(self.helm.waiting_bytes() as u64);
        bytes == 0 || self.store.has_room(waits + bytes)
    }

    /// Has a snapshot installed. Once it is laid down the core ends, with an error; it is put into place by the next start.
    async fn install(
        &self,
        (vote, meta, bytes): Sent,
        under_way: UnderWay,
    ) -> Handled<SnapshotResponse<Types>> {
        // A disk that fills up while it is laid down would end the core.
        let reserved = match self.knows(&meta)? {
            true => None,
            false => Some(self.store.reserve_for_snapshot(bytes.len()).await.map_err(no_space)?),
        };
        under_way.hand_over();
        let installed = Handler::install_snapshot(&self.raft, vote, meta, bytes).await;
        match reserved {
            _ if self.staged.is_raised() => under_way.laid_down(),
            Some(reserved) => reserved.give_back().await, // it was not wanted, or is none for this store
            None => {}
        }
        installed
    }

    /// Whether all that a snapshot stands for is committed here: it is sent once more to a member that has just been started with it.
    ///
    /// # Errors
    /// The core has ended.
    fn knows(&self, meta: &SnapshotMetaOf<Types>) -> Handled<bool> {
        let metrics = self.raft.metrics();
        let seen = metrics.borrow_watched();
        match &seen.running_state {
            Ok(()) => Ok(meta.last_log_id <= seen.local_committed),
            Err(why) => Err(why.to_string()),
        }
    }
}

fn no_space(why: String) -> String {
    format!("its disk does not take a snapshot: {why}")
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
        let Some(under_way) = self.installing.begin() else {
            // The connection of the one before was lost, or its answer is late. Nothing is gained by sending it again at once.
            let installing = self.installing.clone();
            return Box::pin(async move {
                installing.over().await;
                Err(INSTALLS.to_owned())
            });
        };
        let (gate, (tell, told)) = (self.clone(), oneshot());
        // It goes on when nobody waits for the answer any more: the connection may be lost meanwhile. It holds the store, which is
        // opened again only when this has let go of it.
        let to_its_end = async move {
            drop(tell.send(gate.install((vote, meta, bytes), under_way).await));
        };
        runtime::spawn(to_its_end).detach();
        Box::pin(
            async move { told.await.unwrap_or_else(|_| Err("it is being stopped".to_owned())) },
        )
    }
}
