//! Whether the members of a group are those that the configuration names. The group's log says who they are, and what the
//! configuration says differently has no effect on it; but a node takes itself for what its own configuration calls it.

use std::collections::BTreeMap;
use std::time::Duration;

use raft::net::Standing;
use raft::{Group, Member, MemberId};

use super::super::Shard;
use crate::config::{self, GroupLayout};

/// Time between two looks of one that its group does not name yet.
const LOOK: Duration = Duration::from_secs(1);

/// Tells where the two differ, once, as soon as the group names this node.
pub async fn compare(shard: &Shard, group: &Group) {
    let replica = shard.replica.as_ref().expect("it is a member of a group");
    let (layout, own) = (&replica.layout, MemberId(shard.store.id()));
    let is_whole = || group.standing() == Standing::Member && group.is_taking_in().is_empty();
    let mut told = false;
    loop {
        let members = group.members();
        if is_whole() && !told {
            told = true;
            if let Some(difference) = difference(layout, &members) {
                tracing::warn!(shard = %shard.identity.name, group = %layout.name, "{difference}");
            }
        }
        if let Some(named) = members.get(&own) {
            if let Some(mistake) = mistaken_for(layout, named) {
                tracing::warn!(shard = %shard.identity.name, group = %layout.name, "{mistake}");
            }
            return;
        }
        runtime::sleep(LOOK).await;
    }
}

/// How the members in the log differ from those of the configuration, if they do.
fn difference(layout: &GroupLayout, members: &BTreeMap<MemberId, Member>) -> Option<String> {
    let mut in_log: Vec<String> =
        members.values().map(|member| format!("{}-{}", member.label, member.addr)).collect();
    let mut configured: Vec<String> = layout
        .members
        .iter()
        .map(|member| format!("{}-{}", member.label, place(member, members)))
        .collect();
    in_log.sort_unstable();
    configured.sort_unstable();
    (in_log != configured).then(|| {
        format!(
            "dLegerPeers has {}, and the group, by its own log, {}: that is how it is. If members were replaced or have moved, bring \
             dLegerPeers up to date; mqadmin changes the group",
            configured.join(";"),
            in_log.join(";")
        )
    })
}

/// Where a member is as the configuration has it. One that has only a name there, which means nothing now, may well be where
/// the log says.
fn place(member: &config::Member, members: &BTreeMap<MemberId, Member>) -> String {
    let in_log = members.values().find(|other| other.label == member.label);
    match (member.addr, in_log) {
        (None, Some(in_log)) => in_log.addr.to_string(),
        _ => member.place(),
    }
}

/// What is wrong if the group has this node under another label or address than its configuration.
fn mistaken_for(layout: &GroupLayout, named: &Member) -> Option<String> {
    let (label, addr) = (&layout.own().label, layout.own_addr());
    if named.label != *label {
        return Some(format!(
            "dLegerSelfId says that this node is {label}, and the group has it as {}, at {}: it takes itself for another member, and \
             registers under that one's broker id, so that NameServers show one of the two. If storePathRootDir is {}'s store, or a copy of it, \
             stop this broker at once and give it back its own: one store must never run twice. If the node is {} indeed, set \
             dLegerSelfId = {} here, and start it again",
            named.label, named.addr, named.label, named.label, named.label
        ));
    }
    (named.addr != addr).then(|| {
        format!(
            "dLegerPeers says that this node, {label}, is at {addr}, and the group looks for it at {}: it finds it there only if that \
             is the same machine. If the node has moved, `mqadmin moveMember` tells the group",
            named.addr
        )
    })
}

#[cfg(test)]
mod tests {
    use storage::StoreId;

    use super::*;
    use crate::config::of_text;

    fn layout(own: &str) -> GroupLayout {
        let text = format!(
            "enableDLegerCommitLog=true\ndLegerSelfId={own}\nbrokerName=b\n\
             dLegerPeers=n0-10.0.0.1:40911;n1-10.0.0.2:40911;n2-gone:40911\n"
        );
        let config = of_text(&text).expect("the configuration fits");
        let ips = [Some([10, 0, 0, 1].into()), Some([10, 0, 0, 2].into()), None];
        let group = config.raft_group.as_ref().expect("there is a group");
        group.layouts(&config, &ips).expect("it has a layout").remove(0)
    }

    fn members(last: [u8; 3]) -> BTreeMap<MemberId, Member> {
        let member = |(at, last): (u8, u8)| {
            let member = Member::new(format!("n{at}"), ([10, 0, 0, last], 40911).into());
            (MemberId(StoreId(u128::from(at) + 1)), member)
        };
        (0..).zip(last).map(member).collect()
    }

    #[test]
    fn a_node_that_takes_itself_for_another_member_is_told() {
        let all = members([1, 2, 3]);
        let named = |number: u128| &all[&MemberId(StoreId(number))];
        assert_eq!(mistaken_for(&layout("n1"), named(2)), None);
        let told = mistaken_for(&layout("n1"), named(3)).expect("n2 says that it is n1");
        assert!(
            told.contains("this node is n1, and the group has it as n2, at 10.0.0.3"),
            "{told}"
        );
        assert!(told.contains("set dLegerSelfId = n2"), "{told}");
        assert!(told.contains("is n2's store, or a copy of it"), "{told}");
    }

    #[test]
    fn a_node_that_has_moved_is_told() {
        let all = members([7, 2, 3]);
        let told =
            mistaken_for(&layout("n0"), &all[&MemberId(StoreId(1))]).expect("it is elsewhere");
        assert!(
            told.contains("is at 10.0.0.1:40911, and the group looks for it at 10.0.0.7"),
            "{told}"
        );
        assert!(told.contains("mqadmin moveMember"), "{told}");
    }

    #[test]
    fn members_that_are_not_the_configured_ones_are_told_but_for_a_name_that_means_nothing() {
        assert_eq!(difference(&layout("n0"), &members([1, 2, 3])), None, "n2 is wherever it is");
        let told = difference(&layout("n0"), &members([1, 9, 3])).expect("n1 is elsewhere");
        assert!(told.contains("n1-10.0.0.2:40911") && told.contains("n1-10.0.0.9:40911"), "{told}");
        let mut fewer = members([1, 2, 3]);
        fewer.remove(&MemberId(StoreId(3)));
        let told = difference(&layout("n0"), &fewer).expect("n2 is none");
        assert!(told.contains("n2-gone:40911"), "{told}");
    }
}
