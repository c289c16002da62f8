//! Metadata commands of the log: a byte that says which, and the command's bytes.

use std::fmt::Debug;

use broker::shard::commands::{
    CommandError, ConsumerOffsets, GroupCommand, QueueLocks, TopicConfig,
};

use crate::Outcome;

/// The first number that is one of the broker's; below are those of the store.
pub const BROKERS: u8 = 4;

/// A command of the store or of the broker.
///
/// # Panics
/// When it does not survive being written and read.
pub fn check(input: &[u8]) -> Outcome {
    let Some((which, bytes)) = input.split_first() else {
        return Outcome::refused("no command");
    };
    match which.checked_sub(BROKERS) {
        Some(0) => survives(bytes, TopicConfig::from_bytes, TopicConfig::to_bytes),
        Some(1) => survives(bytes, GroupCommand::from_bytes, GroupCommand::to_bytes),
        Some(2) => survives(bytes, ConsumerOffsets::from_bytes, ConsumerOffsets::to_bytes),
        Some(3) => survives(bytes, QueueLocks::from_bytes, QueueLocks::to_bytes),
        _ => storage::fuzz::command(input).into(),
    }
}

fn survives<T: PartialEq + Debug>(
    bytes: &[u8],
    read: fn(&[u8]) -> Result<T, CommandError>,
    write: fn(&T) -> Vec<u8>,
) -> Outcome {
    match read(bytes) {
        Ok(command) => {
            assert_eq!(read(&write(&command)), Ok(command), "a command survives being written");
            Outcome::Read
        }
        Err(error) => Outcome::refused(error),
    }
}
