//! `mqbench`: load for a RocketMQ cluster, and what came of it.
//!
//! It speaks plain remoting, so that the same load meets Turbopump and Apache RocketMQ alike. A run is
//! made of *lanes*, one connection each, spread over one or more executors:
//!
//! - [`args`] is the command line, [`cluster`] asks NameServer and brokers where to go;
//! - [`run`] starts the executors, tells them when to begin and to end, and gathers what they counted;
//! - [`wire`] moves frames between a connection and a [`wire::Load`], which decides what to send and judges
//!   the answers: [`produce`] and [`consume`]. A load does no I/O, so that tests feed it by hand;
//! - [`recorder`] and [`failures`] count, [`audit`] reads back what was sent, [`report`] tells people and programs;
//! - [`study`] carries out several runs in turn and says what they mean for each other, [`limit`] measures the floor, [`feed`] a
//!   store without a broker around it, [`answer`] how long a broker takes until it serves, [`failover`] how long a
//!   cluster is away when a leader is struck.
//!
//! One task serves a connection with everything that is in flight on it; a message costs one copy, one
//! decoded answer and no allocation that outlives it.

#![forbid(unsafe_code)]

pub mod answer;
pub mod args;
pub mod audit;
mod carry_out;
pub mod cluster;
pub mod consume;
pub mod error;
pub mod failover;
pub mod failures;
pub mod feed;
pub mod files;
pub mod interrupts;
pub mod limit;
pub mod limits;
pub mod pace;
pub mod produce;
pub mod recorder;
pub mod report;
pub mod run;
pub mod schedule;
pub mod seconds;
pub mod server;
pub mod study;
pub mod wire;

pub use carry_out::{Findings, carry_out};
pub use error::BenchError;
