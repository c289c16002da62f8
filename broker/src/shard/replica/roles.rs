//! What an operator is told of roles: a line for each change.

use std::rc::Rc;
use std::time::Duration;

use raft::{Group, Role};

use super::super::Shard;
use super::{Replica, office};

/// Time between two looks at whether a leader hears of a majority.
const LOOK: Duration = Duration::from_millis(200);

/// Follows the member's role, for as long as the shard runs.
pub async fn run(shard: Rc<Shard>, group: Group) {
    let replica = shard.replica.as_ref().expect("it is a member of a group");
    let (mut last, mut was_cut_off) = (Role::Following(None), false);
    loop {
        if let Ok(role) = runtime::timeout(LOOK, group.role_changed(last)).await {
            office::settle(&shard);
            tell(&shard, replica, last, role);
            last = role;
        }
        let is_cut_off = replica.is_cut_off(&shard);
        if is_cut_off != was_cut_off && matches!(last, Role::Leading(_)) {
            tell_majority(&shard, replica, is_cut_off);
        }
        was_cut_off = is_cut_off;
    }
}

fn tell_majority(shard: &Shard, replica: &Replica, is_cut_off: bool) {
    let (name, group) = (&shard.identity.name, &replica.layout.name);
    match is_cut_off {
        true => tracing::warn!(
            shard = %name, %group,
            "this node leads the group, and a majority of the members does not answer: messages are refused with code 14, and \
             what is under way is not acknowledged. Look at the other members and at the network"
        ),
        false => tracing::info!(
            shard = %name, %group, "a majority of the members answers again: messages are taken"
        ),
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
                "{before}: it refuses messages with code 14, and registers as broker id {id}"
            );
        }
        Role::Following(None) => tracing::info!(
            shard = %name, %group, %own, term,
            "{before}, and knows nobody who does: messages are refused with code 14 until a majority of the members has \
             elected a leader"
        ),
    }
}
