//! Who could lead instead of this member, and in which order they are asked. No state, no I/O.

use std::cmp::Reverse;
use std::time::Duration;

use raft::net::PeerStatus;
use raft::{Follower, MOST_BEHIND, MemberId};

/// Who lacks more entries is not made place for without need: one that leads, and takes messages, sends them in much less than that.
const NEARLY_ALL: u64 = 100;

/// Whom operators want to lead, and whom not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wishes {
    /// The one that should lead, unless leadership is held where it is.
    pub preferred: Option<MemberId>,
    /// The one that leadership is held away from.
    pub away: Option<MemberId>,
}

impl Wishes {
    fn is_preferred(&self, id: MemberId) -> bool {
        self.preferred == Some(id)
    }

    pub(super) fn is_away(&self, id: MemberId) -> bool {
        self.away == Some(id)
    }
}

/// All that could lead: the one that should first, then those that have most of the log, and last the one that is kept from it.
pub(super) fn in_order(
    followers: &[Follower],
    peers: &[PeerStatus],
    wishes: Wishes,
) -> Vec<MemberId> {
    let could = followers.iter().filter(|one| could_lead(one.id, followers, peers));
    let mut could: Vec<&Follower> = could.collect();
    could.sort_by_key(|one| {
        let is_preferred = wishes.is_preferred(one.id);
        (wishes.is_away(one.id), Reverse(is_preferred), Reverse(one.next))
    });
    could.iter().map(|one| one.id).collect()
}

/// The first one of `wanted` that has all of the log, and has answered a moment ago.
pub(super) fn first_level(
    wanted: &[MemberId],
    followers: &[Follower],
    patience: Duration,
) -> Option<MemberId> {
    let is_level =
        |id: &MemberId| followers.iter().any(|one| one.id == *id && is_level(one, patience));
    wanted.iter().copied().find(is_level)
}

/// Who is asked after these, who have not taken over: one that has all of the log. Nobody hears of a leader that has asked
/// somebody, so when it was heard last says nothing.
pub(super) fn next_after(
    asked: &[MemberId],
    followers: &[Follower],
    peers: &[PeerStatus],
    wishes: Wishes,
) -> Option<MemberId> {
    let has_all = |id: &MemberId| followers.iter().any(|one| one.id == *id && one.behind == 0);
    let mut others = in_order(followers, peers, wishes).into_iter();
    others.find(|id| !asked.contains(id) && has_all(id))
}

/// Whether this member is connected, takes entries, and has the log, or as good as that.
pub(super) fn could_lead(id: MemberId, followers: &[Follower], peers: &[PeerStatus]) -> bool {
    let has_the_log = followers.iter().any(|one| one.id == id && one.behind <= MOST_BEHIND);
    let is_there = |peer: &PeerStatus| peer.bulk && peer.urgent && peer.refuses.is_none();
    has_the_log && peers.iter().any(|peer| peer.id == id && is_there(peer))
}

/// Whether a member has all of the log, and has answered a moment ago.
pub(super) fn is_level(one: &Follower, patience: Duration) -> bool {
    is_near(one, patience) && one.behind == 0
}

/// Whether a member has nearly all of the log, and has answered a moment ago.
pub(super) fn is_near(one: &Follower, patience: Duration) -> bool {
    one.behind <= NEARLY_ALL && one.heard.is_some_and(|heard| heard <= patience)
}

#[cfg(test)]
pub(super) mod tests {
    use model::LogIndex;
    use storage::StoreId;

    use super::*;

    pub const PATIENCE: Duration = Duration::from_millis(300);
    pub const NOW: Option<Duration> = Some(Duration::ZERO);

    pub fn id(id: u128) -> MemberId {
        MemberId(StoreId(id))
    }

    pub fn follower(of: u128, behind: u64, heard: Option<Duration>) -> Follower {
        Follower { id: id(of), next: LogIndex(2_000 - behind), behind, heard }
    }

    pub fn connected(of: u128) -> PeerStatus {
        PeerStatus {
            id: id(of),
            addr: ([10, 0, 0, 1], 1).into(),
            bulk: true,
            urgent: true,
            last_contact: None,
            trouble: None,
            refuses: None,
            connections: 2,
            troubles: 0,
            waiting: 0,
            queued: 0,
            sent: 0,
        }
    }

    #[test]
    fn the_one_that_should_lead_comes_first_and_the_one_that_is_kept_from_it_last() {
        let all = [connected(1), connected(2), connected(3)];
        let followers = [follower(1, 0, NOW), follower(2, 5, NOW), follower(3, 3, NOW)];
        let of = |wishes| in_order(&followers, &all, wishes);
        assert_eq!(of(Wishes::default()), [id(1), id(3), id(2)]);
        let preferred = Some(id(2));
        assert_eq!(of(Wishes { preferred, away: None }), [id(2), id(1), id(3)]);
        let away = Some(id(1));
        assert_eq!(of(Wishes { preferred, away }), [id(2), id(3), id(1)]);
        assert_eq!(of(Wishes { preferred: away, away }), [id(3), id(2), id(1)]);
        assert_eq!(in_order(&followers, &all[1..], Wishes::default()), [id(3), id(2)]);
    }

    #[test]
    fn of_those_that_are_wanted_one_is_taken_that_has_all_of_the_log_and_answers() {
        let wanted = [id(1), id(2)];
        let of = |followers: &[Follower]| first_level(&wanted, followers, PATIENCE);
        assert_eq!(of(&[follower(1, 0, NOW), follower(2, 0, NOW)]), Some(id(1)));
        assert_eq!(of(&[follower(1, 1, NOW), follower(2, 0, NOW)]), Some(id(2)));
        assert_eq!(of(&[follower(1, 0, Some(2 * PATIENCE)), follower(2, 0, NOW)]), Some(id(2)));
        assert_eq!(of(&[follower(1, 1, NOW), follower(3, 0, NOW)]), None);
    }

    #[test]
    fn one_after_the_other_is_asked_that_has_all_of_the_log() {
        let all = [connected(1), connected(2), connected(3)];
        let silent = Some(20 * PATIENCE);
        let followers = [follower(1, 0, silent), follower(2, 1, silent), follower(3, 0, silent)];
        let of = |asked: &[MemberId]| next_after(asked, &followers, &all, Wishes::default());
        assert_eq!(of(&[id(1)]), Some(id(3)));
        assert_eq!(of(&[id(1), id(3)]), None, "the other one would be refused");
        assert_eq!(next_after(&[id(1)], &followers, &all[..2], Wishes::default()), None);
    }
}
