//! The metadata commands that a shard writes to its log, and how they become bytes.
//!
//! A command's bytes are one version byte and an rkyv archive; its kind stands in the entry. What a
//! released version wrote stays readable: a change of a type here gets a new version byte and a
//! reader for the old one. `docs/format/commands.md` has the table.

use rkyv::rancor;
use rkyv::util::AlignedVec;
use storage::CommandKind;
use thiserror::Error;

/// The payload of a topic's entry is a [`TopicConfig`]; this kind is for opaque commands only.
pub const SUBSCRIPTION_GROUP: CommandKind = CommandKind(1);
/// The bytes are [`ConsumerOffsets`].
pub const CONSUMER_OFFSETS: CommandKind = CommandKind(2);
/// The bytes are a [`TopicConfig`]: a send is about to create the topic, and the sibling shards shall have it too. Only in
/// groups, whose shards may have their leaders on other nodes.
pub const TOPIC_ANNOUNCED: CommandKind = CommandKind(3);
/// The bytes are [`QueueLocks`].
pub const QUEUE_LOCKS: CommandKind = CommandKind(4);

/// A topic as clients and tools see it (RocketMQ 5.5.0, class TopicConfig).
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct TopicConfig {
    /// The name.
    pub name: String,
    /// Queues 0 to this, exclusive, may be read.
    pub read_queues: u32,
    /// Queues 0 to this, exclusive, may be written.
    pub write_queues: u32,
    /// See [`perm`].
    pub perm: u32,
    /// True when a message may carry several tags (`MULTI_TAG`).
    pub multi_tag: bool,
    /// RocketMQ's `TopicSysFlag`, kept as it came.
    pub sys_flag: i32,
    /// True for a topic whose queues are ordered.
    pub order: bool,
    /// Attributes such as `message.type`, sorted by name.
    pub attributes: Vec<(String, String)>,
}

impl TopicConfig {
    /// A readable and writable topic with `queues` queues.
    #[must_use]
    pub fn new(name: &str, queues: u32, perm: u32) -> Self {
        Self {
            name: name.to_owned(),
            read_queues: queues,
            write_queues: queues,
            perm,
            multi_tag: false,
            sys_flag: 0,
            order: false,
            attributes: Vec::new(),
        }
    }

    /// Queues that the topic has in either direction.
    #[must_use]
    pub fn queues(&self) -> u32 {
        self.read_queues.max(self.write_queues)
    }
}

/// Permission bits (RocketMQ 5.5.0, class PermName).
pub mod perm {
    /// Consumers may read.
    pub const READ: u32 = 4;
    /// Producers may write.
    pub const WRITE: u32 = 2;
    /// Other topics may be created after this one's model.
    pub const INHERIT: u32 = 1;
    /// Every bit that has a meaning.
    pub const ALL: u32 = 8 | READ | WRITE | INHERIT;

    /// Whether consumers may read.
    #[must_use]
    pub fn readable(perm: u32) -> bool {
        perm & READ != 0
    }

    /// Whether producers may write.
    #[must_use]
    pub fn writable(perm: u32) -> bool {
        perm & WRITE != 0
    }
}

/// A consumer group's settings (RocketMQ 5.5.0, class SubscriptionGroupConfig).
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct SubscriptionGroup {
    /// The group.
    pub name: String,
    /// Whether it may consume at all.
    pub consume_enable: bool,
    /// Whether a new queue is read from its beginning.
    pub consume_from_min_enable: bool,
    /// Whether it may consume by broadcast.
    pub consume_broadcast_enable: bool,
    /// Whether POP delivers in order.
    pub consume_message_orderly: bool,
    /// Queues of its retry topic.
    pub retry_queue_nums: u32,
    /// Redeliveries before the dead-letter topic.
    pub retry_max_times: i32,
    /// The retry policy as JSON text, as it came; empty for the default.
    pub retry_policy: String,
    /// Broker id that consumers read from.
    pub broker_id: i64,
    /// Broker id that slow consumers are sent to.
    pub which_broker_when_consume_slowly: i64,
    /// Whether members are told when the group changes.
    pub notify_consumer_ids_changed_enable: bool,
    /// RocketMQ's group flags, kept as they came.
    pub group_sys_flag: i32,
    /// Minutes until a consumption counts as hung.
    pub consume_timeout_minute: i32,
    /// Attributes, sorted by name.
    pub attributes: Vec<(String, String)>,
}

impl SubscriptionGroup {
    /// RocketMQ's defaults.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            consume_enable: true,
            consume_from_min_enable: true,
            consume_broadcast_enable: true,
            consume_message_orderly: false,
            retry_queue_nums: 1,
            retry_max_times: 16,
            retry_policy: String::new(),
            broker_id: 0,
            which_broker_when_consume_slowly: 1,
            notify_consumer_ids_changed_enable: true,
            group_sys_flag: 0,
            consume_timeout_minute: 15,
            attributes: Vec::new(),
        }
    }
}

pub use group::GroupCommand;

mod group {
    #![allow(
        missing_docs,
        reason = "the derive makes a public type whose fields it does not document"
    )]

    use super::SubscriptionGroup;

    /// A change of the groups.
    #[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
    pub enum GroupCommand {
        /// Creates the group, or replaces its settings.
        Put(SubscriptionGroup),
        /// Deletes the group, and its offsets if told so.
        Delete {
            /// The group.
            name: String,
            /// Whether its consumer offsets go too.
            offsets: bool,
        },
    }
}

/// Consumer offsets, coalesced: the last one of each queue.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
pub struct ConsumerOffsets {
    /// Each group and topic once.
    pub updates: Vec<OffsetUpdate>,
}

/// The offsets of a group in a topic's queues.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct OffsetUpdate {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// `(queue, offset of the next message to consume)`.
    pub queues: Vec<(u32, u64)>,
}

/// A client of a group has queues from now on, or renews that, or gives them back.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct QueueLocks {
    /// The group.
    pub group: String,
    /// The client.
    pub client: String,
    /// Whether it has them; else it gives them back.
    pub taken: bool,
    /// Each topic once, with its queues.
    pub topics: Vec<(String, Vec<u32>)>,
}

impl QueueLocks {
    /// Of these queues, which are in the order of their topics.
    #[must_use]
    pub fn new((group, client): (&str, &str), taken: bool, queues: &[(String, u32)]) -> Self {
        let mut topics: Vec<(String, Vec<u32>)> = Vec::new();
        for (topic, queue) in queues {
            match topics.last_mut() {
                Some((last, queues)) if last == topic => queues.push(*queue),
                Some(_) | None => topics.push((topic.clone(), vec![*queue])),
            }
        }
        Self { group: group.to_owned(), client: client.to_owned(), taken, topics }
    }

    /// Each queue, with its topic.
    pub fn queues(&self) -> impl Iterator<Item = (String, u32)> {
        let of = |(topic, queues): &(String, Vec<u32>)| {
            queues.iter().map(|queue| (topic.clone(), *queue)).collect::<Vec<_>>()
        };
        self.topics.iter().flat_map(of)
    }
}

/// Bytes in the log that are no command this version knows: another version wrote them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    /// A version this one does not read.
    #[error(
        "{what} of version {found:?}; this broker reads version {known}: start the version that wrote it, or upgrade"
    )]
    Version {
        /// The type.
        what: &'static str,
        /// The version byte, if there was one.
        found: Option<u8>,
        /// What is known.
        known: u8,
    },
    /// A kind of command that this one does not know.
    #[error("command of kind {}; this broker does not know it: start the version that wrote it, or upgrade", .0.0)]
    Kind(CommandKind),
    /// The archive does not validate.
    #[error(
        "{what} of version {version} does not validate: the entry's checksum holds, so another build wrote it"
    )]
    Invalid {
        /// The type.
        what: &'static str,
        /// The version byte.
        version: u8,
    },
}

const VERSION: u8 = 1;

macro_rules! command {
    ($type:ident) => {
        impl $type {
            /// The bytes for the log.
            #[must_use]
            pub fn to_bytes(&self) -> Vec<u8> {
                let archived = rkyv::to_bytes::<rancor::Error>(self)
                    .expect("a value in memory can be archived into memory");
                let mut bytes = Vec::with_capacity(1 + archived.len());
                bytes.push(VERSION);
                bytes.extend_from_slice(&archived);
                bytes
            }

            /// Reads what [`Self::to_bytes`] wrote.
            ///
            /// # Errors
            /// [`CommandError`]: another version wrote it.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, CommandError> {
                let what = stringify!($type);
                let Some((&VERSION, archived)) = bytes.split_first() else {
                    let found = bytes.first().copied();
                    return Err(CommandError::Version { what, found, known: VERSION });
                };
                let mut aligned: AlignedVec = AlignedVec::with_capacity(archived.len());
                aligned.extend_from_slice(archived);
                rkyv::from_bytes::<Self, rancor::Error>(&aligned)
                    .map_err(|_| CommandError::Invalid { what, version: VERSION })
            }
        }
    };
}

command!(TopicConfig);
command!(GroupCommand);
command!(ConsumerOffsets);
command!(QueueLocks);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut topic = TopicConfig::new("T", 4, perm::READ | perm::WRITE);
        topic.attributes.push(("message.type".into(), "FIFO".into()));
        assert_eq!(TopicConfig::from_bytes(&topic.to_bytes()), Ok(topic));
        let group = GroupCommand::Put(SubscriptionGroup::new("G"));
        assert_eq!(GroupCommand::from_bytes(&group.to_bytes()), Ok(group));
        let offsets = ConsumerOffsets {
            updates: vec![OffsetUpdate {
                group: "G".into(),
                topic: "T".into(),
                queues: vec![(3, 7)],
            }],
        };
        assert_eq!(ConsumerOffsets::from_bytes(&offsets.to_bytes()), Ok(offsets));
        let queues = [("T", 1), ("T", 2), ("U", 0)].map(|(topic, queue)| (topic.to_owned(), queue));
        let locks = QueueLocks::new(("G", "c"), true, &queues);
        assert_eq!(locks.topics.len(), 2);
        assert_eq!(locks.queues().collect::<Vec<_>>(), queues);
        assert_eq!(QueueLocks::from_bytes(&locks.to_bytes()), Ok(locks));
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let bytes = GroupCommand::Put(SubscriptionGroup::new("group")).to_bytes();
        for end in 0..bytes.len() {
            assert!(GroupCommand::from_bytes(&bytes[..end]).is_err());
        }
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0xFF;
            // Some flips make another valid group; none makes a panic.
            drop(GroupCommand::from_bytes(&bad));
        }
        assert_eq!(
            TopicConfig::from_bytes(&[9]),
            Err(CommandError::Version { what: "TopicConfig", found: Some(9), known: VERSION })
        );
    }
}
