//! Why a command was not carried out.

use client::ClientError;
use remoting::ResponseCode;

/// What is in the way, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The command line does not say enough, or too much.
    #[error("{0}")]
    Usage(String),
    /// There is no such group.
    #[error("{0}")]
    NoGroup(String),
    /// Groups that take no messages, a line each.
    #[error("{0}")]
    Halted(String),
    /// Nobody leads who could be asked.
    #[error("{0}")]
    NoLeader(String),
    /// Nobody is called so, or several are.
    #[error("{0}")]
    Member(String),
    /// The new member does not fit the group.
    #[error("{0}")]
    Newcomer(String),
    /// It does not get on.
    #[error("{0}")]
    Stuck(String),
    /// Some groups were not done; what is wrong was told of each.
    #[error(
        "{failed} of {groups} groups are not done, see above; call it again when that is mended"
    )]
    Some {
        /// Groups that were not done.
        failed: usize,
        /// Groups that were meant.
        groups: usize,
    },
    /// The leader refuses.
    #[error("group {group}: {}", told(.source))]
    Refused {
        /// The group.
        group: String,
        /// Its words.
        source: ClientError,
    },
    /// A NameServer does not answer, or refuses.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// What a broker says, without what only a program reads.
pub fn told(error: &ClientError) -> String {
    match error {
        ClientError::Refused { addr, remark, .. } => {
            let remark = remark.strip_prefix("service not available now. ").unwrap_or(remark);
            format!("{addr} says: {remark}")
        }
        error => error.to_string(),
    }
}

/// Whether it may be otherwise in a moment: another member leads by then, or what was under way is done.
pub fn passes(error: &ClientError) -> bool {
    let passing = [ResponseCode::ServiceNotAvailable, ResponseCode::SystemBusy];
    match error.refused_with() {
        Some(code) => passing.iter().any(|passing| passing.code() == code),
        // It may be gone.
        None => true,
    }
}
