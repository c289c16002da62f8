//! What a disk does with durable writes, and what follows from it for a broker.
//!
//! Everything is measured as a shard of the broker writes: one thread, pinned to a core, with direct writes through a ring of
//! io_uring. What is compared is measured in turns (A B A B …), so that what else goes on at the machine hits both.

mod advice;
mod busy;
mod error;
mod extents;
mod grid;
mod model;
mod plan;
mod profile;
mod report;
mod run;
mod scratch;
mod stats;
mod upkeep;
mod writer;

#[cfg(test)]
mod samples;

pub use advice::{Advice, advise};
pub use error::IotuneError;
pub use extents::Extents;
pub use grid::{Grid, Measured};
pub use model::{Model, fit};
pub use plan::{Plan, parse_seconds, parse_size};
pub use profile::{Machine, profile};
pub use report::report;
pub use run::{Measurements, run};
pub use scratch::left_over;
pub use stats::Stats;
pub use upkeep::Upkeep;
pub use writer::{Method, Shape};
