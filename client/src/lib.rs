//! A minimal client of NameServers and brokers, for tools and tests; not an SDK: no consumer groups in the background, no retries
//! behind the caller's back, no caches but connections.
//!
//! A [`Client`] knows a list of NameServers and asks the next one when one does not answer. It keeps one connection for each
//! address. Every call says which broker it goes to, and every error names the address, the request and what came back.
//!
//! Calls may overlap: make as many futures as shall be in flight. Dropping one abandons it; it may have reached the broker.

#![forbid(unsafe_code)]

mod client;
mod error;
mod groups;
mod names;
mod offsets;
mod pool;
mod pull;
mod routes;
mod send;
mod topics;

pub use client::{Client, Options};
pub use error::ClientError;
pub use pull::{Pull, PullStatus, Pulled};
pub use send::{Form, Message, SendStatus, Sent};
pub use topics::NewTopic;
