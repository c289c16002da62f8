//! The simulation: many nodes on one thread, virtual time, everything drawn from a seed.

use std::future::Future;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::executor::Executor;

/// A simulated world.
pub struct Simulation {}

impl Simulation {
    /// A world whose order, delays and random numbers come from `seed`.
    pub fn new(seed: u64) -> Simulation {
        todo!("{seed}")
    }

    /// Adds a node with its own disk and address; both survive restarts.
    pub fn node(&self, name: &str, ip: Ipv4Addr) -> Node {
        todo!("{name} {ip}")
    }

    /// Runs until `done` holds; false if nothing is left to happen or `limit` of virtual time has passed.
    pub fn run_until(&self, limit: Duration, done: impl FnMut() -> bool) -> bool {
        todo!("{limit:?} {}", size_of_val(&done))
    }

    /// Runs for `duration` of virtual time.
    pub fn run_for(&self, duration: Duration) {
        todo!("{duration:?}")
    }

    /// Fingerprint of everything that happened so far.
    pub fn trace_hash(&self) -> u64 {
        todo!()
    }
}

/// A simulated machine.
#[derive(Clone)]
pub struct Node {}

impl Node {
    /// Starts an executor on this node.
    pub fn start<T, F, Fut>(&self, name: &str, f: F) -> Executor<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
    {
        todo!("{name} {}", size_of_val(&f))
    }

    /// Kills every executor of the node: its tasks are dropped, its connections reset. The disk stays as written.
    pub fn crash(&self) {
        todo!()
    }
}
