//! The `sysFlag` bits of a message (RocketMQ 5.5.0, `MessageSysFlag`).

/// The body is compressed; the broker never needs to look inside.
pub const COMPRESSED: i32 = 1;
/// The message carries several tags.
pub const MULTI_TAGS: i32 = 1 << 1;
/// The two bits that hold the state of a transaction.
pub const TRANSACTION_MASK: i32 = 3 << 2;
/// A half message, invisible until it is committed.
pub const TRANSACTION_PREPARED: i32 = 1 << 2;
/// A committed transactional message.
pub const TRANSACTION_COMMIT: i32 = 2 << 2;
/// A rolled back transactional message.
pub const TRANSACTION_ROLLBACK: i32 = 3 << 2;
/// The born host is an IPv6 address (20 bytes instead of 8).
pub const BORN_HOST_V6: i32 = 1 << 4;
/// The store host is an IPv6 address (20 bytes instead of 8).
pub const STORE_HOST_V6: i32 = 1 << 5;
/// The record is a batch that the client unwraps.
pub const NEEDS_UNWRAP: i32 = 1 << 6;
/// The record holds a whole batch as its body.
pub const INNER_BATCH: i32 = 1 << 7;

/// The transaction state of `sys_flag`: one of the `TRANSACTION_*` values, or 0.
#[must_use]
pub fn transaction(sys_flag: i32) -> i32 {
    sys_flag & TRANSACTION_MASK
}
