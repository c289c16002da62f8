//! The broker: RocketMQ semantics over one log per core.
//!
//! A process runs one [`shard`] per core. A shard is a whole broker: an executor, a port, a log, a
//! broker name. It shares nothing with its siblings but a mailbox for the creation of topics.

#![forbid(unsafe_code)]

pub mod boot;
pub mod config;
pub mod limits;
pub mod shard;
