//! What a shard adds to a checkpoint.

use broker::shard::groups::Groups;
use broker::shard::offset_table::OffsetTable;
use broker::shard::state::ShardState;
use broker::shard::topics::Topics;

use crate::Outcome;

/// The bytes of a state.
///
/// # Panics
/// When it does not survive being written and read, or when it cannot be restored from.
pub fn check(bytes: &[u8]) -> Outcome {
    let state = match ShardState::from_bytes(bytes) {
        Ok(state) => state,
        Err(error) => return Outcome::refused(error),
    };
    let again = state.to_bytes();
    assert_eq!(ShardState::from_bytes(&again).as_ref(), Ok(&state), "it survives being written");
    let topics = state.topics.into_iter().map(|topic| (topic.config, topic.most_queues));
    let topics = Topics::restored(topics, state.topics_version.into());
    assert_eq!(topics.version(), state.topics_version.into());
    drop(Groups::restored(state.groups.into_iter(), state.groups_version.into()));
    // A table names each queue once; what it comes to is restored as it is.
    let offsets = OffsetTable::restored(state.offsets.into_iter()).all();
    assert_eq!(OffsetTable::restored(offsets.clone().into_iter()).all(), offsets);
    Outcome::Read
}
