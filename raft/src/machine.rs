//! What is committed, applied: openraft's state machine is the store.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use futures::{Stream, StreamExt};
use model::{LogIndex, Term};
use openraft::RaftSnapshotBuilder;
use openraft::storage::{EntryResponder, RaftStateMachine, Snapshot};
use openraft::type_config::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use runtime::channel::Flag;
use storage::{AppliedState, Applier, Store, StoreError, StoreSnapshot};

use crate::log::{Helm, body_of, id_before, membership};
use crate::net::{MAX_SNAPSHOT, SnapshotBytes};
use crate::types::Types;

/// Up to where entries are applied, and who belongs to the group then.
type Applied = (Option<LogIdOf<Types>>, StoredMembershipOf<Types>);

/// Applies committed entries to the store of this member.
pub struct Machine {
    snapshots: Snapshots,
    applier: Applier,
    staged: Flag,
}

impl Machine {
    /// For a store whose log, at whose `helm` is who is told, was read. `staged` is raised when a snapshot is to take its place.
    pub(crate) fn new(store: Store, helm: Helm, applier: Applier, staged: Flag) -> Self {
        let snapshots = Snapshots { store, helm, unreadable: Rc::default(), large: Rc::default() };
        Self { snapshots, applier, staged }
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
/// checkpoint where the log begins since. Clones are the same.
///
/// Where no such checkpoint can be read there is a snapshot without bytes: openraft takes an error for the end of the member, and
/// all that this one cannot do is to bring up a member that lacks what was purged.
#[derive(Clone)]
pub struct Snapshots {
    store: Store,
    helm: Helm,
    /// An operator was told so.
    unreadable: Rc<Cell<bool>>,
    /// Likewise.
    large: Rc<Cell<bool>>,
}

impl Snapshots {
    async fn current(&self) -> Result<Option<SnapshotOf<Types, Vec<u8>>>, io::Error> {
        let taken = match self.store.snapshot().await {
            Ok(taken) => taken,
            Err(error) => return Ok(self.without_bytes(&error)),
        };
        self.unreadable.set(false);
        let Some(StoreSnapshot { next, term, group, bytes }) = taken else { return Ok(None) };
        self.warn_of_size(bytes.len());
        let last_membership = stored(Some(group))?;
        let meta = SnapshotMetaOf::<Types> { last_log_id: id_before(next, term), last_membership };
        Ok(Some(Snapshot { meta, snapshot: bytes }))
    }

    /// Says once that a snapshot is about to be too large to be sent.
    fn warn_of_size(&self, bytes: usize) {
        let is_large = bytes > MAX_SNAPSHOT / 2;
        if is_large && !self.large.replace(true) {
            tracing::warn!(
                group = %self.helm.group(), bytes, limit = MAX_SNAPSHOT,
                "a checkpoint of this shard has more than a half of what can be sent to a member that lacks what was trimmed. Delete topics \
                 and groups that nobody uses, or spread them over more brokers, before a node has to be replaced"
            );
        }
    }

    /// One that stands for what is purged. `None` if nothing is: then nobody needs any.
    fn without_bytes(&self, error: &StoreError) -> Option<SnapshotOf<Types, Vec<u8>>> {
        if !self.unreadable.replace(true) {
            tracing::error!(
                group = %self.helm.group(), %error,
                "no checkpoint can be read where the trimmed log could begin. This member goes on; as a leader it cannot bring up one \
                 that lacks what was trimmed, until the next segment of its log is full"
            );
        }
        let last_log_id = Some(self.helm.purged()?);
        let meta = SnapshotMetaOf::<Types> { last_log_id, ..Default::default() };
        Some(Snapshot { meta, snapshot: Vec::new() })
    }
}

impl SnapshotBytes for Vec<u8> {
    fn size(&self) -> Option<usize> {
        Some(self.as_slice().len()).filter(|len| *len > 0)
    }

    fn into_bytes(self) -> Vec<u8> {
        self
    }

    /// openraft goes by what a snapshot is said to stand for, the store by its bytes.
    fn from_bytes(bytes: Vec<u8>, meta: &SnapshotMetaOf<Types>) -> Result<Self, String> {
        let (last, group) =
            applied(storage::snapshot_state(&bytes)?).map_err(|error| error.to_string())?;
        if (&last, &group) == (&meta.last_log_id, &meta.last_membership) {
            return Ok(bytes);
        }
        let id = |id: &Option<LogIdOf<Types>>| id.map_or("nothing".to_owned(), |id| id.to_string());
        Err(format!(
            "the snapshot is said to stand for what is before {} and for members as of {}, and its bytes are of {} and {}. This is a bug \
             of the one who sends it",
            id(&meta.last_log_id),
            id(meta.last_membership.log_id()),
            id(&last),
            id(group.log_id())
        ))
    }
}

impl RaftSnapshotBuilder<Types> for Snapshots {
    type SnapshotData = Vec<u8>;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Types, Vec<u8>>, io::Error> {
        if let Some(current) = self.current().await? {
            return Ok(current);
        }
        if self.unreadable.get() {
            // Of nothing: openraft keeps what it knows.
            return Ok(Snapshot { meta: SnapshotMetaOf::<Types>::default(), snapshot: Vec::new() });
        }
        Err(io::Error::other("nothing was trimmed, and a snapshot stands for what was"))
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
        self.snapshots.clone()
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
        self.snapshots.current().await
    }
}
