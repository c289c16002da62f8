//! The NameServer: who the brokers are and which queues of which topics they have.
//!
//! Brokers register and say that they live; clients and tools ask. Nothing is on disk, and NameServers know nothing of each other: a
//! broker registers with every one of them, and a client asks the next one when one is gone.
//!
//! [`routes`] is the table with its rules, without clock and socket. [`start`] puts it behind a port on the executor of the caller.

#![forbid(unsafe_code)]

mod config;
mod keys;
mod kv;
pub mod limits;
pub mod routes;
mod serve;
mod start;

pub use config::Config;
pub use keys::KEYS;
pub use start::{NameServer, start};
pub use transport::BindError;
