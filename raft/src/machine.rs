//! What is committed, applied: openraft's state machine is the store.

use std::io;

use futures::{Stream, StreamExt};
use model::LogIndex;
use openraft::RaftSnapshotBuilder;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::type_config::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use storage::{AppliedState, Applier};

use crate::log::{body_of, membership};
use crate::types::Types;

/// Up to where entries are applied, and who belongs to the group then.
type Applied = (Option<LogIdOf<Types>>, StoredMembershipOf<Types>);

/// Applies committed entries to the store of this member.
pub struct Machine {
    applier: Applier,
}

impl Machine {
    /// For a store whose log was read.
    pub fn new(applier: Applier) -> Self {
        Self { applier }
    }
}

fn applied(state: AppliedState) -> Result<Applied, io::Error> {
    let last = state.next.0.checked_sub(1);
    let last = last.map(|last| LogIdOf::<Types>::new_term_index(state.term.0, last));
    let Some((index, term, payload)) = state.group else {
        return Ok((last, StoredMembershipOf::<Types>::default()));
    };
    let group = membership::decode(&payload).map_err(io::Error::other)?;
    let at = LogIdOf::<Types>::new_term_index(term.0, index.0);
    Ok((last, StoredMembershipOf::<Types>::new(Some(at), group)))
}

fn no_snapshots() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "there are no snapshots")
}

/// Makes snapshots.
pub struct Snapshots;

impl RaftSnapshotBuilder<Types> for Snapshots {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Types, ()>, io::Error> {
        Err(no_snapshots())
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = ();
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
            let index = LogIndex(entry.log_id.index);
            self.applier.apply(index, body_of(&entry)).await.map_err(io::Error::other)?;
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Snapshots {
        Snapshots
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMetaOf<Types>,
        _snapshot: (),
    ) -> Result<(), io::Error> {
        Err(no_snapshots())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<Types, ()>>, io::Error> {
        Ok(None)
    }
}
