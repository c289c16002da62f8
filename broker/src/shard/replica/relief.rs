//! Making place because this member is worse off than one should be who leads: its disk is full, or does not give what a follower
//! lacks. Others may be better off, and may be not: each has its turn, and this member waits longer from one attempt to the next.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use raft::net::{PeerStatus, Peers};
use raft::{Follower, Group, MemberId};
use runtime::Instant;

use super::super::Shard;
use super::back_off::BackOff;
use super::handover::{LOOK, Outcome, could_lead, hand_over, is_level, patience};

/// When each of the others was last asked.
type Asked = BTreeMap<MemberId, Instant>;

/// Makes place whenever this member leads, says what is wrong with it, and another one could lead. Never ends, but with the core.
pub async fn run(shard: Rc<Shard>, group: Group, peers: Peers) {
    let replica = shard.replica.as_ref().expect("it is a member of a group");
    let (mut office, mut began, mut back_off) = (None, runtime::now(), BackOff::default());
    let mut asked = Asked::new();
    loop {
        runtime::sleep(LOOK).await;
        let (before, now) = (office, runtime::now());
        office = replica.in_office();
        if office != before {
            began = now;
        }
        let Some(why) = group.burden() else { continue };
        if office.is_none() || !back_off.may_try(began, now) {
            continue;
        }
        let (followers, status) = (group.followers(), peers.status());
        let Some(to) = next(&followers, &status, patience(&shard), &asked) else { continue };
        back_off.tries(began, now);
        asked.insert(to, now);
        tracing::warn!(
            shard = %shard.identity.name, group = %replica.layout.name, to = %replica.name_of(to), next_in = ?back_off.pause(),
            "{why}: leadership is handed over to another member, which may be better off"
        );
        match hand_over(&shard, &group, to).await {
            Outcome::Led(_) => {}
            Outcome::Nobody | Outcome::Behind => tracing::warn!(
                shard = %shard.identity.name, group = %replica.layout.name, to = %replica.name_of(to),
                "that member has not taken over"
            ),
            Outcome::Ended => return,
        }
    }
}

/// Who is asked: one that is connected and has all of the log; of several the one that was not asked for the longest time.
fn next(
    followers: &[Follower],
    peers: &[PeerStatus],
    patience: Duration,
    asked: &Asked,
) -> Option<MemberId> {
    let could = |one: &&Follower| is_level(one, patience) && could_lead(one.id, followers, peers);
    let could = followers.iter().filter(could);
    could.min_by_key(|one| asked.get(&one.id)).map(|one| one.id)
}

#[cfg(test)]
mod tests {
    use model::LogIndex;
    use storage::StoreId;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(300);

    fn follower(id: u128, behind: u64, heard: Option<Duration>) -> Follower {
        Follower { id: MemberId(StoreId(id)), next: LogIndex(100 - behind), behind, heard }
    }

    fn connected(id: u128) -> PeerStatus {
        PeerStatus {
            id: MemberId(StoreId(id)),
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
    fn only_one_is_asked_that_answers_and_has_all_of_the_log() {
        let now = Some(Duration::ZERO);
        let all = [connected(1), connected(2)];
        let of = |followers: &[Follower], peers: &[PeerStatus]| {
            next(followers, peers, PATIENCE, &Asked::new()).map(|id| id.0.0)
        };
        assert_eq!(of(&[follower(1, 1, now), follower(2, 0, now)], &all), Some(2));
        let silent = [follower(1, 0, None), follower(2, 0, Some(2 * PATIENCE))];
        assert_eq!(of(&silent, &all), None, "it may have died with all of the log");
        let level = [follower(1, 0, now), follower(2, 0, now)];
        assert_eq!(of(&level, &all[1..]), Some(2));
        assert_eq!(of(&level, &[]), None);
    }

    #[test]
    fn each_of_the_others_has_its_turn() {
        let (now, all) = (Some(Duration::ZERO), [connected(1), connected(2)]);
        let level = [follower(1, 0, now), follower(2, 0, now)];
        let mut asked = Asked::new();
        let began = runtime::now();
        let mut turns = Vec::new();
        for count in 0..4 {
            let to = next(&level, &all, PATIENCE, &asked).expect("both could");
            asked.insert(to, began + PATIENCE * count);
            turns.push(to.0.0);
        }
        assert_eq!(turns, [1, 2, 1, 2]);
    }
}
