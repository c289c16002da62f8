//! Making place because this member is worse off than one should be who leads: its disk is full, or does not give what a follower
//! lacks. Others may be better off, and may be not: each has its turn, and this member waits longer from one attempt to the next.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use raft::net::{PeerStatus, Peers};
use raft::{Follower, Group, MemberId};
use runtime::Instant;

use super::super::Shard;
use super::back_off::LONGEST_PAUSE;
use super::candidates::{Wishes, could_lead, is_near};
use super::handover::{LOOK, Outcome, hand_over, patience, wishes};
use super::tenure::Tenure;

/// A leader that refuses messages has nothing to lose by asking somebody else, and does not wait for longer than this.
const REFUSING: Duration = Duration::from_secs(45);

/// When each of the others was last asked.
type Asked = BTreeMap<MemberId, Instant>;

/// Makes place whenever this member leads, says what is wrong with it, and another one could lead. Never ends, but with the core.
pub async fn run(shard: Rc<Shard>, group: Group, peers: Peers) {
    let replica = shard.replica.as_ref().expect("it is a member of a group");
    let (mut tenure, mut asked) = (Tenure::default(), Asked::new());
    loop {
        runtime::sleep(LOOK).await;
        let now = runtime::now();
        tenure.look(replica.tenure(), now);
        tenure.wait_at_most(if shard.disk.refuses() { REFUSING } else { LONGEST_PAUSE });
        let Some(why) = group.burden().or_else(|| shard.disk.burden()) else { continue };
        if !tenure.may_try(now) {
            continue;
        }
        let sight = (&*group.followers(), &*peers.status(), patience(&shard));
        let Some(to) = next(sight, wishes(replica, &group), &asked) else { continue };
        tenure.tries(now);
        asked.insert(to, now);
        tracing::warn!(
            shard = %shard.identity.name, group = %replica.layout.name, to = %replica.name_of(to), next_in = ?tenure.pause(),
            "{why}: leadership is handed over to another member, which may be better off"
        );
        match hand_over(&shard, (&group, &peers), &[to]).await {
            Outcome::Led(_) => {}
            Outcome::Nobody | Outcome::Behind => tracing::warn!(
                shard = %shard.identity.name, group = %replica.layout.name, to = %replica.name_of(to),
                "that member has not taken over"
            ),
            Outcome::Ended => return,
        }
    }
}

/// Who is asked: one that is connected and has nearly all of the log, for under load nobody has all of it at any moment; of several the one that was not asked for the longest time, and only
/// where there is no other the one that operators keep from leading.
fn next(
    (followers, peers, patience): (&[Follower], &[PeerStatus], Duration),
    wishes: Wishes,
    asked: &Asked,
) -> Option<MemberId> {
    let could = |one: &&Follower| is_near(one, patience) && could_lead(one.id, followers, peers);
    let could = followers.iter().filter(could);
    could.min_by_key(|one| (wishes.is_away(one.id), asked.get(&one.id))).map(|one| one.id)
}

#[cfg(test)]
mod tests {
    use super::super::candidates::tests::{NOW, PATIENCE, connected, follower, id};
    use super::*;

    #[test]
    fn only_one_is_asked_that_answers_and_has_nearly_all_of_the_log() {
        let all = [connected(1), connected(2)];
        let of = |followers: &[Follower], peers: &[PeerStatus]| {
            let next = next((followers, peers, PATIENCE), Wishes::default(), &Asked::new());
            next.map(|id| id.0.0)
        };
        assert_eq!(of(&[follower(1, 101, NOW), follower(2, 1, NOW)], &all), Some(2));
        let silent = [follower(1, 0, None), follower(2, 0, Some(2 * PATIENCE))];
        assert_eq!(of(&silent, &all), None, "it may have died with all of the log");
        let level = [follower(1, 0, NOW), follower(2, 0, NOW)];
        assert_eq!(of(&level, &all[1..]), Some(2));
        assert_eq!(of(&level, &[]), None);
    }

    /// Who is asked, four times one after the other.
    fn turns(followers: &[Follower], wishes: Wishes) -> Vec<u128> {
        let (all, mut asked, began) = ([connected(1), connected(2)], Asked::new(), runtime::now());
        let turn = |count| {
            let to = next((followers, &all, PATIENCE), wishes, &asked).expect("one could");
            asked.insert(to, began + PATIENCE * count);
            to.0.0
        };
        (0..4).map(turn).collect()
    }

    #[test]
    fn each_of_the_others_has_its_turn() {
        let level = [follower(1, 0, NOW), follower(2, 0, NOW)];
        assert_eq!(turns(&level, Wishes::default()), [1, 2, 1, 2]);
    }

    #[test]
    fn one_that_is_kept_from_leading_is_asked_where_no_other_could() {
        let wishes = Wishes { preferred: None, away: Some(id(1)) };
        let level = [follower(1, 0, NOW), follower(2, 0, NOW)];
        assert_eq!(turns(&level, wishes), [2, 2, 2, 2]);
        assert_eq!(turns(&[follower(1, 0, NOW), follower(2, 101, NOW)], wishes), [1, 1, 1, 1]);
    }
}
