//! Founding a group: of members that have nothing, or around a store that was a group of its own.

use std::collections::BTreeMap;

use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, InitializeError, RaftError};
use openraft::{ChangeMembers, ServerState};
use thiserror::Error;

use crate::log::{LogError, membership};
use crate::node::Raft;
use crate::types::{Member, MemberId, Types};

/// Why a group was not founded.
#[derive(Debug, Error)]
pub enum FoundError {
    /// A member cannot be called so.
    #[error(transparent)]
    Label(#[from] LogError),
    /// The members are none of a group, or the core has ended.
    #[error("the group cannot be founded: {0}")]
    Core(#[from] RaftError<Types, InitializeError<Types>>),
    /// The store was a group of its own, and its address could not be written.
    #[error("the address of this member cannot be written: {0}")]
    Naming(#[source] Box<RaftError<Types, ClientWriteError<Types>>>),
    /// The core has ended meanwhile.
    #[error("the member has ended before it was named: its log, or the store, says why")]
    Ended,
}

impl From<RaftError<Types, ClientWriteError<Types>>> for FoundError {
    fn from(error: RaftError<Types, ClientWriteError<Types>>) -> Self {
        Self::Naming(Box::new(error))
    }
}

/// Founds the group of these members, see [`crate::Node::found`].
pub(crate) async fn found(
    raft: &Raft,
    members: BTreeMap<MemberId, Member>,
) -> Result<(), FoundError> {
    check_labels(&members)?;
    let id = raft.metrics().borrow_watched().id;
    let own = members.get(&id).cloned();
    match raft.initialize(members).await {
        Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
        done => return Ok(done?),
    }
    match own {
        Some(own) => name_oneself(raft, id, own).await,
        None => Ok(()),
    }
}

/// Whether the log has room for what they are called.
pub(crate) fn check_labels(members: &BTreeMap<MemberId, Member>) -> Result<(), FoundError> {
    let too_long = members.values().find(|member| member.label.len() > Member::LABEL_MAX);
    let error = |member: &Member| {
        LogError::Label { label: member.label.clone(), max: Member::LABEL_MAX }.into()
    };
    too_long.map_or(Ok(()), |member| Err(error(member)))
}

/// Says what this store is called, and where it is reached, if it was a group of its own up to now.
async fn name_oneself(raft: &Raft, id: MemberId, own: Member) -> Result<(), FoundError> {
    let mut metrics = raft.metrics();
    loop {
        let (is_alone, leads) = {
            let metrics = metrics.borrow_watched();
            let alone = membership::alone(metrics.membership_config.membership());
            (alone == Some(id), metrics.state == ServerState::Leader)
        };
        if !is_alone {
            return Ok(());
        }
        // It leads soon: nobody else can.
        if leads && propose_name(raft, id, own.clone()).await? {
            return Ok(());
        }
        if metrics.changed().await.is_err() {
            return Err(FoundError::Ended);
        }
    }
}

/// Proposes what this store is called, and where it is reached; false if it does not lead.
async fn propose_name(raft: &Raft, id: MemberId, own: Member) -> Result<bool, FoundError> {
    let named = ChangeMembers::SetNodes(BTreeMap::from([(id, own)]));
    match raft.change_membership(named, true).await {
        Ok(_) => Ok(true),
        Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
