//! Members that have applied the same entries have come to the same topics, groups and consumer offsets; and a queue that is locked for
//! somebody in one of them is locked for nobody else in another.
//!
//! A lock may be missing where another member has it still: each forgets it by its own clock, but not before its lease is over.

use std::collections::BTreeMap;

use broker::shard::state::ShardState;
use runtime::Instant;

use super::locks::{LEASE, Locks};
use crate::clients::stock::GROUP;
use crate::content::{Queue, TOPICS};

/// Indexes of a shard that are remembered: members that are there are not further apart.
const KEPT: usize = 500;

/// A member's state, when it was looked at.
pub struct Look {
    pub node: usize,
    pub at: Instant,
    pub state: ShardState,
}

#[derive(Default)]
pub struct Applied {
    /// By shard and index: the first look there.
    known: BTreeMap<u32, BTreeMap<u64, Look>>,
    /// By shard and node: where it was looked at last.
    last: BTreeMap<(u32, usize), u64>,
    /// Looks at a member where another one was looked at before.
    pub compared: u64,
}

impl Applied {
    /// A member begins a life, with what its disk has.
    pub fn begins(&mut self, shard: u32, node: usize) {
        self.last.remove(&(shard, node));
    }

    pub fn last(&self, shard: u32, node: usize) -> Option<u64> {
        self.last.get(&(shard, node)).copied()
    }

    /// This is what a member has come to before the entry `index`.
    pub fn is(&mut self, shard: u32, index: u64, look: Look, locks: &Locks) {
        let before = self.last.insert((shard, look.node), index);
        assert!(before <= Some(index), "n{} of shard {shard} goes back to {index}", look.node);
        let known = self.known.entry(shard).or_default();
        match known.get(&index) {
            Some(other) => {
                are_the_same((shard, index), other, &look);
                have_its_locks((shard, index), (other, &look), locks);
                have_its_locks((shard, index), (&look, other), locks);
                self.compared += u64::from(other.node != look.node);
            }
            None => drop(known.insert(index, look)),
        }
        while known.len() > KEPT {
            known.pop_first();
        }
    }
}

fn are_the_same((shard, index): (u32, u64), one: &Look, other: &Look) {
    let (a, b) = (&one.state, &other.state);
    let who = format!("n{} and n{} of shard {shard} at {index}", one.node, other.node);
    assert_eq!(a.topics, b.topics, "topics of {who}");
    assert_eq!(a.topics_version, b.topics_version, "version of the topics of {who}");
    assert_eq!(a.groups, b.groups, "groups of {who}");
    assert_eq!(a.groups_version, b.groups_version, "version of the groups of {who}");
    assert_eq!(a.offsets, b.offsets, "offsets of {who}");
}

/// The locks of the one are also the other's, but for those that may have ended there.
fn have_its_locks((shard, index): (u32, u64), (one, other): (&Look, &Look), locks: &Locks) {
    let there = held(shard, &other.state);
    for (queue, client) in held(shard, &one.state) {
        let may_have_ended =
            || locks.since(queue, client).is_none_or(|since| other.at >= since + LEASE);
        let fits = match there.get(&queue) {
            Some(holder) => *holder == client,
            None => may_have_ended(),
        };
        assert!(
            fits,
            "before entry {index} n{} has {queue:?} locked for {client}, and n{} for {:?}",
            one.node,
            other.node,
            there.get(&queue)
        );
    }
}

fn held(shard: u32, state: &ShardState) -> BTreeMap<Queue, &str> {
    let ours = state.locks.iter().filter(|locks| locks.group == GROUP);
    let all = ours.flat_map(|locks| &locks.held).map(|(client, topic, id)| {
        let topic = TOPICS.into_iter().find(|known| known == topic).expect("there are no others");
        (Queue { shard, topic, id: id.cast_signed() }, client.as_str())
    });
    all.collect()
}
