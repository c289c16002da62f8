//! The only door to the outside: executors, clock, timers, randomness, direct-I/O files, TCP, channels, processes.
//!
//! Everything here is a plain function or a concrete type over a backend that is chosen when the executor starts:
//! `uring` (io_uring, one pinned thread an executor) or [`sim`] (one thread, virtual time, seeded order).
//! Code above this crate is the same for both.
//!
//! Unless a page says otherwise: call from within an executor; nothing is `Send`; futures are cancel-safe.

// This crate is the seam: what clippy.toml forbids elsewhere is implemented here.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod buffer;
pub mod channel;
pub mod clock;
mod context;
pub mod error;
pub mod executor;
pub mod file;
pub mod fs;
pub mod net;
mod outcome;
pub mod probe;
pub mod process;
pub mod rng;
pub mod sim;
mod socket;
pub mod task;
pub mod time;
mod uring;
mod watchdog;

pub use buffer::{BLOCK, Buffer, Slice, buffer};
pub use clock::{Instant, local_hour, now, unix_millis};
pub use error::{IoError, IoOp};
pub use executor::{Executor, Placement, Spec, allowed_cores, block_on, start};
pub use file::{File, OpenMode, PIECES_MAX};
pub use net::{ReadHalf, TcpListener, TcpStream, WriteHalf, resolve};
pub use rng::{fill, random_below, random_u64};
pub use task::{Task, spawn, yield_now};
pub use time::{Elapsed, sleep, sleep_until, timeout};
