//! Which of the groups one is meant that a group has been: it begins anew whenever it is recovered by force.
//!
//! A recovery by force makes one member the group, and gives the others up. Those may come back, and know nothing of it. The
//! lineage tells the two apart: it stands in the entry that says who belongs to the group, and in the handshake.

use std::collections::BTreeMap;
use std::fmt;

use openraft::Membership;

use crate::types::{Member, MemberId};

/// How often a group was recovered by force, and a number that was drawn at random when it was last. Two recoveries of the same
/// group, on two members that did not know of each other, have different numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lineage {
    /// Recoveries by force so far.
    pub recoveries: u32,
    /// Drawn at the last one; 0 before the first, and never after it.
    pub number: u64,
}

/// What another member's lineage says about this one, or the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kinship {
    /// They are of one group.
    Same,
    /// The other one was given up by the group that this one belongs to.
    Older,
    /// This one was given up, by the group that the other one belongs to.
    Newer,
    /// The group was recovered twice, on two members: each has given up the other.
    Twin,
}

impl Lineage {
    /// That of a group which was never recovered by force.
    pub const FIRST: Self = Self { recoveries: 0, number: 0 };

    /// Whether it can be one.
    #[must_use]
    pub fn is_sound(self) -> bool {
        (self.recoveries == 0) == (self.number == 0)
    }

    /// That of the group after one more recovery; `None` if there cannot be one more.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        let recoveries = self.recoveries.checked_add(1)?;
        let number = 1 + runtime::random_below(u64::MAX);
        Some(Self { recoveries, number })
    }

    /// What one of this lineage is to make of one of `theirs`.
    pub(crate) fn kinship(self, theirs: Self) -> Kinship {
        match theirs.recoveries.cmp(&self.recoveries) {
            std::cmp::Ordering::Less => Kinship::Older,
            std::cmp::Ordering::Greater => Kinship::Newer,
            std::cmp::Ordering::Equal if theirs == self => Kinship::Same,
            std::cmp::Ordering::Equal => Kinship::Twin,
        }
    }

    /// That of the group with these members.
    pub(crate) fn of(membership: &Membership<MemberId, Member>) -> Self {
        membership.nodes().map(|(_, member)| member.lineage).next().unwrap_or_default()
    }

    /// These, as members of a group of this lineage.
    pub(crate) fn adopt(self, members: BTreeMap<MemberId, Member>) -> BTreeMap<MemberId, Member> {
        let adopted = |(id, member)| (id, Member { lineage: self, ..member });
        members.into_iter().map(adopted).collect()
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.recoveries {
            0 => f.write_str("never recovered by force"),
            1 => write!(f, "recovered by force once ({:016x})", self.number),
            times => write!(f, "recovered by force {times} times ({:016x})", self.number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_counts_fewer_recoveries_was_given_up() {
        let first = Lineage::FIRST;
        let next = first.next().expect("it can be recovered");
        let again = next.next().expect("and again");
        assert!(first.is_sound() && next.is_sound() && again.is_sound());
        assert_eq!([first.recoveries, next.recoveries, again.recoveries], [0, 1, 2]);
        assert_eq!(first.kinship(next), Kinship::Newer);
        assert_eq!((next.kinship(first), again.kinship(first)), (Kinship::Older, Kinship::Older));
        assert_eq!((first.kinship(first), next.kinship(next)), (Kinship::Same, Kinship::Same));
        let twin = Lineage { number: next.number ^ 1, ..next };
        assert_eq!((next.kinship(twin), twin.kinship(next)), (Kinship::Twin, Kinship::Twin));
        assert_eq!(Lineage { recoveries: u32::MAX, number: 1 }.next(), None);
    }
}
