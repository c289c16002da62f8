//! What the driver of a history and a member tell each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raft::{Member, MemberId};

use crate::report::Report;

/// What the driver wants the leader to make of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It gets the log, and has no vote.
    Learner(MemberId, Member),
    /// The learner has a vote.
    Promote(MemberId),
    /// It does not belong to the group any more.
    Remove(MemberId),
}

/// Who belongs to the group, as a member knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    pub voters: BTreeSet<MemberId>,
    pub learners: BTreeSet<MemberId>,
    /// It is not on its way from one set of voters to another.
    pub settled: bool,
}

/// What can be wrong with the disk of a member, so that the member may fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disk {
    #[default]
    Well,
    /// It may fail to start.
    Full,
    /// It may fail at any time.
    Failing,
}

#[derive(Default)]
pub struct Notes {
    /// The store, once it is open.
    pub id: Option<MemberId>,
    /// It has come through its start, and is not ending.
    pub runs: bool,
    /// To found the group with, at every start.
    pub found: Option<BTreeMap<MemberId, Member>>,
    /// Messages to be sent; taken by the member while it leads.
    pub to_send: VecDeque<u32>,
    /// The term in which this member leads.
    pub leads: Option<u64>,
    /// Numbers of messages that were acknowledged to whoever sent them here.
    pub acknowledged: BTreeSet<u32>,
    /// Messages of which nobody here knows what became.
    pub unknown: BTreeSet<u32>,
    /// Index behind the last entry that was applied.
    pub applied: u64,
    /// The driver wants to know all that is applied.
    pub report_wanted: bool,
    pub report: Option<Report>,
    pub stop: bool,
    /// How often a snapshot has taken the place of the log.
    pub snapshots: u32,
    /// Trim what may be trimmed, if this member leads.
    pub trim: bool,
    /// To be made by this member, if it leads.
    pub change: Option<Change>,
    /// Changes that this member has made, and was told to be committed.
    pub changed: Vec<Change>,
    /// Hand leadership over to this one, if this member leads.
    pub hand_over: Option<MemberId>,
    pub group: Group,
    pub disk: Disk,
    /// Why the member has failed.
    pub failed: Option<String>,
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
        (notes.report_wanted, notes.applied, notes.trim, notes.runs) = (false, 0, false, false);
        (notes.change, notes.hand_over, notes.failed) = (None, None, None);
    }

    /// The machine has another disk, an empty one: whoever lives there is somebody else.
    pub fn forget_disk(&self) {
        self.forget_life();
        let mut notes = self.notes();
        (notes.id, notes.found, notes.group) = (None, None, Group::default());
    }
}
