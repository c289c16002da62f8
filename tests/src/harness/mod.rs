//! What the interop suites stand on: programs built once, servers started on free ports with stores of
//! their own, drivers run with a deadline, and a verdict for each check.

pub mod check;
pub mod cluster;
pub mod cores;
pub mod drivers;
pub mod failure;
pub mod fingerprint;
pub mod lab;
pub mod node;
pub mod options;
pub mod outage;
pub mod peer;
pub mod ports;
pub mod process;
pub mod resident;
pub mod runner;
pub mod server;
pub mod servers;
pub mod setup;
pub mod summary;
pub mod table;
pub mod tools;
