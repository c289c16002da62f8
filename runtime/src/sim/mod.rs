//! The simulation: many nodes on one thread, virtual time, everything drawn from a seed.
//!
//! ```
//! use std::time::Duration;
//! use runtime::sim::Simulation;
//!
//! let sim = Simulation::new(42);
//! let node = sim.node("n0", "10.0.0.1".parse().unwrap());
//! let executor = node.start("main", || async {
//!     runtime::sleep(Duration::from_secs(3600)).await;
//!     runtime::process::host_name()
//! });
//! assert_eq!(sim.join(executor, Duration::from_secs(7200)).unwrap(), "n0");
//! ```
//!
//! The same seed gives the same run, told by [`Simulation::trace_hash`], as long as the code asks only this crate for
//! time, randomness, files and sockets, and lets nothing depend on addresses or on the order of a `HashMap`
//! (`futures::select!` draws from a random of its own: use `select_biased!`).
//!
//! Faults: a process dies ([`Node::crash`]) or stands still ([`Node::pause`]), the power goes ([`Node::power_cut`]), a wall clock is
//! wrong ([`Node::shift_clock`]), and a [`Disk`] fails, lies, is slow, full or rotten; and the
//! network between two nodes is cut ([`Simulation::cut`], [`Simulation::cut_way`]) or rough ([`Simulation::roughen`]). All
//! that they decide comes from the seed.

pub mod cuts;
mod disk;
mod faults;
mod file;
mod image;
mod inode;
mod link;
mod listener;
mod names;
mod plan;
mod power;
mod scheduler;
mod seat;
mod seeds;
mod stream;
mod task;
mod thread;
mod timer;
mod trace;
mod world;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

use crate::clock::Instant;
use crate::context;
use crate::executor::{Executor, JoinError};
use link::Rough;
use world::{NodeState, World};

pub(crate) use disk::SimLock;
pub use faults::{DiskOp, When};
pub(crate) use file::SimFile;
pub(crate) use listener::SimListener;
pub use plan::Disk;
pub(crate) use seat::Seat;
pub use seeds::run_seeds;
pub(crate) use stream::SimStream;
pub(crate) use task::SimTask;
pub(crate) use timer::SimSleep;

/// A simulated world. Dropping it drops every task in it.
pub struct Simulation {
    world: Rc<World>,
}

impl Simulation {
    /// A world whose task order, delays and random numbers come from `seed`.
    pub fn new(seed: u64) -> Simulation {
        Simulation { world: World::new(seed) }
    }

    /// Adds a node with its own disk and address; both survive restarts. Names and addresses must differ.
    pub fn node(&self, name: &str, ip: Ipv4Addr) -> Node {
        Node { world: self.world.clone(), state: self.world.add_node(name, ip) }
    }

    /// The disk of the node of that name.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn disk(&self, node: &str) -> Disk {
        let state = self.world.node_named(node);
        let state = state.unwrap_or_else(|| panic!("there is no node {node}"));
        Disk { world: self.world.clone(), node: state }
    }

    /// Cuts the network between two nodes, in both directions. Connections stay, and what is sent on them waits, as it does
    /// where a kernel sends it again and again; new ones are not made.
    pub fn cut(&self, one: &Node, other: &Node) {
        self.change_way(one, other, true);
    }

    /// Cuts the way from one node to another, and not the way back: what is sent on connections that there are arrives in
    /// one direction only, and new ones are not made. [`Simulation::mend`] ends it.
    pub fn cut_way(&self, from: &Node, to: &Node) {
        let (from, to) = two(from, to);
        self.world.cut(from, to, true);
    }

    /// Puts a firewall on the way from one node to another: whoever sends there is answered that nobody is there, on connections that
    /// there are with a reset, though all is well with both nodes. [`Simulation::admit`] ends it.
    pub fn reject(&self, from: &Node, to: &Node) {
        let (from, to) = two(from, to);
        self.world.reject(from, to, true);
    }

    /// What one node sends to another gets there again.
    pub fn admit(&self, from: &Node, to: &Node) {
        let (from, to) = two(from, to);
        self.world.reject(from, to, false);
    }

    /// The network between two nodes is there again, and what waited arrives.
    pub fn mend(&self, one: &Node, other: &Node) {
        self.change_way(one, other, false);
    }

    fn change_way(&self, one: &Node, other: &Node, is_cut: bool) {
        let (one, other) = two(one, other);
        self.world.cut(one, other, is_cut);
        self.world.cut(other, one, is_cut);
    }

    /// Makes the network between two nodes rough, in both directions, until [`Simulation::smooth`]: everything takes
    /// `longer` than usual, and one segment in `one_lost_in` (0: none) is lost and sent again after a time, with all behind
    /// it waiting.
    pub fn roughen(&self, one: &Node, other: &Node, longer: Duration, one_lost_in: u64) {
        assert_ne!(one_lost_in, 1, "something arrives");
        let ((one, other), rough) = (two(one, other), Some(Rough { longer, one_lost_in }));
        self.world.roughen(one, other, rough);
        self.world.roughen(other, one, rough);
    }

    /// The network between two nodes is as usual for all that is sent from now on.
    pub fn smooth(&self, one: &Node, other: &Node) {
        let (one, other) = two(one, other);
        self.world.roughen(one, other, None);
        self.world.roughen(other, one, None);
    }

    /// Runs until `done` holds, looking after every step; false if nothing is left to happen or `limit` of virtual time
    /// has passed.
    pub fn run_until(&self, limit: Duration, mut done: impl FnMut() -> bool) -> bool {
        let end = self.world.now() + limit;
        loop {
            if done() {
                return true;
            }
            if !self.world.step(end) {
                return false;
            }
        }
    }

    /// Runs for `duration` of virtual time.
    pub fn run_for(&self, duration: Duration) {
        let end = self.world.now() + duration;
        while self.world.step(end) {}
        self.world.advance_to(end);
    }

    /// Runs until `executor` has ended, at most for `limit` of virtual time, and returns its result. An executor that is
    /// still running then counts as died.
    pub fn join<T: Send + 'static>(
        &self,
        executor: Executor<T>,
        limit: Duration,
    ) -> Result<T, JoinError> {
        if self.run_until(limit, || executor.is_finished()) {
            executor.join()
        } else {
            Err(JoinError::Died { name: executor.name().to_owned() })
        }
    }

    /// The virtual time.
    pub fn now(&self) -> Instant {
        self.world.now()
    }

    /// The seed it was made with.
    pub fn seed(&self) -> u64 {
        self.world.seed()
    }

    /// Fingerprint of everything that has happened: which task ran when, every write, every delivery.
    pub fn trace_hash(&self) -> u64 {
        self.world.trace_hash()
    }
}

/// The addresses of two nodes.
fn two(one: &Node, other: &Node) -> (IpAddr, IpAddr) {
    let (one, other) = (IpAddr::V4(one.ip()), IpAddr::V4(other.ip()));
    assert_ne!(one, other, "a node reaches itself");
    (one, other)
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.world.end();
    }
}

/// A simulated machine with one process at a time.
#[derive(Clone)]
pub struct Node {
    world: Rc<World>,
    state: Rc<NodeState>,
}

impl Node {
    /// Starts an executor in this node's process, like [`crate::start`].
    pub fn start<T, F, Fut>(&self, name: &str, f: F) -> Executor<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
    {
        self.world.start(&self.state, name, f)
    }

    /// Calls `f` as a plain thread of this node's process would: outside of every executor. Within it [`crate::start`] and
    /// [`crate::block_on`] start simulated executors, and clocks and random numbers are those of the simulation.
    pub fn thread<R>(&self, f: impl FnOnce() -> R) -> R {
        let _entered = context::enter_thread(self.world.new_seat(&self.state));
        f()
    }

    /// Kills the node's process, as kill -9 does: its executors end without a result, its tasks are dropped where they
    /// stand, its connections are reset, its ports and locks are free. The disk keeps everything that was written,
    /// synced or not. Of the writes that are in flight some happen, each as a whole, and the others never.
    pub fn crash(&self) {
        self.world.crash(&self.state);
    }

    /// Cuts the power: a [`Node::crash`], and of what was not durable the disk keeps any subset. Writes, also those in
    /// flight, survive sector by sector (512 bytes), in any order; changes of names survive or not, each as a whole,
    /// but none without those before it that touched the same names; so does a file's length.
    pub fn power_cut(&self) {
        self.world.power_cut(&self.state);
    }

    /// Lets the node's process stand still, as SIGSTOP does: none of its tasks runs until [`Node::resume`], or ever if it is
    /// killed before. Its machine goes on: time passes, what is sent to it is buffered, connections to it are made, and writes that it has
    /// begun happen.
    pub fn pause(&self) {
        self.world.pause(&self.state, true);
    }

    /// Lets a process go on that stands still, with all that has become due meanwhile.
    pub fn resume(&self) {
        self.world.pause(&self.state, false);
    }

    /// Sets the node's wall clock so many milliseconds ahead of all others', or behind if it is less than nothing; it survives restarts.
    /// The monotonic clock knows nothing of it.
    pub fn shift_clock(&self, ahead_millis: i64) {
        self.world.set_clock(&self.state, ahead_millis);
    }

    /// Its disk, to plan faults on.
    pub fn disk(&self) -> Disk {
        Disk { world: self.world.clone(), node: self.state.clone() }
    }

    /// Its address.
    pub fn ip(&self) -> Ipv4Addr {
        self.state.ip
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Bytes on its disk that a power cut could lose: written, but not covered by a sync.
    pub fn unsynced_bytes(&self) -> u64 {
        self.state.disk.names.borrow().unsynced_bytes()
    }
}
