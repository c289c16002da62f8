//! Founding a group, which happens once in its life: when all members that are configured are there, and none of them
//! belongs to a group.
//!
//! One of them does it, the first in the order of the labels. It asks all others first; each promises that nobody else
//! founds a group with it. The others have nothing to do: the first one's log comes to them. Whoever belongs to a group says
//! so, for ever, so that a node whose disk was wiped founds nothing.
//!
//! The first one may bring the store of a broker without replicas. It goes on serving it, as a group of one, and takes the others
//! in once all of them are there and empty: they get its log, and then a vote each.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures::future::join_all;
use raft::net::{Limits, Peers, Standing, ask_to_found};
use raft::{Group, Member, MemberId, Role};
use runtime::Instant;

use super::super::Shard;
use super::whereabouts::addr_of;
use crate::config::{self, GroupLayout};

/// Pause between two rounds of questions.
const AGAIN: Duration = Duration::from_millis(300);
/// The same while there is a member whose host has to be looked up each time.
const LOOKED_UP_AGAIN: Duration = Duration::from_secs(2);
/// An empty store that no leader has found for so long is told of.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same of one that a leader has found, and that has nothing of the log yet.
const FOR_A_CHECKPOINT: Duration = Duration::from_secs(600);

/// What to do by hand.
const RUNBOOK: &str = "\"The group is not founded\" in docs/runbook-groups.md";

/// What a member answered: its store, where it is, and whether the store belongs to a group; or why there is no answer.
type Heard = Result<(MemberId, SocketAddr, Standing), String>;

/// What the answers come to.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// The group can be founded, of these.
    Found(BTreeMap<MemberId, Member>),
    /// Something is in the way.
    Wait(String),
}

/// Founds the group if that is for this member to do, as soon as it can be. Ends when the member belongs to a group.
pub async fn run(shard: Rc<Shard>, group: Group, peers: Peers, limits: Limits) {
    let replica = shard.replica.as_ref().expect("it is a member of a group");
    let layout = &replica.layout;
    let (name, began) = (&shard.identity.name, runtime::now());
    let taking_in = group.is_taking_in();
    if is_founding(layout, &taking_in) {
        return take_in(name, layout, &group, with_own(layout, &peers, taking_in)).await;
    }
    if group.standing() == Standing::Alone {
        tracing::warn!(
            shard = %name, group = %layout.name,
            "the store is that of a broker without replicas, and becomes the first member of the group: it serves alone, and nothing \
             is replicated, until all others in dLegerPeers are there, empty, and have got its log"
        );
    } else if group.standing() != Standing::Empty {
        return await_members(name, layout, &group).await;
    }
    if layout.own == 0 {
        found(name, layout, &group, &peers, &limits).await;
    } else {
        tracing::info!(
            shard = %name, group = %layout.name,
            "the store is empty: {} founds the group once all its members are there. If the group is there already, this member has lost \
             its store: `mqadmin replaceMember` has the group take it in anew",
            layout.members[0].label
        );
    }
    await_group(name, layout, &group, began).await;
    await_members(name, layout, &group).await;
}

async fn found(shard: &str, layout: &GroupLayout, group: &Group, peers: &Peers, limits: &Limits) {
    let own = peers.facts().store;
    let mut told = String::new();
    let standing = group.standing();
    while group.standing() == standing {
        let asked = layout.others().map(|member| ask(member, peers, limits));
        let others = join_all(asked).await;
        // Whoever has asked this one first founds the group, if anybody does.
        let own_heard = peers.promise(own).map_err(|refusal| refusal.text);
        let mut heard: Vec<Heard> =
            vec![own_heard.map(|()| (own, layout.own_addr(), Standing::Empty))];
        heard.extend(others);
        match step(layout, &heard) {
            Step::Found(members) if standing == Standing::Alone => {
                return take_in(shard, layout, group, members).await;
            }
            Step::Found(members) => {
                let labels: Vec<&str> =
                    layout.members.iter().map(|member| member.label.as_str()).collect();
                match group.found(members).await {
                    Ok(()) => tracing::info!(
                        shard, group = %layout.name, members = %labels.join(";"), "the group is founded"
                    ),
                    Err(error) => tracing::error!(shard, %error, "the group cannot be founded"),
                }
                return;
            }
            Step::Wait(why) => {
                if why != told {
                    tracing::info!(shard, group = %layout.name, "the group is not founded yet: {why}");
                    told = why;
                }
                let is_lost = layout.others().any(|member| member.addr.is_none());
                runtime::sleep(if is_lost { LOOKED_UP_AGAIN } else { AGAIN }).await;
            }
        }
    }
}

/// Whether a start goes on with taking others in: all that the configuration names are there, and nobody else. An operator adds one at a
/// time, and gives it a vote himself.
fn is_founding(layout: &GroupLayout, taking_in: &BTreeMap<MemberId, Member>) -> bool {
    let theirs = taking_in.values().map(|member| &member.label).collect::<BTreeSet<_>>();
    let ours = layout.others().map(|other| &other.label).collect::<BTreeSet<_>>();
    !ours.is_empty() && theirs == ours
}

/// Takes the others into the group of one that this member's store is.
async fn take_in(
    shard: &str,
    layout: &GroupLayout,
    group: &Group,
    members: BTreeMap<MemberId, Member>,
) {
    let labels: Vec<&str> = members.values().map(|member| member.label.as_str()).collect();
    let labels = labels.join(";");
    tracing::info!(
        shard, group = %layout.name, members = %labels, "all members are there: they get the log of this one"
    );
    match group.grow(members).await {
        Ok(()) => tracing::info!(
            shard, group = %layout.name, members = %labels, "all members have the log, and a vote: the group is complete"
        ),
        Err(error) => tracing::error!(
            shard, group = %layout.name, %error,
            "the other members cannot be taken in: this one serves alone. Start it again when the reason is mended"
        ),
    }
}

/// These and this member itself, as the configuration has it.
fn with_own(
    layout: &GroupLayout,
    peers: &Peers,
    mut members: BTreeMap<MemberId, Member>,
) -> BTreeMap<MemberId, Member> {
    let own = layout.own();
    let known = Member::new(own.label.clone(), layout.own_addr());
    members.insert(peers.facts().store, known);
    members
}

async fn ask(member: &config::Member, peers: &Peers, limits: &Limits) -> Heard {
    let addr = addr_of(member).await.map_err(|error| error.to_string())?;
    let answer = ask_to_found(addr, peers.facts(), limits).await;
    answer.map(|(id, standing)| (id, addr, standing)).map_err(|error| error.to_string())
}

/// What the answers come to; they are in the order of the members, this one's the first.
fn step(layout: &GroupLayout, heard: &[Heard]) -> Step {
    assert_eq!(heard.len(), layout.members.len(), "all were asked");
    let mut members = BTreeMap::new();
    for (member, heard) in layout.members.iter().zip(heard) {
        let label = &member.label;
        let (id, addr, standing) = match heard {
            Ok(heard) => heard,
            Err(why) => return Step::Wait(format!("{label} is needed, and {why}")),
        };
        let why = match standing {
            Standing::Empty => None,
            Standing::Unknown => Some(format!("{label} still reads its log")),
            Standing::Alone => Some(format!(
                "{label} at {} has the store of a broker without replicas, and only the first member may bring one: give it an \
                 empty storePathRootDir",
                addr
            )),
            Standing::Member => Some(format!(
                "{label} at {} belongs to a group already, and this node's store is empty. If its disk was replaced or \
                 wiped, or it is a new one, `mqadmin replaceMember` or `addLearner` lets it join. If nobody leads: see {RUNBOOK}",
                addr
            )),
        };
        if let Some(why) = why {
            return Step::Wait(why);
        }
        let known = Member::new(label.clone(), *addr);
        if members.insert(*id, known).is_some() {
            return Step::Wait(format!(
                "{label} at {} has the store {id}, which another member has too: one is a copy of the other. Give each an \
                 empty storePathRootDir",
                addr
            ));
        }
    }
    Step::Found(members)
}

/// Waits until the member belongs to a group, and says when that takes long.
async fn await_group(shard: &str, layout: &GroupLayout, group: &Group, began: Instant) {
    let mut told = false;
    while group.standing() == Standing::Empty {
        runtime::sleep(AGAIN).await;
        if !told && began.elapsed() > PATIENCE {
            told = true;
            tracing::warn!(
                shard, group = %layout.name,
                "the store is empty, and no leader has found this node for {PATIENCE:?}: a group is founded when all members \
                 in dLegerPeers run and reach each other. If the group is older than this node's disk, the node joins it by \
                 `mqadmin replaceMember` or `addLearner`"
            );
        }
    }
}

/// Waits until this member has the group's first entry, and says when that takes long: it has voted for one that founded the group, and
/// nobody may have the entry any more. One that knows of a leader may get a checkpoint first.
async fn await_members(shard: &str, layout: &GroupLayout, group: &Group) {
    let is_waiting = || group.standing() == Standing::Member && group.members().is_empty();
    let patience = || match group.role() {
        Role::Following(Some(_)) => FOR_A_CHECKPOINT,
        Role::Following(None) | Role::Leading(_) => PATIENCE,
    };
    let began = runtime::now();
    while is_waiting() && began.elapsed() <= patience() {
        runtime::sleep(AGAIN).await;
    }
    if is_waiting() {
        tracing::warn!(
            shard, group = %layout.name,
            "this store has voted for a member that founds the group, and has got nothing of its log for {waited:?}. If that one's \
             store is lost, and nobody leads: see {RUNBOOK}",
            waited = patience()
        );
    }
}

#[cfg(test)]
mod tests {
    use storage::StoreId;

    use super::*;
    use crate::config::of_text;

    fn layout() -> GroupLayout {
        let text = "enableDLegerCommitLog=true\ndLegerSelfId=n0\nbrokerName=b\n\
                    dLegerPeers=n0-10.0.0.1:40911;n1-10.0.0.2:40911;n2-10.0.0.3:40911\n";
        let config = of_text(text).expect("the configuration fits");
        let ips = [1, 2, 3].map(|last| Some([10, 0, 0, last].into()));
        let group = config.raft_group.as_ref().expect("there is a group");
        group.layouts(&config, &ips).expect("it has a layout").remove(0)
    }

    fn id(number: u128) -> MemberId {
        MemberId(StoreId(number))
    }

    fn at(last: u8) -> SocketAddr {
        ([10, 0, 0, last], 40911).into()
    }

    #[test]
    fn only_all_that_are_named_are_taken_in_without_a_word() {
        let of = |labels: &[u8]| {
            let member = |last: &u8| Member::new(format!("n{last}"), at(*last));
            let all = labels.iter().map(|last| (id((*last).into()), member(last)));
            is_founding(&layout(), &all.collect())
        };
        assert!(of(&[1, 2]));
        assert!(!of(&[]) && !of(&[1]) && !of(&[1, 3]) && !of(&[1, 2, 3]));
    }

    fn all() -> [Heard; 3] {
        [1, 2, 3].map(|number| Ok((id(number.into()), at(number), Standing::Empty)))
    }

    fn waits_for(heard: [Heard; 3]) -> String {
        match step(&layout(), &heard) {
            Step::Wait(why) => why,
            Step::Found(_) => panic!("it would be founded with {heard:?}"),
        }
    }

    #[test]
    fn a_group_is_founded_when_all_are_there_and_empty() {
        let Step::Found(members) = step(&layout(), &all()) else { panic!("all are there") };
        let found: Vec<_> =
            members.iter().map(|(id, member)| (id.0.0, member.label.as_str())).collect();
        assert_eq!(found, [(1, "n0"), (2, "n1"), (3, "n2")]);
        assert_eq!(members[&id(3)].addr.to_string(), "10.0.0.3:40911");
    }

    #[test]
    fn one_that_is_missing_or_belongs_to_a_group_is_in_the_way() {
        for at in 0..3 {
            let mut heard = all();
            heard[at] = Err("it sleeps".to_owned());
            assert_eq!(waits_for(heard), format!("n{at} is needed, and it sleeps"));
        }
        for standing in [Standing::Unknown, Standing::Member, Standing::Alone] {
            let mut heard = all();
            heard[2] = Ok((id(3), at(3), standing));
            assert!(waits_for(heard).starts_with("n2 "), "{standing:?}");
        }
    }

    #[test]
    fn a_copied_store_is_no_second_member() {
        let mut heard = all();
        heard[1] = Ok((id(3), at(2), Standing::Empty));
        assert!(waits_for(heard).contains("one is a copy of the other"));
    }
}
