//! Why a shard does not start.

use storage::{OpenError, StoreError};
use thiserror::Error;
use transport::BindError;

use super::super::commands::CommandError;
use super::super::state::StateError;

/// Why a shard does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The store.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log.
    #[error(transparent)]
    Log(#[from] StoreError),
    /// The log of a member is damaged, and the others do not have what is.
    #[error("{damage}. The other members were asked for it, and it could not be repaired: {why}")]
    NotRepaired {
        /// What is damaged.
        damage: Box<StartError>,
        /// Why nobody has it.
        why: String,
    },
    /// Metadata in the log.
    #[error("the log cannot be understood: {0}")]
    Command(#[from] CommandError),
    /// What the shard gave for a checkpoint.
    #[error("the checkpoint cannot be understood: {0}")]
    State(#[from] StateError),
    /// The port.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// It was told to stop while it read its log.
    #[error("it was told to stop before it served")]
    ToldToStop,
    /// The system topics.
    #[error("the system topics cannot be created: {remark}")]
    Seed {
        /// Why.
        remark: String,
    },
    /// The member of the group.
    #[error(transparent)]
    Member(#[from] raft::StartError),
    /// The port for the other members.
    #[error("the Raft group {group} cannot be served: {source}; dLegerPeers sets the port")]
    Peers {
        /// The group.
        group: String,
        /// Why.
        source: runtime::IoError,
    },
    /// The store is that of a broker without replicas, and this is not the member that may bring one.
    #[error(
        "{} holds the store of a broker without replicas, and only the first member, {first}, may bring such a store into a \
         group: give this node the label that comes first in dLegerPeers, or set storePathRootDir to an empty directory",
        .dir.display()
    )]
    Alone {
        /// The directory.
        dir: std::path::PathBuf,
        /// The label of the first member.
        first: String,
    },
}

impl StartError {
    /// Whether the store of this one shard is at fault, and not what the whole broker was started with.
    #[must_use]
    pub fn is_of_the_store(&self) -> bool {
        match self {
            Self::Open(error) => !matches!(
                error,
                OpenError::Locked(_)
                    | OpenError::Foreign { .. }
                    | OpenError::Version(_)
                    | OpenError::Fixed { .. }
                    | OpenError::SegmentSize { .. }
                    | OpenError::RequestSize { .. }
            ),
            Self::Member(error) => !matches!(error, raft::StartError::Times(_)),
            Self::Log(_) | Self::NotRepaired { .. } | Self::Command(_) | Self::State(_) => true,
            Self::Bind(_)
            | Self::ToldToStop
            | Self::Seed { .. }
            | Self::Peers { .. }
            | Self::Alone { .. } => false,
        }
    }
}
