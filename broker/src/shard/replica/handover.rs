//! Handing leadership over: before a stop, to the member that should lead, away from one that is worse off, and as an operator asks.
//!
//! Each time what is under way is committed first, and nothing new is taken meanwhile: whoever waits gets an answer, and no one has to be told
//! that nobody knows. That somebody was asked to lead cannot be taken back, so only one is asked that answers and has all of the log.

use std::rc::Rc;
use std::time::Duration;

use raft::net::{PeerStatus, Peers};
use raft::{Follower, Group, MOST_BEHIND, MemberId, Role};
use runtime::channel::oneshot;

use super::super::completions::Afterwards;
use super::super::{Shard, offsets};
use super::Replica;
use super::back_off::BackOff;

/// How long it is waited for what is under way.
const UNDER_WAY: Duration = Duration::from_secs(2);
/// And then for somebody else to lead.
const TAKE_OVER: Duration = Duration::from_secs(3);
/// Time between two looks at whether another member should lead.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// How long it is waited then for the other member to have it all, time in which nothing is taken.
const LEVEL: Duration = Duration::from_millis(500);
/// Time between two looks at whether it has.
const LEVEL_LOOK: Duration = Duration::from_millis(2);
/// Who lacks more entries is not made place for without need: one that leads, and takes messages, sends them in much less than that.
const NEARLY_ALL: u64 = 100;
/// So many attempts in a row are worth a warning.
const TOO_OFTEN: u32 = 3;

/// What came of handing over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// This one leads.
    Led(MemberId),
    /// Nobody did in time. It may come yet.
    Nobody,
    /// Nobody was asked: that member did not have all of the log in time, or does not answer. This one leads on.
    Behind,
    /// The group's core has ended.
    Ended,
}

/// Makes place for the member that should lead, whenever it could. Never ends.
pub async fn prefer(shard: Rc<Shard>, group: Group, peers: Peers) {
    let replica = shard.replica.as_ref().expect("it is a member of a group");
    let wanted = &replica.layout.preferred().label;
    if replica.layout.preferred == replica.layout.own {
        return;
    }
    let (mut office, mut began, mut back_off) = (None, runtime::now(), BackOff::default());
    loop {
        runtime::sleep(LOOK).await;
        let (before, now) = (office, runtime::now());
        office = replica.in_office();
        if office != before {
            began = now;
        }
        if replica.is_held() {
            // An operator says who leads: that says nothing of the member that should lead otherwise.
            (began, back_off) = (now, BackOff::default());
            continue;
        }
        let members = group.members();
        let preferred = members.iter().find(|(_, member)| member.label == *wanted);
        let Some((id, _)) = preferred else { continue };
        let is_near = || follower(&group, *id).is_some_and(|one| is_near(&one, patience(&shard)));
        let could = || is_near() && could_lead(*id, &group.followers(), &peers.status());
        if office.is_none() || !back_off.may_try(began, now) || !could() {
            continue;
        }
        let attempts = back_off.tries(began, now);
        tell_attempt(&shard, &replica.name_of(*id), (attempts, &back_off));
        if hand_over(&shard, &group, *id).await == Outcome::Ended {
            return;
        }
    }
}

fn tell_attempt(shard: &Shard, to: &str, (attempts, back_off): (u32, &BackOff)) {
    let (name, group) = (&shard.identity.name, shard.replica.as_ref().map(|one| &one.layout.name));
    let group = group.expect("it is a member of a group");
    tracing::info!(
        shard = %name, %group, %to,
        "leadership is handed over to the member that should lead (preferredLeaderId)"
    );
    if attempts >= TOO_OFTEN {
        tracing::warn!(
            shard = %name, %group, %to, attempts, next_in = ?back_off.pause(),
            "the member that should lead was given the lead again and again, and has lost it each time soon after: look at its disk, \
             its network and its log. `mqadmin transferLeader --hold` lets another one lead meanwhile"
        );
    }
}

/// Makes place for this member, in order, and waits until somebody else leads.
pub(super) async fn hand_over(shard: &Rc<Shard>, group: &Group, to: MemberId) -> Outcome {
    let replica = shard.replica.as_ref().expect("it is a member of a group");
    let _making_place = replica.makes_place();
    finish_what_is_under_way(shard).await;
    let has_all = becomes_level(shard, group, to).await;
    let role = group.role();
    match role {
        Role::Leading(_) => {}
        Role::Following(Some(leader)) => return Outcome::Led(leader),
        Role::Following(None) => return Outcome::Nobody,
    }
    if !has_all {
        return Outcome::Behind;
    }
    if group.hand_over(to).await.is_err() {
        return Outcome::Ended;
    }
    let took_over = async {
        let mut role = role;
        loop {
            role = group.role_changed(role).await;
            if let Role::Following(Some(leader)) = role {
                return leader;
            }
        }
    };
    match runtime::timeout(TAKE_OVER, took_over).await {
        Ok(leader) => Outcome::Led(leader),
        Err(runtime::Elapsed) => Outcome::Nobody,
    }
}

/// Waits until this member has all of the log, and answers; false after [`LEVEL`], or if this one leads no more.
async fn becomes_level(shard: &Shard, group: &Group, to: MemberId) -> bool {
    let (patience, end) = (patience(shard), runtime::now() + LEVEL);
    loop {
        match follower(group, to) {
            None => return false,
            Some(one) if is_level(&one, patience) => return true,
            Some(_) if runtime::now() >= end => return false,
            Some(_) => runtime::sleep(LEVEL_LOOK).await,
        }
    }
}

fn follower(group: &Group, id: MemberId) -> Option<Follower> {
    group.followers().into_iter().find(|one| one.id == id)
}

/// How long a member may be silent that is asked to lead: in that time a leader that is gone is missed.
pub(super) fn patience(shard: &Shard) -> Duration {
    let timing = shard.config.raft_group.as_ref().map(|group| group.timing);
    timing.expect("it has groups").election_max
}

/// Whether a member has all of the log, and has answered a moment ago.
pub(super) fn is_level(one: &Follower, patience: Duration) -> bool {
    is_near(one, patience) && one.behind == 0
}

/// Whether a member has nearly all of the log, and has answered a moment ago.
fn is_near(one: &Follower, patience: Duration) -> bool {
    one.behind <= NEARLY_ALL && one.heard.is_some_and(|heard| heard <= patience)
}

/// Waits until what was appended is committed, the consumer offsets that wait among it; or until it has taken too long.
async fn finish_what_is_under_way(shard: &Rc<Shard>) {
    let committed = async {
        offsets::propose_all(shard).await;
        let (done, committed) = oneshot();
        shard.afterwards(Afterwards::Wake(done));
        committed.await
    };
    // What is not committed by then is told to its senders when the office ends.
    let (Ok(_) | Err(runtime::Elapsed)) = runtime::timeout(UNDER_WAY, committed).await;
}

/// Before a stop: what is under way is committed, and then somebody else leads. Gives up after a few seconds; the others
/// then elect somebody when this member is gone.
pub async fn before_a_stop(shard: &Rc<Shard>, group: &Group, peers: &Peers) {
    let replica = shard.replica.as_ref().expect("it is a member of a group");
    if replica.office.get().is_none() {
        return;
    }
    let (name, group_name) = (&shard.identity.name, &replica.layout.name);
    let Some(next) = successor(replica, group, peers) else {
        finish_what_is_under_way(shard).await;
        if replica.layout.members.len() > 1 {
            tracing::warn!(
                shard = %name, group = %group_name,
                "leadership is not handed over: no other member is connected and has the log. The others elect somebody when \
                 they can"
            );
        }
        return;
    };
    match hand_over(shard, group, next).await {
        Outcome::Led(leader) => tracing::info!(
            shard = %name, group = %group_name, to = %replica.name_of(leader), "leadership is handed over"
        ),
        Outcome::Nobody => tracing::warn!(
            shard = %name, group = %group_name, to = %replica.name_of(next),
            "leadership was not taken over within {TAKE_OVER:?}. The others elect somebody when they can"
        ),
        Outcome::Behind => tracing::warn!(
            shard = %name, group = %group_name, to = %replica.name_of(next),
            "leadership is not handed over: that member did not have all of the log within {LEVEL:?}. The others elect somebody when \
             they can"
        ),
        Outcome::Ended => {}
    }
}

/// Who leads next: the one that should, or the one that has most of the log.
fn successor(replica: &Replica, group: &Group, peers: &Peers) -> Option<MemberId> {
    let (members, followers, peers) = (group.members(), group.followers(), peers.status());
    let preferred = |id: MemberId| {
        members.get(&id).is_some_and(|member| member.label == replica.layout.preferred().label)
    };
    let could = followers.iter().filter(|one| could_lead(one.id, &followers, &peers));
    could.max_by_key(|one| (preferred(one.id), one.next)).map(|one| one.id)
}

/// Whether this member is connected, takes entries, and has the log, or as good as that.
pub(super) fn could_lead(id: MemberId, followers: &[Follower], peers: &[PeerStatus]) -> bool {
    let has_the_log = followers.iter().any(|one| one.id == id && one.behind <= MOST_BEHIND);
    let is_there = |peer: &PeerStatus| peer.bulk && peer.urgent && peer.refuses.is_none();
    has_the_log && peers.iter().any(|peer| peer.id == id && is_there(peer))
}
