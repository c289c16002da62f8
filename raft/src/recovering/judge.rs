//! Whether a member may become the group by force, decided from what it and the others say.

use std::collections::{BTreeMap, BTreeSet};

use model::{LogIndex, Term};
use thiserror::Error;

use super::{LEAP, Said};
use crate::lineage::Lineage;
use crate::net::Standing;
use crate::types::{MemberId, TERM_MAX};
use crate::view::{Ballot, View};

/// What a question for a recovery by force comes to, if it is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// This member may become the group.
    May,
    /// It is the group, alone, since the last recovery by force.
    Already,
}

/// Why a member does not become the group. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RefusedRecovery {
    /// It belongs to no group.
    #[error(
        "the store of this node belongs to no group with others: there is nothing to recover here. Ask a member with the group's log"
    )]
    NoMember,
    /// Who is said to be lost is no member, or is this one.
    #[error(
        "{0} is named as lost, and is no other member of the group: `mqadmin groupState` names them"
    )]
    Unknown(MemberId),
    /// Somebody leads.
    #[error(
        "{label} hears of a leader, or leads: the group goes on, and nothing has to be recovered by force"
    )]
    Led {
        /// Who says so.
        label: String,
    },
    /// Somebody has a longer log.
    #[error(
        "{label} has a longer log: it ends with entry {} of term {}, and this one {}. Recover that member instead, or the messages that \
         only it has are lost", .theirs.1, .theirs.0, ends(*.ours)
    )]
    Longer {
        /// Who.
        label: String,
        /// Term and index of its last entry.
        theirs: (Term, LogIndex),
        /// The same here.
        ours: Option<(Term, LogIndex)>,
    },
    /// Somebody who is said to be lost is not.
    #[error(
        "{label} is named as lost, and answers: leave it out, or stop its broker for good first"
    )]
    Answers {
        /// Who.
        label: String,
    },
    /// Enough are there.
    #[error(
        "of the {voters} members that vote, {answering} answer, and that is a majority: they elect a leader by themselves. Look with \
         `mqadmin groupState` what keeps them from it"
    )]
    Majority {
        /// Members that vote, of the set that has the fewest to spare.
        voters: usize,
        /// Of them, those that answer, this one among them.
        answering: usize,
    },
    /// Some are neither there nor said to be lost.
    #[error(
        "{} and not named as lost: start their brokers, with which the group may go on and nothing is lost. Only if their disks are lost \
         for good, name them as lost", silent(.labels)
    )]
    Silent {
        /// Who.
        labels: Vec<String>,
    },
    /// There is no newer term, or no other recovery.
    #[error(
        "the group was recovered too often: there is no newer term. Found a new group, and copy the messages over"
    )]
    Exhausted,
}

fn ends(last: Option<(Term, LogIndex)>) -> String {
    match last {
        Some((term, index)) => format!("with entry {index} of term {term}"),
        None => "is empty".to_owned(),
    }
}

fn silent(labels: &[String]) -> String {
    match labels {
        [one] => format!("{one} does not answer"),
        several => format!("{} do not answer", several.join(", ")),
    }
}

/// Decides; `said` has those who answer.
pub(super) fn judge(
    view: &View,
    own: &Said,
    said: &BTreeMap<MemberId, Said>,
    lost: &BTreeSet<MemberId>,
) -> Result<Judged, RefusedRecovery> {
    let is_named = view.seats.get(&view.own).is_some_and(|seat| !seat.member.is_unnamed());
    if view.standing != Standing::Member || !is_named || own.last.is_none() {
        return Err(RefusedRecovery::NoMember);
    }
    let is_other = |id: &MemberId| *id != view.own && view.seats.contains_key(id);
    if let Some(unknown) = lost.iter().find(|id| !is_other(id)) {
        return Err(RefusedRecovery::Unknown(*unknown));
    }
    if is_alone(view) {
        return Ok(Judged::Already);
    }
    let label = |id: &MemberId| view.seats[id].member.label.clone();
    let everybody = || std::iter::once((&view.own, own)).chain(said);
    if let Some((id, _)) = everybody().find(|(_, said)| said.is_led) {
        return Err(RefusedRecovery::Led { label: label(id) });
    }
    let longest = everybody().max_by_key(|(id, said)| (said.last, **id == view.own));
    if let Some((id, &Said { last: Some(theirs), .. })) = longest.filter(|(id, _)| **id != view.own)
    {
        return Err(RefusedRecovery::Longer { label: label(id), theirs, ours: own.last });
    }
    if let Some(id) = lost.iter().find(|id| said.contains_key(id)) {
        return Err(RefusedRecovery::Answers { label: label(id) });
    }
    let answers = |id: MemberId| id == view.own || said.contains_key(&id);
    if view.spare(answers) >= 0 {
        let fewest = view.voters.iter().min_by_key(|set| set.len()).expect("somebody votes");
        let answering = fewest.iter().filter(|id| answers(**id)).count();
        return Err(RefusedRecovery::Majority { voters: fewest.len(), answering });
    }
    let is_missing = |id: &MemberId| !answers(*id) && !lost.contains(id);
    let votes = |id: &MemberId| view.seats[id].ballot != Ballot::Learner;
    let missing = view.seats.keys().filter(|id| votes(id) && is_missing(id));
    let labels: Vec<String> = missing.map(label).collect();
    if !labels.is_empty() {
        return Err(RefusedRecovery::Silent { labels });
    }
    let has_term = view.term.0 <= TERM_MAX - 2 * LEAP;
    let has_next = view.lineage.recoveries < u32::MAX;
    if has_term && has_next { Ok(Judged::May) } else { Err(RefusedRecovery::Exhausted) }
}

/// Whether this member alone has a vote, and has it by a recovery by force.
fn is_alone(view: &View) -> bool {
    view.lineage != Lineage::FIRST && view.voters == [BTreeSet::from([view.own])]
}

#[cfg(test)]
mod tests {
    use storage::StoreId;

    use super::*;
    use crate::types::Member;
    use crate::view::Seat;

    fn id(number: u128) -> MemberId {
        MemberId(StoreId(number))
    }

    fn ids(numbers: &[u128]) -> BTreeSet<MemberId> {
        numbers.iter().copied().map(id).collect()
    }

    fn seat(number: u16, ballot: Ballot) -> (MemberId, Seat) {
        let member = Member::new(format!("n{number}"), ([10, 0, 0, 1], number).into());
        (id(number.into()), Seat { member, ballot, progress: None })
    }

    /// Voters 1 to `voters`, and the learner 9; 1 is asked.
    fn view(voters: u16) -> View {
        let seats = (1..=voters).map(|number| seat(number, Ballot::Voter));
        View {
            own: id(1),
            standing: Standing::Member,
            term: Term(3),
            leader: None,
            next: LogIndex(100),
            committed: LogIndex(90),
            applied: LogIndex(90),
            voters: vec![(1..=voters).map(|number| id(number.into())).collect()],
            settled: true,
            lineage: Lineage::FIRST,
            seats: seats.chain([seat(9, Ballot::Learner)]).collect(),
        }
    }

    fn at(term: u64, index: u64) -> Said {
        Said { last: Some((Term(term), LogIndex(index))), is_led: false }
    }

    fn judged(
        view: &View,
        said: &[(u128, Said)],
        lost: &[u128],
    ) -> Result<Judged, RefusedRecovery> {
        let said = said.iter().map(|(number, said)| (id(*number), *said)).collect();
        judge(view, &at(3, 99), &said, &ids(lost))
    }

    #[test]
    fn one_whose_majority_is_named_as_lost_may_become_the_group() {
        assert_eq!(judged(&view(3), &[], &[2, 3]), Ok(Judged::May));
        assert_eq!(judged(&view(5), &[(2, at(3, 99))], &[3, 4, 5]), Ok(Judged::May));
        let behind = [(2, at(3, 50)), (9, at(2, 500))];
        assert_eq!(judged(&view(5), &behind, &[3, 4, 5]), Ok(Judged::May), "a learner is older");
    }

    #[test]
    fn whoever_is_silent_has_to_be_named() {
        let silent = |labels: &[&str]| {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            Err(RefusedRecovery::Silent { labels })
        };
        assert_eq!(judged(&view(3), &[], &[]), silent(&["n2", "n3"]));
        assert_eq!(judged(&view(3), &[], &[3]), silent(&["n2"]));
        assert_eq!(judged(&view(5), &[(2, at(3, 99))], &[3, 5]), silent(&["n4"]));
        assert_eq!(judged(&view(3), &[], &[2, 3, 4]), Err(RefusedRecovery::Unknown(id(4))));
        assert_eq!(judged(&view(3), &[], &[1, 2, 3]), Err(RefusedRecovery::Unknown(id(1))));
        let label = "n2".to_owned();
        let answers = judged(&view(5), &[(2, at(3, 99))], &[2, 3, 4, 5]);
        assert_eq!(answers, Err(RefusedRecovery::Answers { label }));
    }

    #[test]
    fn a_group_that_can_go_on_is_left_alone() {
        let majority = judged(&view(3), &[(2, at(3, 50))], &[3]);
        assert_eq!(majority, Err(RefusedRecovery::Majority { voters: 3, answering: 2 }));
        let led = |number: u128| {
            let said = Said { is_led: true, ..at(3, 99) };
            judged(&view(5), &[(number, said)], &[3, 4, 5])
        };
        let label = "n2".to_owned();
        assert_eq!(led(2), Err(RefusedRecovery::Led { label }));
        let own = Said { is_led: true, ..at(3, 99) };
        let led = judge(&view(3), &own, &BTreeMap::new(), &ids(&[2, 3]));
        assert_eq!(led, Err(RefusedRecovery::Led { label: "n1".to_owned() }));
    }

    #[test]
    fn during_a_change_one_majority_that_is_lost_is_enough() {
        // 1, 2, 3 become 1, 4, 5, of which 4 and 5 are lost.
        let mut view = view(5);
        view.voters = vec![ids(&[1, 2, 3]), ids(&[1, 4, 5])];
        let said = [(2, at(3, 99)), (3, at(3, 99))];
        assert_eq!(judged(&view, &said, &[4, 5]), Ok(Judged::May));
        let said = [(2, at(3, 99)), (4, at(3, 99))];
        let majority = judged(&view, &said, &[3, 5]);
        assert_eq!(majority, Err(RefusedRecovery::Majority { voters: 3, answering: 2 }));
    }

    #[test]
    fn the_longest_log_that_is_left_becomes_the_group_term_before_index() {
        let longer = |number: u128, theirs: Said| {
            let refused = judged(&view(5), &[(number, theirs)], &[3, 4, 5]).unwrap_err();
            let text = refused.to_string();
            let RefusedRecovery::Longer { label, theirs, .. } = refused else { panic!("{text}") };
            assert!(text.contains("Recover that member instead"), "{text}");
            (label, theirs)
        };
        let (term, index) = (Term(3), LogIndex(100));
        assert_eq!(longer(2, at(3, 100)), ("n2".to_owned(), (term, index)));
        assert_eq!(longer(2, at(4, 10)), ("n2".to_owned(), (Term(4), LogIndex(10))));
        assert_eq!(longer(9, at(3, 100)), ("n9".to_owned(), (term, index)), "a learner has it");
    }

    #[test]
    fn only_one_that_belongs_to_a_group_with_others_can_become_it() {
        for standing in [Standing::Empty, Standing::Unknown, Standing::Alone] {
            let view = View { standing, ..view(3) };
            assert_eq!(judged(&view, &[], &[2, 3]), Err(RefusedRecovery::NoMember));
        }
        let view = View { own: id(77), ..view(3) };
        assert_eq!(judged(&view, &[], &[2, 3]), Err(RefusedRecovery::NoMember), "it is new");
    }

    #[test]
    fn once_it_is_done_there_is_nothing_to_do() {
        let lineage = Lineage { recoveries: 1, number: 7 };
        let mut done = View { lineage, ..view(1) };
        let own = Said { is_led: true, ..at(3, 99) };
        let judged = |view: &View| judge(view, &own, &BTreeMap::new(), &BTreeSet::new());
        assert_eq!(judged(&done), Ok(Judged::Already));
        done.voters = vec![ids(&[1, 2])];
        done.seats.extend([seat(2, Ballot::Voter)]);
        let label = "n1".to_owned();
        assert_eq!(judged(&done), Err(RefusedRecovery::Led { label }), "it has others by now");
    }

    #[test]
    fn a_group_that_has_no_newer_term_is_not_recovered() {
        let lineage = Lineage { recoveries: u32::MAX, number: 7 };
        let oldest = View { lineage, ..view(3) };
        assert_eq!(judged(&oldest, &[], &[2, 3]), Err(RefusedRecovery::Exhausted));
        let late = View { term: Term(TERM_MAX - LEAP), ..view(3) };
        assert_eq!(judged(&late, &[], &[2, 3]), Err(RefusedRecovery::Exhausted));
    }
}
