//! Every format that Turbopump reads, as a function that may be given any bytes: it reads them as the
//! product does and asserts what must hold whatever they are. A bug is a panic.
//!
//! - [`TARGETS`] lists the functions with their names and with the memory that each may need.
//! - [`check`] holds them, one module a subject.
//! - [`mutate`] makes new inputs out of old ones, [`hunt`] runs a target on them for a while, [`watch`]
//!   does that in a process of its own, so that an abort, an overflow of the stack or an endless loop is
//!   told with its input too.
//! - [`seeds`] makes the first inputs, out of recorded frames and out of stores that our own code writes.
//!
//! `cargo run -p fuzzing` runs all of it on the stable compiler; `fuzz/` has the same functions for
//! libFuzzer. This crate uses files, processes and the clock of the machine directly: it stands outside
//! of what the simulator simulates.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod check;
pub mod corpus;
pub mod hunt;
pub mod mutate;
mod outcome;
pub mod seeds;
mod target;
pub mod watch;

pub use outcome::Outcome;
pub use target::{TARGETS, Target};

/// Tries the target of this name on one input, without a limit of memory: for other engines, which have
/// their own.
///
/// # Panics
/// When the target does, or when there is none of this name.
pub fn run(name: &str, input: &[u8]) -> Outcome {
    (Target::named(name).expect("a target's name").run)(input)
}
