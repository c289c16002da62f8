//! What members of a group must agree on, and whether they do.

use std::fmt;

use crate::net::wire::hello::{Hello, Refusal, RefusalCode};
use crate::types::MemberId;

/// Which member of which group one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its store.
    pub store: MemberId,
    /// The cluster's name; [`Facts::NAME_MAX`] bytes at most.
    pub cluster: String,
    /// The group's name, such as `RaftNode00-s0`; [`Facts::NAME_MAX`] bytes at most.
    pub group: String,
    /// The name under which clients know the group, whoever leads it; [`Facts::NAME_MAX`] bytes at most.
    pub known_as: String,
    /// The number of the shard.
    pub shard: u32,
    /// What never changes in the life of a group.
    pub constants: Constants,
}

/// What all members have the same, because their logs are the same byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constants {
    /// Bytes of a segment of the log.
    pub segment_size: u64,
    /// The version of the log's entries.
    pub log_version: u32,
}

impl Constants {
    /// Those of this release, for a log with segments of so many bytes.
    #[must_use]
    pub fn new(segment_size: u64) -> Self {
        Self { segment_size, log_version: storage::ENTRY_VERSION.into() }
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Lane {
    /// Entries and snapshots.
    Bulk = 1,
    /// What must never wait behind them: votes, heartbeats, a leader that hands over.
    Urgent = 2,
}

impl Lane {
    pub(in crate::net) const ALL: [Lane; 2] = [Lane::Bulk, Lane::Urgent];

    pub(in crate::net) fn from_byte(byte: u8) -> Option<Lane> {
        Self::ALL.into_iter().find(|lane| *lane as u8 == byte)
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lane::Bulk => "bulk",
            Lane::Urgent => "urgent",
        })
    }
}

/// Whether a store belongs to a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Standing {
    /// Nobody has said yet: the log is being read.
    #[default]
    Unknown = 0,
    /// It has no entry, and no group: a group may be founded with it.
    Empty = 1,
    /// It belongs to a group, or is about to: it has its first entry.
    Member = 2,
    /// It has entries, and none of them names a group: the store of somebody without replicas.
    Alone = 3,
}

impl Standing {
    pub(in crate::net) fn from_byte(byte: u8) -> Option<Self> {
        let all = [Self::Unknown, Self::Empty, Self::Member, Self::Alone];
        all.into_iter().find(|standing| *standing as u8 == byte)
    }
}

impl Facts {
    /// Bytes of the longest name of a cluster, a group, or what clients know it as.
    pub const NAME_MAX: usize = 255;

    /// # Panics
    /// When a name is too long or no line of text, or the store has no id: configuration is checked where it is read.
    pub(in crate::net) fn assert_sound(&self) {
        assert!(self.store.0.0 != 0, "a store has an id");
        for name in [&self.cluster, &self.group, &self.known_as] {
            assert!(name.len() <= Self::NAME_MAX && !name.contains(char::is_control));
        }
    }

    /// Whether somebody who says this may talk to us.
    pub(in crate::net) fn admits(&self, hello: &Hello) -> Result<(), Refusal> {
        let (ours, theirs) = (self, &hello.facts);
        let refuse = |code, text| Err(Refusal { code, text });
        if ours.cluster != theirs.cluster {
            let text = format!(
                "this is a node of cluster {:?}, and you are of cluster {:?}: correct the address of the peer, or \
                 brokerClusterName",
                ours.cluster, theirs.cluster
            );
            return refuse(RefusalCode::Cluster, text);
        }
        if ours.group != theirs.group {
            let text = format!(
                "this is a member of group {:?}, and you are of group {:?}: correct the address of the peer, or the \
                 name of the group",
                ours.group, theirs.group
            );
            return refuse(RefusalCode::Group, text);
        }
        if ours.known_as != theirs.known_as {
            let text = format!(
                "clients know this member of group {:?} as broker {:?}, and you as {:?}: all members need the same brokerName. Correct \
                 the one that is wrong, and start its node again",
                ours.group, ours.known_as, theirs.known_as
            );
            return refuse(RefusalCode::KnownAs, text);
        }
        if ours.shard != theirs.shard {
            let text = format!(
                "this is shard {} of the group, and you are shard {}: all nodes need the same ports between their shards",
                ours.shard, theirs.shard
            );
            return refuse(RefusalCode::Shard, text);
        }
        if ours.constants != theirs.constants {
            return refuse(RefusalCode::Constants, self.other_constants(&theirs.constants));
        }
        self.admits_store(hello)
    }

    fn admits_store(&self, hello: &Hello) -> Result<(), Refusal> {
        let (ours, theirs) = (self.store, hello.facts.store);
        let text = match hello.expected {
            _ if theirs.0.0 == 0 => "you do not say which store is yours".to_owned(),
            _ if theirs == ours => format!(
                "you say that your store is {theirs}, and that is this node's: you have dialled yourself, or one of two \
                 stores is a copy of the other. Correct the address of the peer, or give the copy an empty directory"
            ),
            Some(expected) if expected != ours => format!(
                "this node's store is {ours}, and you expect {expected}: the node here was wiped or is another one. Add \
                 it as a new member and remove {expected}, or correct the address"
            ),
            Some(_) | None => return Ok(()),
        };
        Err(Refusal { code: RefusalCode::Store, text })
    }

    fn other_constants(&self, theirs: &Constants) -> String {
        let ours = &self.constants;
        if ours.segment_size != theirs.segment_size {
            format!(
                "segments have {} bytes here, and {} at yours: all members of a group need the same \
                 mappedFileSizeCommitLog. Start the new member with that of the group, in an empty directory",
                ours.segment_size, theirs.segment_size
            )
        } else {
            format!(
                "entries of the log are of version {} here, and {} at yours: run the same release on all members",
                ours.log_version, theirs.log_version
            )
        }
    }
}

#[cfg(test)]
pub(in crate::net) mod tests {
    use storage::StoreId;

    use super::*;

    /// A member of a group.
    pub(in crate::net) fn facts(store: u128) -> Facts {
        Facts {
            store: MemberId(StoreId(store)),
            cluster: "DefaultCluster".into(),
            group: "RaftNode00-s0".into(),
            known_as: "RaftNode00".into(),
            shard: 0,
            constants: Constants::new(1 << 30),
        }
    }

    fn code(change: impl FnOnce(&mut Hello)) -> Option<RefusalCode> {
        let expected = Some(MemberId(StoreId(1)));
        let mut hello = Hello { facts: facts(2), expected, lane: Lane::Bulk, founds: false };
        change(&mut hello);
        let refusal = facts(1).admits(&hello).err()?;
        assert!(refusal.text.len() > 40, "it says what to do: {refusal}");
        Some(refusal.code)
    }

    #[test]
    fn only_the_same_group_is_admitted_and_only_who_knows_whom_he_talks_to() {
        assert_eq!(code(|_| ()), None);
        assert_eq!(code(|hello| hello.expected = None), None);
        let expect = |id| move |hello: &mut Hello| hello.expected = Some(MemberId(StoreId(id)));
        assert_eq!(code(expect(3)), Some(RefusalCode::Store));
        assert_eq!(code(|hello| hello.facts = facts(1)), Some(RefusalCode::Store));
        assert_eq!(code(|hello| hello.facts.cluster.push('x')), Some(RefusalCode::Cluster));
        assert_eq!(code(|hello| hello.facts.group.push('x')), Some(RefusalCode::Group));
        let known = |hello: &mut Hello| hello.facts.known_as.push('x');
        assert_eq!(code(known), Some(RefusalCode::KnownAs));
        assert_eq!(code(|hello| hello.facts.shard = 1), Some(RefusalCode::Shard));
        let bigger = |hello: &mut Hello| hello.facts.constants.segment_size *= 2;
        assert_eq!(code(bigger), Some(RefusalCode::Constants));
        let newer = |hello: &mut Hello| hello.facts.constants.log_version += 1;
        assert_eq!(code(newer), Some(RefusalCode::Constants));
    }
}
