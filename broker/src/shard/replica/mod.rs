//! A shard that is one of a Raft group: the group's leader takes what is appended, the others hold the same log.
//!
//! A shard is in *office* from when the group has elected it, and it has taken in all that was committed before, until it
//! hears that it leads no more, or has heard of no majority for so long that somebody else may ([`office`]). Only in office it appends; whoever waits for something that was appended in an
//! office is answered when it is committed, or told that nobody knows when the office ends. What another member appended
//! comes through the same events ([`super::apply`]), and nobody here waits for it. A member that follows hands on to the leader what
//! only that one can do ([`forward`]).

mod back_off;
mod candidates;
pub mod changes;
pub mod ends;
pub mod forward;
pub mod founding;
pub mod handover;
mod hold;
mod intake;
pub mod member;
pub mod office;
pub mod recover;
pub mod relief;
pub mod repair;
pub mod roles;
pub mod seats;
mod since;
pub mod state;
pub mod tally;
mod tenure;
pub mod vote;
pub mod whereabouts;

use std::cell::{Cell, OnceCell};
use std::time::Duration;

use model::{LogIndex, Term};
use raft::net::Peers;
use raft::{Group, Heard, MemberId, Role};

use super::Shard;
use crate::config::GroupLayout;
use ends::Ends;
use forward::Forwards;
use hold::Hold;
pub use hold::Lasts;
use intake::Intake;
use recover::Forced;
use tally::Tally;

/// What a shard knows of its group.
pub struct Replica {
    /// As configured.
    pub layout: GroupLayout,
    /// The group; there once the log is read.
    group: OnceCell<Group>,
    /// The ways to the other members; there with the group.
    peers: OnceCell<Peers>,
    /// How far the group had come, and when; there with the group.
    heard: OnceCell<Heard>,
    /// The term in which the shard is in office.
    office: Cell<Option<Term>>,
    /// Which of the times this is, or was, that the shard's member leads.
    stint: Cell<u64>,
    /// The newest of those terms.
    last_office: Cell<Term>,
    /// The term of the newest entry that the shard has taken in, and the index behind it.
    taken_in: Cell<(Term, LogIndex)>,
    /// The shard goes into office no more: it is being stopped, or has failed.
    retired: Cell<bool>,
    /// Whether no place is made for the member that should lead.
    hold: Hold,
    /// Requests that are handed on to the leader.
    forwards: Forwards,
    /// Pulls from behind the end.
    ends: Ends,
    /// What hand-overs and elections have cost.
    pub tally: Tally,
    /// What is still taken while leadership is handed over.
    intake: Intake,
    /// Whether this member is to become the group.
    pub forced: Forced,
}

impl Replica {
    /// Of a shard whose log is not read yet.
    #[must_use]
    pub fn new(layout: GroupLayout) -> Self {
        Self {
            layout,
            group: OnceCell::new(),
            peers: OnceCell::new(),
            heard: OnceCell::new(),
            office: Cell::default(),
            stint: Cell::new(0),
            last_office: Cell::new(Term(0)),
            taken_in: Cell::new((Term(0), LogIndex(0))),
            retired: Cell::default(),
            hold: Hold::default(),
            forwards: Forwards::new(),
            ends: Ends::default(),
            tally: Tally::default(),
            intake: Intake::default(),
            forced: Forced::default(),
        }
    }

    /// As if the shard had been elected, and had taken in all there was.
    #[cfg(test)]
    pub(in crate::shard) fn put_into_office(&self, term: Term) {
        self.office.set(Some(term));
        self.last_office.set(term);
    }

    /// The group, once the log is read.
    #[must_use]
    pub fn group(&self) -> Option<&Group> {
        self.group.get()
    }

    /// The ways to the other members, once the log is read.
    #[must_use]
    pub fn peers(&self) -> Option<&Peers> {
        self.peers.get()
    }

    /// Whether this member was there when that entry was committed, and it is not much longer ago than `age`: by its own clock.
    pub(in crate::shard) fn is_news(&self, index: LogIndex, age: Duration) -> bool {
        self.heard.get().is_some_and(|heard| heard.is_news(index, age))
    }

    /// The term in which the shard is in office, and has been since its member began to lead.
    pub(in crate::shard) fn in_office(&self) -> Option<Term> {
        let (stint, _) = self.group()?.begun();
        self.office.get().filter(|_| self.stint.get() == stint)
    }

    /// The same, and which of the times this is that its member leads: an office may end and begin again in one term.
    fn tenure(&self) -> Option<(Term, u64)> {
        self.in_office().map(|term| (term, self.stint.get()))
    }

    /// Who leads, as far as is known.
    #[must_use]
    pub fn role(&self) -> Role {
        self.group().map_or(Role::Following(None), Group::role)
    }

    /// The index behind the newest entry that the shard has taken in since its start; 0 before the first.
    #[must_use]
    pub fn taken_in(&self) -> LogIndex {
        self.taken_in.get().1
    }

    /// Whether the shard finishes what is under way and then makes place for another leader: it takes nothing but consumer
    /// offsets.
    #[must_use]
    pub fn is_making_place(&self) -> bool {
        self.intake.is_narrow()
    }

    /// Whether somebody is about to be asked to lead, or was, who has all of the log: nothing is appended until it is clear who
    /// leads, and consumer offsets wait.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.intake.is_closed()
    }

    /// Whoever leads stays in office for so long, though another member should lead; `away` is not to lead meanwhile if somebody
    /// else could.
    pub fn hold(&self, lasts: Lasts, away: Option<MemberId>) {
        self.hold.set(runtime::now(), lasts, away);
    }

    /// Whether whoever leads is to stay.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held_for().is_some()
    }

    /// For how long whoever leads is still to stay.
    #[must_use]
    pub fn held_for(&self) -> Option<Duration> {
        self.hold.left(runtime::now())
    }

    /// Who is not to lead meanwhile.
    fn held_away(&self) -> Option<MemberId> {
        self.hold.away(runtime::now())
    }

    /// Whether the shard was elected, and has not heard of a majority for so long that the others may have elected somebody
    /// else.
    #[must_use]
    pub fn is_cut_off(&self, shard: &Shard) -> bool {
        let timing = shard.config.raft_group.as_ref().map(|group| group.timing);
        let limit = 2 * timing.expect("it has groups").election_max;
        self.group().is_some_and(|group| group.is_cut_off(limit))
    }

    /// What operators call a member, and where it is.
    #[must_use]
    pub fn name_of(&self, id: MemberId) -> String {
        let members = self.group().map(Group::members).unwrap_or_default();
        match members.get(&id) {
            Some(member) => format!("{} ({})", member.label, member.addr),
            None => format!("the store {id}"),
        }
    }
}
