//! The NameServer: who the brokers are and which queues of which topics they have.

mod config;
mod keys;
mod kv;
pub mod limits;
pub mod routes;

pub use config::Config;
pub use keys::KEYS;
