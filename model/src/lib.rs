//! The vocabulary of the broker: typed offsets and ids, and the message record.
//!
//! A record on the disk is the record on the wire: what a producer's message is encoded into once is
//! what the log stores, what followers receive and what a pull returns. This crate knows how such a
//! record is laid out and nothing about where it is kept or how it travels. It does no I/O, reads no
//! clock and has no `async`.

#![forbid(unsafe_code)]

pub mod ids;
pub mod message_id;
pub mod properties;
pub mod record;
pub mod sys_flag;
pub mod tag;
pub mod topic;

pub use ids::{LogIndex, PhysicalOffset, QueueId, QueueOffset, Term, UnixMillis};
pub use record::{Draft, Record, RecordError};
