//! Handing leadership over: before a stop, and to the member that should lead.

use std::rc::Rc;
use std::time::Duration;

use raft::net::{PeerStatus, Peers};
use raft::{Follower, Group, MemberId, Role};
use runtime::channel::oneshot;

use super::super::completions::Afterwards;
use super::super::{Shard, offsets};
use super::Replica;

/// How long a stop waits for what is under way before it hands over, and then for somebody else to lead, each.
const BEFORE_A_STOP: Duration = Duration::from_secs(2);
/// Time between two looks at whether another member should lead.
const LOOK: Duration = Duration::from_secs(1);
/// A leader is left in office for so long before it makes place for the one that should lead.
const SETTLED: Duration = Duration::from_secs(5);
/// And for so long when it is in office still after an attempt.
const AFTER_AN_ATTEMPT: Duration = Duration::from_secs(60);
/// The most entries that one may lack that is asked to lead: it takes over when it has them.
const MOST_BEHIND: u64 = 1000;

/// Makes place for the member that should lead, whenever it could. Never ends.
pub async fn prefer(shard: Rc<Shard>, group: Group, peers: Peers) {
    let replica = shard.replica.as_ref().expect("it is a member of a group");
    let wanted = &replica.layout.preferred().label;
    if replica.layout.preferred == replica.layout.own {
        return;
    }
    let mut last = None;
    let mut due = runtime::now();
    loop {
        runtime::sleep(LOOK).await;
        let office = replica.office.get();
        if office != last {
            (last, due) = (office, runtime::now() + SETTLED);
        }
        let members = group.members();
        let preferred = members.iter().find(|(_, member)| member.label == *wanted);
        let Some((id, _)) = preferred else { continue };
        let could = || could_lead(*id, &group.followers(), &peers.status());
        if office.is_none() || runtime::now() < due || replica.is_held() || !could() {
            continue;
        }
        tracing::info!(
            shard = %shard.identity.name, group = %replica.layout.name, to = %replica.name_of(*id),
            "leadership is handed over to the member that should lead (preferredLeaderId)"
        );
        if group.hand_over(*id).await.is_err() {
            return;
        }
        due = runtime::now() + AFTER_AN_ATTEMPT;
    }
}

/// Before a stop: what is under way is committed, and then somebody else leads. Gives up after a few seconds; the others
/// then elect somebody when this member is gone.
pub async fn before_a_stop(shard: &Rc<Shard>, group: &Group, peers: &Peers) {
    let replica = shard.replica.as_ref().expect("it is a member of a group");
    if replica.office.get().is_none() {
        return;
    }
    let committed = async {
        offsets::propose_all(shard).await;
        let (done, committed) = oneshot();
        shard.afterwards(Afterwards::Wake(done));
        committed.await
    };
    // What is not committed by then is told to its senders when the office ends.
    let (Ok(_) | Err(runtime::Elapsed)) = runtime::timeout(BEFORE_A_STOP, committed).await;
    let (role, name) = (group.role(), &shard.identity.name);
    let group_name = &replica.layout.name;
    let Some(next) = successor(replica, group, peers) else {
        if replica.layout.members.len() > 1 {
            tracing::warn!(
                shard = %name, group = %group_name,
                "leadership is not handed over: no other member is connected and has the log. The others elect somebody when \
                 they can"
            );
        }
        return;
    };
    if !matches!(role, Role::Leading(_)) || group.hand_over(next).await.is_err() {
        return;
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
    match runtime::timeout(BEFORE_A_STOP, took_over).await {
        Ok(leader) => tracing::info!(
            shard = %name, group = %group_name, to = %replica.name_of(leader), "leadership is handed over"
        ),
        Err(runtime::Elapsed) => tracing::warn!(
            shard = %name, group = %group_name, to = %replica.name_of(next),
            "leadership was not taken over within {BEFORE_A_STOP:?}. The others elect somebody when they can"
        ),
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

/// Whether this member is connected and has the log, or as good as that.
pub(super) fn could_lead(id: MemberId, followers: &[Follower], peers: &[PeerStatus]) -> bool {
    let has_the_log = followers.iter().any(|one| one.id == id && one.behind <= MOST_BEHIND);
    let is_there = peers.iter().any(|peer| peer.id == id && peer.bulk && peer.urgent);
    has_the_log && is_there
}
