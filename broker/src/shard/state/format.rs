//! How a shard's state becomes bytes: `docs/format/state.md`.

use rkyv::rancor;
use rkyv::util::AlignedVec;
use thiserror::Error;

use crate::shard::commands::{SubscriptionGroup, TopicConfig};

/// What the bytes are: first byte.
const KIND: u8 = 1;
/// Their format: second byte. What a released version wrote stays readable.
const VERSION: u8 = 2;
/// The format before, which has no locks.
const BEFORE: u8 = 1;
/// Bytes before the archive, so that it is aligned where they are.
const HEADER: usize = 16;

/// All that a shard's log has come to.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
pub struct ShardState {
    /// The topics, by name.
    pub topics: Vec<TopicState>,
    /// Which state of the topics this is.
    pub topics_version: VersionState,
    /// The consumer groups with their settings, by name.
    pub groups: Vec<SubscriptionGroup>,
    /// Which state of the groups this is.
    pub groups_version: VersionState,
    /// The committed consumer offsets, by group, topic and queue.
    pub offsets: Vec<GroupOffsets>,
    /// The committed queue locks, by group.
    pub locks: Vec<GroupLocks>,
}

/// What version 1 wrote.
#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct StateBefore {
    topics: Vec<TopicState>,
    topics_version: VersionState,
    groups: Vec<SubscriptionGroup>,
    groups_version: VersionState,
    offsets: Vec<GroupOffsets>,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct TopicState {
    /// As clients and tools see it.
    pub config: TopicConfig,
    /// The most queues that it ever had.
    pub most_queues: u32,
}

/// See [`Version`](crate::shard::topics::Version).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
pub struct VersionState {
    /// When the table last changed, milliseconds since 1970.
    pub timestamp: u64,
    /// How often it has changed.
    pub counter: u64,
}

/// The offsets of a group.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct GroupOffsets {
    /// The group.
    pub group: String,
    /// Each topic with its queues: `(queue, offset of the next message to consume)`.
    pub topics: Vec<(String, Vec<(u32, u64)>)>,
}

/// The queue locks of a group.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct GroupLocks {
    /// The group.
    pub group: String,
    /// Each queue that is locked, by client: `(client, topic, queue)`.
    pub held: Vec<(String, String, u32)>,
}

/// Bytes that are no state that this version knows: another version wrote them, because a checkpoint has a checksum.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StateError {
    /// Something else, or another version of it.
    #[error(
        "a shard's state begins with {found:?}; this broker reads [{KIND}, {BEFORE}] and [{KIND}, {VERSION}]: start the version that wrote it, or \
         upgrade"
    )]
    Version {
        /// The first two bytes, if there are two.
        found: Option<[u8; 2]>,
    },
    /// The archive does not validate.
    #[error(
        "a shard's state of version {version} does not validate: the checkpoint's checksum holds, so another build wrote it. \
         Start that build"
    )]
    Invalid {
        /// The version that it says it is.
        version: u8,
    },
}

impl ShardState {
    /// The bytes for a checkpoint.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut header = [0; HEADER];
        header[..2].copy_from_slice(&[KIND, VERSION]);
        rkyv::api::high::to_bytes_in::<_, rancor::Error>(self, header.to_vec())
            .expect("a value in memory can be archived into memory")
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`StateError`]: another version wrote it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let found = bytes.first_chunk().copied();
        let version = match found {
            Some([KIND, version @ (BEFORE | VERSION)]) => version,
            found => return Err(StateError::Version { found }),
        };
        let mut aligned: AlignedVec = AlignedVec::with_capacity(bytes.len());
        aligned.extend_from_slice(bytes);
        let invalid = StateError::Invalid { version };
        let archive = aligned.get(HEADER..).ok_or(invalid.clone())?;
        let read = match version {
            BEFORE => rkyv::from_bytes::<StateBefore, rancor::Error>(archive).map(Self::from),
            _ => rkyv::from_bytes::<Self, rancor::Error>(archive),
        };
        read.map_err(|_| invalid)
    }
}

impl From<StateBefore> for ShardState {
    fn from(before: StateBefore) -> Self {
        let StateBefore { topics, topics_version, groups, groups_version, offsets } = before;
        let locks = Vec::new();
        Self { topics, topics_version, groups, groups_version, offsets, locks }
    }
}

/// As version 1 has written it, for tests.
#[cfg(test)]
pub(super) fn bytes_before(state: ShardState) -> Vec<u8> {
    let ShardState { topics, topics_version, groups, groups_version, offsets, locks: _ } = state;
    let before = StateBefore { topics, topics_version, groups, groups_version, offsets };
    let mut header = [0; HEADER];
    header[..2].copy_from_slice(&[KIND, BEFORE]);
    rkyv::api::high::to_bytes_in::<_, rancor::Error>(&before, header.to_vec()).expect("into memory")
}
