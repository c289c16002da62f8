//! What an operator is told of roles: a line for each change.

use std::rc::Rc;

use raft::{Group, Role};

use super::super::Shard;
use super::{Replica, office};

/// Follows the member's role, for as long as the shard runs.
pub async fn run(shard: Rc<Shard>, group: Group) {
    let replica = shard.replica.as_ref().expect("it is a member of a group");
    let mut last = Role::Following(None);
    loop {
        let role = group.role_changed(last).await;
        office::settle(&shard);
        if matches!(role, Role::Leading(_) | Role::Following(Some(_))) {
            replica.tally.leaders.add(1);
        }
        tell(&shard, replica, last, role);
        last = role;
    }
}

fn tell(shard: &Shard, replica: &Replica, last: Role, role: Role) {
    let (name, group, own) =
        (&shard.identity.name, &replica.layout.name, &replica.layout.own().label);
    let term = replica.group().map_or(0, |group| group.term().0);
    let before = match last {
        Role::Leading(_) => "this node leads the group no more",
        Role::Following(_) => "this node does not lead the group",
    };
    match role {
        Role::Leading(_) => tracing::info!(
            shard = %name, %group, %own, term,
            "this node leads the group: it takes messages, and registers as broker id 0"
        ),
        Role::Following(Some(leader)) => {
            let leader = replica.name_of(leader);
            let id = replica.layout.own().follower_id;
            tracing::info!(
                shard = %name, %group, %own, term, %leader,
                "{before}: it hands messages on to the leader, and registers as broker id {id}"
            );
        }
        Role::Following(None) if replica.is_cut_off(shard) => tracing::warn!(
            shard = %name, %group, %own, term,
            "{before}: a majority of the members does not answer it. Messages are refused with code 14, and whoever waits for \
             one is told that nobody knows what became of it. Look at the other members and at the network"
        ),
        Role::Following(None) => tracing::info!(
            shard = %name, %group, %own, term,
            "{before}, and knows nobody who does: messages are refused with code 14 until a majority of the members has \
             elected a leader"
        ),
    }
}
