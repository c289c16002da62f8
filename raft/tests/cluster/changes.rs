//! What an operator does to a group, made by the member that leads.

use std::collections::BTreeSet;

use openraft::ChangeMembers;
use raft::Raft;

use crate::board::{Board, Change};

/// Begins what the driver wants. Whoever does not lead refuses it.
pub fn make(raft: &Raft, board: &Board) {
    let (change, to) = {
        let mut notes = board.notes();
        (notes.change.take(), notes.hand_over.take())
    };
    if let Some(to) = to {
        let raft = raft.clone();
        runtime::spawn(async move { drop(raft.trigger().transfer_leader(to).await) }).detach();
    }
    if let Some(change) = change {
        let (raft, board) = (raft.clone(), board.clone());
        runtime::spawn(async move {
            if commit(&raft, &change).await {
                board.notes().changed.push(change);
            }
        })
        .detach();
    }
}

/// Whether it is committed.
async fn commit(raft: &Raft, change: &Change) -> bool {
    match change.clone() {
        Change::Learner(id, member) => raft.add_learner(id, member, false).await.is_ok(),
        Change::Promote(id) => {
            let voters = ChangeMembers::AddVoterIds(BTreeSet::from([id]));
            raft.change_membership(voters, true).await.is_ok()
        }
        Change::Remove(id) => {
            let voters = ChangeMembers::RemoveVoters(BTreeSet::from([id]));
            raft.change_membership(voters, false).await.is_ok()
        }
    }
}
