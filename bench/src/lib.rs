//! `mqbench`: load for a RocketMQ cluster, and what came of it.
//!
//! It speaks plain remoting, so that the same load meets Turbopump and Apache RocketMQ alike. A run is
//! made of *lanes*, one connection each, spread over one or more executors:
//!
//! - [`args`] is the command line, [`cluster`] asks NameServer and brokers where to go;
//! - [`run`] starts the executors, tells them when to begin and to end, and gathers what they counted;
//! - [`wire`] moves frames between a connection and a [`wire::Load`], which decides what to send and judges
//!   the answers: [`produce`] and [`consume`]. A load does no I/O, so that tests feed it by hand;
//! - [`recorder`] and [`failures`] count, [`report`] tells people and programs.
//!
//! One task serves a connection with everything that is in flight on it; a message costs one copy, one
//! decoded answer and no allocation that outlives it.

#![forbid(unsafe_code)]

pub mod args;
pub mod cluster;
pub mod consume;
pub mod error;
pub mod failures;
pub mod limits;
pub mod produce;
pub mod recorder;
pub mod report;
pub mod run;
pub mod schedule;
pub mod wire;

pub use error::BenchError;
