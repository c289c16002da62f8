//! Interop tests: unmodified RocketMQ clients and tools, and hostile peers, against servers that run as
//! processes of their own. Run them with `cargo run --release -p tests --bin interop`.
//!
//! This crate talks to the system directly (`std` sockets, files, threads and clocks): it stands outside
//! what the simulator simulates.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod frame;
pub mod harness;
pub mod malformed;
pub mod net;
pub mod recording;
