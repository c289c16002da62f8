//! A state machine that remembers what was applied, in order.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use futures::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::type_config::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::{EntryPayload, RaftSnapshotBuilder};
use raft::Types;

#[derive(Default)]
struct State {
    last: Option<LogIdOf<Types>>,
    membership: StoredMembershipOf<Types>,
    bodies: Vec<Vec<u8>>,
}

/// Clones are the same machine.
#[derive(Clone, Default)]
pub struct Machine {
    state: Rc<RefCell<State>>,
}

impl Machine {
    /// The bodies of all proposals that were applied.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.state.borrow().bodies.clone()
    }
}

fn no_snapshots() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "this machine has no snapshots")
}

impl RaftSnapshotBuilder<Types> for Machine {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Types, ()>, io::Error> {
        Err(no_snapshots())
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = ();
    type SnapshotBuilder = Machine;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogIdOf<Types>>, StoredMembershipOf<Types>), io::Error> {
        let state = self.state.borrow();
        Ok((state.last, state.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin,
    {
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let mut state = self.state.borrow_mut();
            let expected = state.last.map_or(0, |last| last.index + 1);
            assert_eq!(entry.log_id.index, expected, "entries are applied once, in order");
            state.last = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(proposal) => {
                    state.bodies.push(proposal.content().expect("it is placed").body.to_vec())
                }
                EntryPayload::Membership(membership) => {
                    state.membership = StoredMembershipOf::<Types>::new(state.last, membership);
                }
            }
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Machine {
        self.clone()
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
