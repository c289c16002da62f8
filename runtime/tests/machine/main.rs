//! What the runtime does on the real machine: limits, kernels that refuse, threads, signals, other processes.
//!
//! Tests that change their process (limits, filters, signal handlers) or measure it run in a child: this program again,
//! with the name of the one test.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test: it panics on errors and looks at the machine directly"
)]

mod child;
mod executors;
mod files;
mod footprint;
mod probing;
mod processes;
mod sockets;
