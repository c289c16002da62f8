//! What is committed, applied: openraft's state machine is the store.

use std::io;

use futures::{Stream, StreamExt};
use model::{LogIndex, Term};
use openraft::RaftSnapshotBuilder;
use openraft::storage::{EntryResponder, RaftStateMachine, Snapshot};
use openraft::type_config::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use runtime::channel::Flag;
use storage::{AppliedState, Applier, Store, StoreSnapshot};

use crate::log::{body_of, id_before, membership};
use crate::types::Types;

/// Up to where entries are applied, and who belongs to the group then.
type Applied = (Option<LogIdOf<Types>>, StoredMembershipOf<Types>);

/// Applies committed entries to the store of this member.
pub struct Machine {
    store: Store,
    applier: Applier,
    staged: Flag,
}

impl Machine {
    /// For a store whose log was read. `staged` is raised when a snapshot is to take its place.
    pub(crate) fn new(store: Store, applier: Applier, staged: Flag) -> Self {
        Self { store, applier, staged }
    }
}

/// What a group's members wrote of it, as openraft has it.
fn stored(
    group: Option<(LogIndex, Term, Vec<u8>)>,
) -> Result<StoredMembershipOf<Types>, io::Error> {
    let Some((index, term, payload)) = group else {
        return Ok(StoredMembershipOf::<Types>::default());
    };
    let group = membership::decode(&payload).map_err(io::Error::other)?;
    let at = LogIdOf::<Types>::new_term_index(term.0, index.0);
    Ok(StoredMembershipOf::<Types>::new(Some(at), group))
}

fn applied(state: AppliedState) -> Result<Applied, io::Error> {
    Ok((id_before(state.next, state.term), stored(state.group)?))
}

/// The snapshots of a store: each stands for the beginning of the log that a trim has given up, and what it holds is the
/// checkpoint where the log begins since.
#[derive(Clone)]
pub struct Snapshots {
    store: Store,
}

impl Snapshots {
    async fn current(&self) -> Result<Option<SnapshotOf<Types, Vec<u8>>>, io::Error> {
        let taken = self.store.snapshot().await.map_err(io::Error::other)?;
        let Some(StoreSnapshot { next, term, group, bytes }) = taken else { return Ok(None) };
        let last_membership = stored(Some(group))?;
        let meta = SnapshotMetaOf::<Types> { last_log_id: id_before(next, term), last_membership };
        Ok(Some(Snapshot { meta, snapshot: bytes }))
    }
}

impl RaftSnapshotBuilder<Types> for Snapshots {
    type SnapshotData = Vec<u8>;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Types, Vec<u8>>, io::Error> {
        let current = self.current().await?;
        current.ok_or_else(|| {
            io::Error::other("nothing was trimmed, and a snapshot stands for what was")
        })
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Vec<u8>;
    type SnapshotBuilder = Snapshots;

    async fn applied_state(&mut self) -> Result<Applied, io::Error> {
        applied(self.applier.state())
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin,
    {
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let (index, term) = (entry.log_id.index, entry.log_id.leader_id.term);
            let applied = self.applier.apply(LogIndex(index), Term(term), body_of(&entry)).await;
            applied.map_err(io::Error::other)?;
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Snapshots {
        Snapshots { store: self.store.clone() }
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMetaOf<Types>,
        snapshot: Vec<u8>,
    ) -> Result<(), io::Error> {
        self.applier.stage_snapshot(&snapshot).await.map_err(io::Error::other)?;
        self.staged.raise();
        // The core ends with this: the store is put into place by a start, and nothing of the old one may go on.
        Err(io::Error::other("a snapshot is to take the place of the log: the member starts again"))
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<SnapshotOf<Types, Vec<u8>>>, io::Error> {
        Snapshots { store: self.store.clone() }.current().await
    }
}
