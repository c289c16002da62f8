//! What the driver of a history and a member tell each other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raft::{Member, MemberId};

/// A message that was acknowledged, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taken {
    pub queue_offset: u64,
    pub physical: u64,
    pub number: u32,
}

#[derive(Default)]
pub struct Notes {
    /// The store, once it is open.
    pub id: Option<MemberId>,
    /// To found the group with; taken by the member.
    pub found: Option<BTreeMap<MemberId, Member>>,
    /// Messages to be sent; taken by the member while it leads.
    pub to_send: VecDeque<u32>,
    /// The term in which this member leads.
    pub leads: Option<u64>,
    /// Messages that were acknowledged to whoever sent them here.
    pub acknowledged: Vec<Taken>,
    /// Messages of which nobody here knows what became.
    pub unknown: Vec<u32>,
    /// How many messages are applied.
    pub applied: u64,
    /// The driver wants to know all that is applied.
    pub report_wanted: bool,
    /// All messages that are applied, by their place in the queue.
    pub report: Option<Vec<Taken>>,
    pub stop: bool,
    /// How often a snapshot has taken the place of the log.
    pub restarts: u32,
    /// Trim what may be trimmed, if this member leads.
    pub trim: bool,
}

/// It outlives the member. Clones are the same.
#[derive(Clone, Default)]
pub struct Board(Arc<Mutex<Notes>>);

impl Board {
    pub fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The member's process is gone, and what it was about to do.
    pub fn forget_life(&self) {
        let mut notes = self.notes();
        let lost: Vec<_> = notes.to_send.drain(..).collect();
        notes.unknown.extend(lost);
        (notes.leads, notes.report, notes.stop) = (None, None, false);
        (notes.report_wanted, notes.applied) = (false, 0);
    }
}
