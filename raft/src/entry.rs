//! An entry of a group's log, as openraft has it.

use std::fmt;

use model::UnixMillis;
use openraft::entry::{RaftEntry, RaftPayload};
use openraft::type_config::alias::{CommittedLeaderIdOf, LogIdOf};
use openraft::{Membership, RaftTypeConfig};

use crate::types::{Member, MemberId, Types};

type Payload = <Types as RaftTypeConfig>::Payload;

/// How an entry lies in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Laid {
    /// The checksum that chains it to all entries before it.
    pub chain: u32,
    /// Its time.
    pub timestamp: UnixMillis,
}

/// An entry, and how it lies in the log of the one who leads the group.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place, and the term in which it got that.
    pub log_id: LogIdOf<Types>,
    /// What is in it.
    pub payload: Payload,
    /// How it lies in the log that it comes from; `None` where it does not yet. A member that would come to another chain has
    /// another log, and refuses it.
    pub laid: Option<Laid>,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.log_id, self.payload)
    }
}

impl RaftEntry for Entry {
    type CommittedLeaderId = CommittedLeaderIdOf<Types>;
    type Payload = Payload;

    fn new(log_id: LogIdOf<Types>, payload: Payload) -> Self {
        Self { log_id, payload, laid: None }
    }

    fn log_id_parts(&self) -> (&CommittedLeaderIdOf<Types>, u64) {
        (&self.log_id.leader_id, self.log_id.index)
    }

    fn set_log_id(&mut self, new: LogIdOf<Types>) {
        (self.log_id, self.laid) = (new, None); // its place is part of it
    }

    fn get_membership(&self) -> Option<Membership<MemberId, Member>> {
        RaftPayload::get_membership(&self.payload)
    }
}
