//! Changing who belongs to a group: what a change comes to, decided before anything is proposed, so that nothing is begun
//! that cannot be ended.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use openraft::ChangeMembers;
use thiserror::Error;

use crate::types::{Member, MemberId};
use crate::view::{Ballot, Seat, View, spare};

/// The most entries that a learner may lack that is to vote: as soon as it does, what it lacks may be waited for.
pub const MOST_BEHIND: u64 = 1000;

/// A change of a group's members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This store gets the log from now on, and does not vote.
    AddLearner {
        /// Its store.
        id: MemberId,
        /// Label and address.
        member: Member,
        /// The member that it takes the place of: it may have the same label, and the same address.
        instead_of: Option<MemberId>,
    },
    /// This member is at another address from now on. Whoever asks for that has found its store there.
    Move {
        /// Its store.
        id: MemberId,
        /// Where the others reach it.
        addr: SocketAddr,
    },
    /// This learner votes from now on.
    Promote(MemberId),
    /// This learner votes, and that voter does not belong to the group any more: one change.
    Replace {
        /// Who goes.
        old: MemberId,
        /// Who comes.
        new: MemberId,
    },
    /// This one does not belong to the group any more.
    Remove(MemberId),
}

/// What a change has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is committed.
    Done,
    /// It was so before.
    Already,
}

/// Why the members were not changed. Nothing was begun, unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChangeError {
    /// Another member leads, or nobody.
    #[error("this node does not lead the group: ask its leader")]
    NotLeading,
    /// One change at a time.
    #[error("another change of the members is under way: look again when it is done")]
    UnderWay,
    /// No such member.
    #[error("{0} is no member of the group: `mqadmin groupState` names them")]
    Unknown(MemberId),
    /// It cannot be called so.
    #[error("the label {label:?} has {} bytes, and {max} is the most: choose a shorter one", .label.len())]
    Label {
        /// What it was to be called.
        label: String,
        /// Bytes of the longest label.
        max: usize,
    },
    /// Somebody else is called so.
    #[error("{label} is the label of {other} already: choose another one, or replace that member")]
    SameLabel {
        /// The label.
        label: String,
        /// Who has it.
        other: MemberId,
    },
    /// Somebody else is there.
    #[error(
        "{addr} is the address of {label} ({other}) already: correct it, or replace that member"
    )]
    SameAddress {
        /// The address.
        addr: SocketAddr,
        /// What the one is called who has it.
        label: String,
        /// Who has it.
        other: MemberId,
    },
    /// It was added with another label or address.
    #[error(
        "the store {id} is a member already, as {label} at {addr}: `mqadmin moveMember` gives it another address, and for \
         another label it has to be removed first"
    )]
    OtherMember {
        /// Its store.
        id: MemberId,
        /// What it is called.
        label: String,
        /// Where it is.
        addr: SocketAddr,
    },
    /// It has not got enough of the log to vote.
    #[error(
        "{label} lacks {behind} entries of the log, and {MOST_BEHIND} are the most for one that is to vote: wait until it has \
         caught up"
    )]
    Behind {
        /// What it is called.
        label: String,
        /// Entries that it lacks.
        behind: u64,
    },
    /// It does not answer.
    #[error(
        "{label} at {addr} does not answer the leader, and would be a voter that is missing: look whether it runs, and whether \
         the network between is open"
    )]
    Silent {
        /// What it is called.
        label: String,
        /// Where it should be.
        addr: SocketAddr,
    },
    /// A leader cannot be removed.
    #[error("{label} leads the group: hand leadership over first (mqadmin transferLeader)")]
    Leads {
        /// What it is called.
        label: String,
    },
    /// Nobody would be left.
    #[error("{label} is the last member that votes: a group needs one")]
    Last {
        /// What it is called.
        label: String,
    },
    /// Too few would be left that answer.
    #[error(
        "of the {voters} members that would vote then, {answering} answer the leader, and {} are needed: the group could not \
         go on. Bring back one that does not answer, or replace it first",
        .voters / 2 + 1
    )]
    NoMajority {
        /// Members that would vote.
        voters: usize,
        /// Of them, those that answer.
        answering: usize,
    },
    /// Leadership went to somebody else meanwhile: the change may be committed or not.
    #[error(
        "leadership was lost meanwhile; whether the change was made is unknown: look with `mqadmin groupState`, and make it \
         again: what is done is not done twice"
    )]
    Lost,
    /// The leader is not sure for the moment that it leads.
    #[error("a majority of the members does not answer the leader at the moment: ask again")]
    Unsure,
    /// The core has ended.
    #[error("the member has ended: its log, or the store, says why")]
    Ended,
}

/// What is to be proposed: the change, and whether voters that go stay learners, which they never do.
pub(crate) type Proposed = ChangeMembers<MemberId, Member>;

/// What `change` comes to for a leader who sees the group so; `None` if there is nothing to do. A member counts as one that
/// answers if it did within `patience`.
///
/// A group in the middle of a change is to be settled before: see [`View::is_changing`].
pub(crate) fn plan(
    view: &View,
    change: &Change,
    patience: Duration,
) -> Result<Option<Proposed>, ChangeError> {
    assert!(view.voters.len() <= 1, "a change that was begun is ended first");
    match change {
        Change::AddLearner { id, member, instead_of } => add(view, *id, member, *instead_of),
        Change::Move { id, addr } => moved(view, *id, *addr),
        Change::Promote(id) => promote(view, *id, patience),
        Change::Replace { old, new } => replace(view, *old, *new, patience),
        Change::Remove(id) => remove(view, *id, patience),
    }
}

fn add(
    view: &View,
    id: MemberId,
    member: &Member,
    instead_of: Option<MemberId>,
) -> Result<Option<Proposed>, ChangeError> {
    if member.label.len() > Member::LABEL_MAX {
        let label = member.label.clone();
        return Err(ChangeError::Label { label, max: Member::LABEL_MAX });
    }
    if let Some(seat) = view.seats.get(&id) {
        let Member { label, addr } = seat.member.clone();
        let is_same = seat.member == *member;
        return if is_same { Ok(None) } else { Err(ChangeError::OtherMember { id, label, addr }) };
    }
    if let Some(old) = instead_of.filter(|old| !view.seats.contains_key(old)) {
        return Err(ChangeError::Unknown(old));
    }
    is_free(view, member.addr, instead_of)?;
    for (other, seat) in view.seats.iter().filter(|(other, _)| Some(**other) != instead_of) {
        let label = seat.member.label.clone();
        if label == member.label {
            return Err(ChangeError::SameLabel { label, other: *other });
        }
    }
    Ok(Some(ChangeMembers::AddNodes(BTreeMap::from([(id, member.clone())]))))
}

/// Whether nobody is at `addr` but the member `but`.
fn is_free(view: &View, addr: SocketAddr, but: Option<MemberId>) -> Result<(), ChangeError> {
    let mut others = view.seats.iter().filter(|(other, _)| Some(**other) != but);
    match others.find(|(_, seat)| seat.member.addr == addr) {
        None => Ok(()),
        Some((other, seat)) => {
            let label = seat.member.label.clone();
            Err(ChangeError::SameAddress { addr, label, other: *other })
        }
    }
}

fn moved(view: &View, id: MemberId, addr: SocketAddr) -> Result<Option<Proposed>, ChangeError> {
    let Member { label, addr: before } = seat(view, id)?.member.clone();
    if before == addr {
        return Ok(None);
    }
    is_free(view, addr, Some(id))?;
    Ok(Some(ChangeMembers::SetNodes(BTreeMap::from([(id, Member { label, addr })]))))
}

fn promote(view: &View, id: MemberId, patience: Duration) -> Result<Option<Proposed>, ChangeError> {
    let seat = seat(view, id)?;
    if seat.ballot == Ballot::Voter {
        return Ok(None);
    }
    can_vote(seat, patience)?;
    let mut voters = voters(view);
    voters.insert(id);
    can_go_on(view, &voters, patience)?;
    Ok(Some(ChangeMembers::AddVoterIds(BTreeSet::from([id]))))
}

fn replace(
    view: &View,
    old: MemberId,
    new: MemberId,
    patience: Duration,
) -> Result<Option<Proposed>, ChangeError> {
    let coming = seat(view, new)?;
    if !view.seats.contains_key(&old) {
        // It went before; whoever takes its place may still have to vote.
        return promote(view, new, patience);
    }
    let going = seat(view, old)?;
    if old == view.own {
        return Err(ChangeError::Leads { label: going.member.label.clone() });
    }
    if coming.ballot == Ballot::Voter {
        return remove(view, old, patience);
    }
    can_vote(coming, patience)?;
    let mut voters = voters(view);
    voters.remove(&old);
    voters.insert(new);
    can_go_on(view, &voters, patience)?;
    // A voter that is none any more goes with that; a learner has to be taken out.
    let becomes = ChangeMembers::ReplaceAllVoters(voters);
    Ok(Some(match going.ballot {
        Ballot::Learner => {
            ChangeMembers::Batch(vec![ChangeMembers::RemoveNodes([old].into()), becomes])
        }
        _ => becomes,
    }))
}

fn remove(view: &View, id: MemberId, patience: Duration) -> Result<Option<Proposed>, ChangeError> {
    let Some(seat) = view.seats.get(&id) else { return Ok(None) };
    let label = seat.member.label.clone();
    if seat.ballot == Ballot::Learner {
        return Ok(Some(ChangeMembers::RemoveNodes([id].into())));
    }
    let mut voters = voters(view);
    voters.remove(&id);
    if voters.is_empty() {
        return Err(ChangeError::Last { label });
    }
    if id == view.own {
        return Err(ChangeError::Leads { label });
    }
    can_go_on(view, &voters, patience)?;
    Ok(Some(ChangeMembers::RemoveVoters([id].into())))
}

fn seat(view: &View, id: MemberId) -> Result<&Seat, ChangeError> {
    view.seats.get(&id).ok_or(ChangeError::Unknown(id))
}

fn voters(view: &View) -> BTreeSet<MemberId> {
    view.voters.last().cloned().unwrap_or_default()
}

/// Whether this one has answered the leader within `patience`.
fn answers(seat: &Seat, patience: Duration) -> bool {
    seat.progress.and_then(|progress| progress.heard).is_some_and(|heard| heard <= patience)
}

fn can_vote(seat: &Seat, patience: Duration) -> Result<(), ChangeError> {
    let Member { label, addr } = seat.member.clone();
    if !answers(seat, patience) {
        return Err(ChangeError::Silent { label, addr });
    }
    match seat.progress.map_or(u64::MAX, |progress| progress.behind) {
        behind if behind > MOST_BEHIND => Err(ChangeError::Behind { label, behind }),
        _ => Ok(()),
    }
}

/// Whether enough of these answer.
fn can_go_on(
    view: &View,
    voters: &BTreeSet<MemberId>,
    patience: Duration,
) -> Result<(), ChangeError> {
    let answers = |id: MemberId| view.seats.get(&id).is_some_and(|seat| answers(seat, patience));
    if spare(voters, &answers) >= 0 {
        return Ok(());
    }
    let answering = voters.iter().filter(|id| answers(**id)).count();
    Err(ChangeError::NoMajority { voters: voters.len(), answering })
}

#[cfg(test)]
mod tests {
    use model::{LogIndex, Term};
    use storage::StoreId;

    use super::*;
    use crate::net::Standing;
    use crate::view::Progress;

    const PATIENCE: Duration = Duration::from_secs(1);
    const HERE: Duration = Duration::from_millis(10);

    fn id(number: u128) -> MemberId {
        MemberId(StoreId(number))
    }

    fn member(number: u16) -> Member {
        Member { label: format!("n{number}"), addr: ([10, 0, 0, 1], number).into() }
    }

    /// The voters 1, 2, 3 and the learner 4; 1 leads, and all have all.
    fn view() -> View {
        let seat = |number: u16| {
            let progress = Progress { next: LogIndex(5000), behind: 0, heard: Some(HERE) };
            let ballot = if number < 4 { Ballot::Voter } else { Ballot::Learner };
            let seat = Seat { member: member(number), ballot, progress: Some(progress) };
            (id(number.into()), seat)
        };
        View {
            own: id(1),
            standing: Standing::Member,
            term: Term(3),
            leader: Some(id(1)),
            next: LogIndex(5000),
            committed: LogIndex(5000),
            applied: LogIndex(5000),
            voters: vec![[id(1), id(2), id(3)].into()],
            settled: true,
            seats: (1..=4).map(seat).collect(),
        }
    }

    fn dead(mut view: View, numbers: &[u128]) -> View {
        for number in numbers {
            let seat = view.seats.get_mut(&id(*number)).expect("a member");
            let progress = seat.progress.as_mut().expect("the leader knows");
            progress.heard = Some(PATIENCE * 10);
        }
        view
    }

    fn planned(view: &View, change: &Change) -> Result<Option<Proposed>, ChangeError> {
        plan(view, change, PATIENCE)
    }

    fn added(number: u128, member: Member, instead_of: Option<u128>) -> Change {
        Change::AddLearner { id: id(number), member, instead_of: instead_of.map(id) }
    }

    #[test]
    fn a_newcomer_has_a_label_and_an_address_of_its_own() {
        let nodes = BTreeMap::from([(id(9), member(9))]);
        let proposed = Ok(Some(ChangeMembers::AddNodes(nodes)));
        assert_eq!(planned(&view(), &added(9, member(9), None)), proposed);
        let two = || Member { label: "n9".into(), ..member(2) };
        let error = planned(&view(), &added(9, two(), None)).unwrap_err();
        assert_eq!(
            error,
            ChangeError::SameAddress { addr: two().addr, label: "n2".into(), other: id(2) }
        );
        let labelled = Member { label: "n2".into(), ..member(9) };
        let error = planned(&view(), &added(9, labelled, None)).unwrap_err();
        assert_eq!(error, ChangeError::SameLabel { label: "n2".into(), other: id(2) });
    }

    #[test]
    fn one_that_takes_a_place_may_be_called_as_the_one_before_and_be_where_it_was() {
        assert!(matches!(planned(&view(), &added(9, member(2), Some(2))), Ok(Some(_))));
        assert!(planned(&view(), &added(9, member(2), Some(3))).is_err());
        let error = planned(&view(), &added(9, member(9), Some(7))).unwrap_err();
        assert_eq!(error, ChangeError::Unknown(id(7)));
    }

    #[test]
    fn who_is_a_member_is_not_added_again_nor_as_something_else() {
        assert_eq!(planned(&view(), &added(4, member(4), None)), Ok(None));
        assert_eq!(planned(&view(), &added(2, member(2), None)), Ok(None));
        let error = planned(&view(), &added(4, member(5), None)).unwrap_err();
        let Member { label, addr } = member(4);
        assert_eq!(error, ChangeError::OtherMember { id: id(4), label, addr });
    }

    #[test]
    fn one_that_has_moved_stays_what_it_was_at_another_address() {
        let to =
            |id: u128, number: u16| Change::Move { id: self::id(id), addr: member(number).addr };
        for number in [1, 2, 4] {
            let label = format!("n{number}");
            let nodes = BTreeMap::from([(id(number), Member { label, ..member(9) })]);
            let proposed = Ok(Some(ChangeMembers::SetNodes(nodes)));
            assert_eq!(planned(&view(), &to(number, 9)), proposed);
        }
        assert_eq!(planned(&view(), &to(2, 2)), Ok(None));
        assert_eq!(planned(&view(), &to(7, 9)), Err(ChangeError::Unknown(id(7))));
        let taken = planned(&view(), &to(2, 3)).unwrap_err();
        let (addr, label, other) = (member(3).addr, "n3".into(), id(3));
        assert_eq!(taken, ChangeError::SameAddress { addr, label, other });
    }

    #[test]
    fn a_label_that_does_not_fit_into_the_log_is_refused_before_it_is_proposed() {
        let of = |len: usize| added(9, Member { label: "x".repeat(len), ..member(9) }, None);
        assert!(planned(&view(), &of(Member::LABEL_MAX)).is_ok());
        let error = planned(&view(), &of(Member::LABEL_MAX + 1)).unwrap_err();
        assert!(error.to_string().contains("has 256 bytes, and 255 is the most"), "{error}");
    }

    #[test]
    fn a_learner_votes_once_it_has_the_log_and_answers() {
        let promote = Change::Promote(id(4));
        let voters = ChangeMembers::AddVoterIds([id(4)].into());
        assert_eq!(planned(&view(), &promote), Ok(Some(voters)));
        let mut late = view();
        let progress = late.seats.get_mut(&id(4)).and_then(|seat| seat.progress.as_mut());
        progress.expect("the leader knows").behind = MOST_BEHIND + 1;
        assert_eq!(
            planned(&late, &promote),
            Err(ChangeError::Behind { label: "n4".into(), behind: MOST_BEHIND + 1 })
        );
        assert!(matches!(
            planned(&dead(view(), &[4]), &promote),
            Err(ChangeError::Silent { label, .. }) if label == "n4"
        ));
        assert_eq!(planned(&view(), &Change::Promote(id(2))), Ok(None));
        assert_eq!(planned(&view(), &Change::Promote(id(8))), Err(ChangeError::Unknown(id(8))));
    }

    #[test]
    fn a_member_goes_unless_the_group_needs_it() {
        let removed = |number| ChangeMembers::RemoveVoters([id(number)].into());
        assert_eq!(planned(&view(), &Change::Remove(id(2))), Ok(Some(removed(2))));
        let learner = ChangeMembers::RemoveNodes([id(4)].into());
        assert_eq!(planned(&view(), &Change::Remove(id(4))), Ok(Some(learner)));
        assert_eq!(planned(&view(), &Change::Remove(id(8))), Ok(None), "it went before");
        assert_eq!(
            planned(&view(), &Change::Remove(id(1))),
            Err(ChangeError::Leads { label: "n1".into() })
        );
        // Without the third, the second is needed.
        let view = dead(view(), &[3]);
        assert_eq!(planned(&view, &Change::Remove(id(3))), Ok(Some(removed(3))));
        assert_eq!(
            planned(&view, &Change::Remove(id(2))),
            Err(ChangeError::NoMajority { voters: 2, answering: 1 })
        );
    }

    #[test]
    fn the_last_voter_stays() {
        let mut view = view();
        view.voters = vec![[id(1)].into()];
        assert_eq!(
            planned(&view, &Change::Remove(id(1))),
            Err(ChangeError::Last { label: "n1".into() })
        );
    }

    #[test]
    fn a_lost_voter_makes_place_in_one_change_and_whatever_is_done_of_it_is_not_done_again() {
        let replace = |old, new| Change::Replace { old: id(old), new: id(new) };
        let view = dead(view(), &[3]);
        let voters = ChangeMembers::ReplaceAllVoters([id(1), id(2), id(4)].into());
        assert_eq!(planned(&view, &replace(3, 4)), Ok(Some(voters)));
        assert_eq!(planned(&view, &replace(3, 8)), Err(ChangeError::Unknown(id(8))));
        assert_eq!(planned(&view, &replace(1, 4)), Err(ChangeError::Leads { label: "n1".into() }));
        // The new one votes already: the old one goes.
        let mut promoted = view.clone();
        promoted.voters[0].insert(id(4));
        promoted.seats.get_mut(&id(4)).expect("a member").ballot = Ballot::Voter;
        let removed = ChangeMembers::RemoveVoters([id(3)].into());
        assert_eq!(planned(&promoted, &replace(3, 4)), Ok(Some(removed)));
        // The old one is gone already: the new one votes.
        let mut removed = view;
        removed.seats.remove(&id(3));
        removed.voters = vec![[id(1), id(2)].into()];
        let voters = ChangeMembers::AddVoterIds([id(4)].into());
        assert_eq!(planned(&removed, &replace(3, 4)), Ok(Some(voters)));
        // Both are done.
        promoted.seats.remove(&id(3));
        promoted.voters[0].remove(&id(3));
        assert_eq!(planned(&promoted, &replace(3, 4)), Ok(None));
    }
}
