//! `mqadmin`: what an operator asks of a cluster and does to it. So far the commands about Raft groups, which Apache's `mqadmin`
//! does not have; its own commands work with this broker as they are.
//!
//! A command finds the groups that are meant ([`group`]), asks their members, decides, and asks the leader to do it. Whatever it
//! is told to do it may be told again: what is done already is not done twice, and what was begun goes on.

#![forbid(unsafe_code)]

pub mod args;
pub mod commands;
mod error;
pub mod group;
mod screen;

pub use commands::carry_out;
pub use error::AdminError;
pub use screen::{Kept, Screen, Terminal};
