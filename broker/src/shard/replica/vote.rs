//! Whether this member has a vote: NameServers are to know it only then, and operators are told.

use std::rc::Rc;

use raft::Group;

use super::super::{Shard, register};

/// Follows it, for as long as the shard runs.
pub async fn run(shard: Rc<Shard>, group: Group) {
    let mut has_vote = group.has_vote();
    loop {
        has_vote = group.vote_changed(has_vote).await;
        register::permission_changed(&shard);
        tell(&shard, &group, has_vote);
    }
}

fn tell(shard: &Shard, group: &Group, has_vote: bool) {
    let layout = &shard.replica.as_ref().expect("it is a member of a group").layout;
    let (name, own) = (&shard.identity.name, &layout.own().label);
    if has_vote {
        tracing::info!(
            shard = %name, group = %layout.name, %own,
            "this node has a vote in the group: it registers at the NameServers"
        );
    } else if group.is_learner() {
        tracing::info!(
            shard = %name, group = %layout.name, %own,
            "this node learns the group's log, and has no vote: NameServers do not show it"
        );
    } else {
        tracing::warn!(
            shard = %name, group = %layout.name, %own, store = %shard.store.id(),
            "this store is no member of the group any more: it was removed or replaced. It gets nothing more, and NameServers do not \
             show it. Stop this node; with an empty storePathRootDir it can join again"
        );
    }
}
