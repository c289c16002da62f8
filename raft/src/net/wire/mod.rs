//! What members say to each other, as bytes: bytes in, values out, and back. No I/O, no clock.
//!
//! `docs/format/peer.md` has the tables. All integers little-endian. There is one form of each value: what is decoded is
//! encoded to the same bytes.

pub(super) mod append;
mod cursor;
pub(super) mod entry;
mod error;
pub(super) mod forward;
pub(super) mod frame;
pub mod fuzz;
pub(super) mod gone;
pub(super) mod hello;
mod ids;
pub(super) mod snapshot;
pub(super) mod transfer;
pub(super) mod vote;

#[cfg(test)]
mod tests;

pub use error::WireError;
