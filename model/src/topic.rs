//! Names of topics and consumer groups: what is allowed and which are reserved.
//!
//! RocketMQ 5.5.0, `TopicValidator`, `Validators` and `MixAll`.

use thiserror::Error;

/// The longest topic name, in bytes.
pub const MAX_TOPIC: usize = 127;
/// The longest name of a retry or dead-letter topic, in bytes: its length is one byte of a record.
pub const MAX_RETRY_TOPIC: usize = 255;
/// The longest group name, in bytes.
pub const MAX_GROUP: usize = 120;

/// The template by which unknown topics are created.
pub const AUTO_CREATE: &str = "TBW102";
/// Prefix of a group's retry topic.
pub const RETRY_PREFIX: &str = "%RETRY%";
/// Prefix of a group's dead-letter topic.
pub const DLQ_PREFIX: &str = "%DLQ%";
/// Where delayed messages wait.
pub const SCHEDULE: &str = "SCHEDULE_TOPIC_XXXX";
/// Prefix of system groups.
pub const SYSTEM_GROUP_PREFIX: &str = "CID_RMQ_SYS_";

/// Topics that a client may not send to.
pub const NOT_SENDABLE: [&str; 6] = [
    SCHEDULE,
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
];

/// Why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing there.
    #[error("the specified {what} is blank")]
    Blank {
        /// "topic" or "group".
        what: &'static str,
    },
    /// Too long.
    #[error("the specified {what} is longer than {what} max length {max}: {len} bytes")]
    TooLong {
        /// "topic" or "group".
        what: &'static str,
        /// Bytes it has.
        len: usize,
        /// Bytes it may have.
        max: usize,
    },
    /// A character outside the set.
    #[error("the specified {what} contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$")]
    Character {
        /// "topic" or "group".
        what: &'static str,
    },
}

fn allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'%' | b'|' | b'_' | b'-')
}

fn check(what: &'static str, name: &str, max: usize) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Blank { what });
    }
    if !name.bytes().all(allowed) {
        return Err(NameError::Character { what });
    }
    if name.len() > max {
        return Err(NameError::TooLong { what, len: name.len(), max });
    }
    Ok(())
}

/// Checks the name of a topic; retry and dead-letter topics may be longer.
///
/// # Errors
/// [`NameError`] says which rule the name breaks.
pub fn check_topic(name: &str) -> Result<(), NameError> {
    let derived = name.starts_with(RETRY_PREFIX) || name.starts_with(DLQ_PREFIX);
    check("topic", name, if derived { MAX_RETRY_TOPIC } else { MAX_TOPIC })
}

/// Checks the name of a producer or consumer group.
///
/// # Errors
/// [`NameError`] says which rule the name breaks.
pub fn check_group(name: &str) -> Result<(), NameError> {
    check("group", name, MAX_GROUP)
}

/// The retry topic of a consumer group.
#[must_use]
pub fn retry_topic(group: &str) -> String {
    format!("{RETRY_PREFIX}{group}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!(check_topic("a_B-9%|"), Ok(()));
        assert_eq!(check_topic(""), Err(NameError::Blank { what: "topic" }));
        assert_eq!(check_topic("a b"), Err(NameError::Character { what: "topic" }));
        assert!(check_topic(&"t".repeat(127)).is_ok());
        assert!(check_topic(&"t".repeat(128)).is_err());
        assert!(check_topic(&retry_topic(&"g".repeat(120))).is_ok());
        assert!(check_group(&"g".repeat(121)).is_err());
    }
}
