//! Groups that take no messages.

use std::fmt;

use remoting::body::RaftGroupState;

use super::survey::{Row, Survey};

/// Why a group takes no messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// Too few of those that vote are there.
    NoMajority,
    /// Somebody leads, and too few hear of it.
    CutOff,
    /// Nobody leads that those know who answer.
    NoLeader,
    /// Some have voted for one that was founding the group, and nobody who answers has its first entry.
    NotFounded,
    /// Who leads is gone.
    LeaderSilent,
    /// Who leads has no room for messages, or not for long any more.
    Disk {
        /// What the leader is called.
        leader: String,
        /// What it says.
        why: String,
    },
}

impl Halt {
    /// Why this group takes no messages; `None` if it does, or if only a leader knows who was not asked.
    #[must_use]
    pub fn of(survey: &Survey) -> Option<Self> {
        let best = survey.best();
        match survey.leader() {
            Some(leader) if leader.cut_off => Some(Self::CutOff),
            _ if best.spare.is_some_and(|spare| spare < 0) => Some(Self::NoMajority),
            Some(leader) => {
                leader.disk.clone().map(|why| Self::Disk { leader: leader.label.clone(), why })
            }
            // Who has no members waits for the group to be founded, or to be added to it.
            None if best.members.is_empty() => {
                let has_voted = |answer: &RaftGroupState| answer.standing == "MEMBER";
                survey.answers.iter().any(has_voted).then_some(Self::NotFounded)
            }
            None => match best.leader.as_ref() {
                None => Some(Self::NoLeader),
                // One that is alone goes on to name the leader that it had.
                Some(leader) => {
                    let is_gone = |row: Row<'_>| row.member.connected == Some(false);
                    survey.member(leader).is_some_and(is_gone).then_some(Self::LeaderSilent)
                }
            },
        }
    }

    /// Where the runbook has what to do.
    #[must_use]
    pub fn chapter(&self) -> &'static str {
        match self {
            Self::Disk { .. } => "One member's disk is full",
            Self::NotFounded => "The group is not founded",
            _ => "No majority",
        }
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMajority => f.write_str("takes no messages: it has no majority"),
            Self::CutOff => f.write_str("takes no messages: a majority does not hear its leader"),
            Self::NoLeader => f.write_str("takes no messages: nobody leads it"),
            Self::NotFounded => f.write_str(
                "takes no messages: members have voted for one that founded it, and nobody who answers has what that one wrote \
                 (or a node was added just now, and gets it)",
            ),
            Self::LeaderSilent => f.write_str("takes no messages: its leader does not answer"),
            // A leader knows some time before its segment is full that there is no room for the next one.
            Self::Disk { leader, why } => {
                write!(f, "takes no messages, or soon will not: of its leader {leader}, {why}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::answer;
    use super::*;

    #[test]
    fn a_group_that_takes_no_messages_is_told_from_one_that_does() {
        let halted = |change: fn(&mut RaftGroupState), number: usize| {
            let mut one = answer(number);
            change(&mut one);
            Halt::of(&Survey::new(vec![one], Vec::new()))
        };
        assert_eq!(halted(|_| {}, 0), None);
        assert_eq!(halted(|leader| leader.spare = Some(0), 0), None, "it works");
        assert_eq!(halted(|leader| leader.spare = Some(-1), 0), Some(Halt::NoMajority));
        assert_eq!(halted(|leader| leader.cut_off = true, 0), Some(Halt::CutOff));
        assert_eq!(halted(|_| {}, 1), None, "it knows of a leader, which was not asked");
        let alone = halted(|follower| follower.members[0].connected = Some(false), 1);
        assert_eq!(alone, Some(Halt::LeaderSilent));
        assert_eq!(halted(|follower| follower.leader = None, 1), Some(Halt::NoLeader));
        let voted = |node: &mut RaftGroupState| (node.leader, node.members) = (None, Vec::new());
        assert_eq!(halted(voted, 1), Some(Halt::NotFounded));
        let new = |node: &mut RaftGroupState| {
            (node.leader, node.members, node.standing) = (None, Vec::new(), "EMPTY".to_owned());
        };
        assert_eq!(halted(new, 1), None, "it belongs to no group yet");
    }

    #[test]
    fn a_leader_without_room_halts_its_group_and_a_follower_does_not() {
        let (mut leader, mut follower) = (answer(0), answer(1));
        let why = "the disk has no room for the log's next segment";
        follower.disk = Some(why.to_owned());
        let group = |leader: &RaftGroupState| {
            Halt::of(&Survey::new(vec![leader.clone(), follower.clone()], Vec::new()))
        };
        assert_eq!(group(&leader), None);
        leader.disk = Some(why.to_owned());
        let halt = group(&leader).expect("it has no room");
        assert!(halt.to_string().ends_with(&format!("of its leader n0, {why}")), "{halt}");
        assert_eq!(halt.chapter(), "One member's disk is full");
    }
}
