//! The backend on io_uring: one executor is one thread with one ring.
//!
//! An executor goes in rounds: all tasks that are ready run once; timers that are due and what has come out of the ring wake
//! others; and what the tasks have started goes to the kernel with one call, in which the thread sleeps if nothing is
//! ready. So a lone request costs one system call for each thing that it waits for, and many share them.

mod at_once;
mod blocking;
mod file;
mod fs;
mod held;
mod inbox;
mod keep;
mod local;
mod net;
mod reactor;
mod signal;
mod start;
mod tasks;
mod timers;

pub(crate) use blocking::{blocking, blocking_detached};
pub(crate) use file::{UringFile, WrittenAndSynced};
pub(crate) use fs::{UringLock, device, fs_call, list, lock, space, sync_dir};
pub(crate) use net::{UringListener, UringStream};
pub(crate) use start::{block_on, start};
pub(crate) use tasks::{UringTask, spawn, yield_now};
pub(crate) use timers::UringSleep;
