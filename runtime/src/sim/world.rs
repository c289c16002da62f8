//! Time, events, randomness, nodes: what all simulated executors share.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::disk::SimDisk;
use super::link::Links;
use super::listener::Ports;
use super::scheduler::Scheduler;
use super::trace::{Mark, Trace};
use crate::clock::Instant;

/// Virtual time at the start: not zero, so that code which subtracts from it shows.
const START_NANOS: u64 = 1_000_000_000;

/// Wall clock at the start: 2025-01-01 00:00:00 UTC.
const START_UNIX_MILLIS: u64 = 1_735_689_600_000;

pub(super) type Event = Box<dyn FnOnce()>;

/// Identifies an event that has not happened yet; ordered by when it will.
pub(super) type EventKey = (u64, u64);

/// A process of a node, from its start to its crash.
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) crashed: Cell<bool>,
    /// It stands still: none of its tasks runs.
    pub(super) paused: Cell<bool>,
}

/// A simulated machine.
pub(super) struct NodeState {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) ip: Ipv4Addr,
    pub(super) disk: Rc<SimDisk>,
    pub(super) ports: Ports,
    /// How far its wall clock is ahead of the others', in milliseconds.
    pub(super) ahead_millis: Cell<i64>,
    process: RefCell<Rc<Process>>,
}

impl NodeState {
    pub(super) fn process(&self) -> Rc<Process> {
        self.process.borrow().clone()
    }
}

pub(crate) struct World {
    seed: u64,
    now: Cell<u64>,
    events: RefCell<BTreeMap<EventKey, Event>>,
    next_event: Cell<u64>,
    next_pid: Cell<u32>,
    nodes: RefCell<Vec<Rc<NodeState>>>,
    /// What code draws from `crate::rng`, the delays, and what faults do; apart from the task order, so that one more random number does
    /// not reorder everything.
    app_rng: RefCell<SmallRng>,
    delay_rng: RefCell<SmallRng>,
    fault_rng: RefCell<SmallRng>,
    pub(super) links: Links,
    pub(super) scheduler: Scheduler,
    pub(super) trace: Trace,
}

impl World {
    pub(super) fn new(seed: u64) -> Rc<World> {
        let mut root = SmallRng::seed_from_u64(seed);
        Rc::new(World {
            seed,
            now: Cell::new(START_NANOS),
            events: RefCell::default(),
            next_event: Cell::new(0),
            next_pid: Cell::new(1000),
            nodes: RefCell::default(),
            app_rng: RefCell::new(SmallRng::from_rng(&mut root)),
            delay_rng: RefCell::new(SmallRng::from_rng(&mut root)),
            links: Links::default(),
            scheduler: Scheduler::new(SmallRng::from_rng(&mut root)),
            fault_rng: RefCell::new(SmallRng::from_rng(&mut root)),
            trace: Trace::new(),
        })
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn trace_hash(&self) -> u64 {
        self.trace.hash()
    }

    pub(super) fn mark(&self, mark: Mark, what: u64) {
        self.trace.mark(mark, self.now.get(), what);
    }

    pub(super) fn mark_bytes(&self, mark: Mark, bytes: &[u8]) {
        self.trace.bytes(mark, self.now.get(), bytes);
    }

    // --- time and events

    pub(super) fn now(&self) -> Instant {
        Instant::from_nanos(self.now.get())
    }

    /// The wall clock of a node.
    pub(super) fn unix_millis(&self, node: &NodeState) -> u64 {
        let right = START_UNIX_MILLIS + (self.now.get() - START_NANOS) / 1_000_000;
        right.saturating_add_signed(node.ahead_millis.get())
    }

    /// Lets `event` happen at `at`, after every event that was planned for the same time before.
    pub(super) fn at(&self, at: Instant, event: impl FnOnce() + 'static) -> EventKey {
        assert!(at >= self.now(), "nothing happens in the past");
        let key = (at.as_nanos(), self.next_event.get());
        self.next_event.set(key.1 + 1);
        let before = self.events.borrow_mut().insert(key, Box::new(event));
        assert!(before.is_none(), "event keys are used once");
        key
    }

    pub(super) fn after(&self, delay: Duration, event: impl FnOnce() + 'static) -> EventKey {
        self.at(self.now() + delay, event)
    }

    pub(super) fn cancel_event(&self, key: EventKey) {
        let event = self.events.borrow_mut().remove(&key);
        drop(event); // outside the borrow: it may own anything
    }

    pub(super) fn advance_to(&self, at: Instant) {
        self.now.set(self.now.get().max(at.as_nanos()));
    }

    /// Polls one ready task or, if there is none, lets the next events before `end` happen. False if there is neither.
    pub(super) fn step(&self, end: Instant) -> bool {
        if self.scheduler.poll_one(self) {
            return true;
        }
        let next = self.events.borrow().first_key_value().map(|(key, _)| key.0);
        let Some(at) = next.filter(|at| *at <= end.as_nanos()) else {
            return false;
        };
        assert!(at >= self.now.get(), "time never runs backwards");
        if at > self.now.get() {
            self.now.set(at);
            self.scheduler.time_moved();
        }
        // All that happens at this time happens before any task sees it: the seed decides which task goes first.
        while let Some((key, event)) = self.next_event_at(at) {
            self.mark(Mark::Event, key.1);
            event();
        }
        true
    }

    fn next_event_at(&self, at: u64) -> Option<(EventKey, Event)> {
        let mut events = self.events.borrow_mut();
        match events.first_key_value() {
            Some((key, _)) if key.0 == at => events.pop_first(),
            _ => None,
        }
    }

    // --- randomness

    pub(super) fn with_app_rng<R>(&self, draw: impl FnOnce(&mut SmallRng) -> R) -> R {
        self.mark(Mark::Random, 0);
        draw(&mut self.app_rng.borrow_mut())
    }

    pub(super) fn with_fault_rng<R>(&self, draw: impl FnOnce(&mut SmallRng) -> R) -> R {
        draw(&mut self.fault_rng.borrow_mut())
    }

    /// A delay between `min` and `max` microseconds.
    pub(super) fn delay(&self, min: u64, max: u64) -> Duration {
        let nanos = self.delay_rng.borrow_mut().random_range(min * 1000..=max * 1000);
        Duration::from_nanos(nanos)
    }

    /// Some part of `whole`, perhaps none of it.
    pub(super) fn share_of(&self, whole: Duration) -> Duration {
        let share: f64 = self.delay_rng.borrow_mut().random_range(0.0..1.0);
        whole.mul_f64(share)
    }

    // --- nodes

    pub(super) fn add_node(&self, name: &str, ip: Ipv4Addr) -> Rc<NodeState> {
        assert!(!ip.is_loopback() && !ip.is_unspecified(), "{ip} is not the address of a node");
        let process = self.new_process();
        let mut nodes = self.nodes.borrow_mut();
        let taken = nodes.iter().any(|node| node.name == name || node.ip == ip);
        assert!(!taken, "there is a node {name} or {ip} already");
        let node = Rc::new(NodeState {
            index: u32::try_from(nodes.len()).expect("nodes are few"),
            name: name.to_owned(),
            ip,
            disk: Rc::new(SimDisk::new()),
            ports: Ports::default(),
            ahead_millis: Cell::new(0),
            process: RefCell::new(process),
        });
        nodes.push(node.clone());
        node
    }

    fn new_process(&self) -> Rc<Process> {
        let pid = self.next_pid.get();
        self.next_pid.set(pid + 1);
        Rc::new(Process { pid, crashed: Cell::new(false), paused: Cell::new(false) })
    }

    pub(super) fn node_at(&self, ip: IpAddr) -> Option<Rc<NodeState>> {
        self.nodes.borrow().iter().find(|node| IpAddr::V4(node.ip) == ip).cloned()
    }

    pub(super) fn node_named(&self, name: &str) -> Option<Rc<NodeState>> {
        self.nodes.borrow().iter().find(|node| node.name == name).cloned()
    }

    pub(super) fn crash(&self, node: &NodeState) {
        self.end_process(node);
        self.with_fault_rng(|rng| node.disk.settle(rng));
    }

    pub(super) fn power_cut(&self, node: &NodeState) {
        self.end_process(node);
        self.mark(Mark::PowerCut, u64::from(node.index));
        self.with_fault_rng(|rng| node.disk.power_cut(rng));
    }

    /// Lets the process of a node stand still, or go on.
    pub(super) fn pause(&self, node: &NodeState, pauses: bool) {
        self.mark(Mark::Fault, u64::from(pauses));
        node.process().paused.set(pauses);
        match pauses {
            true => self.scheduler.pauses(),
            false => self.scheduler.go_on(),
        }
    }

    /// Sets the wall clock of a node.
    pub(super) fn set_clock(&self, node: &NodeState, ahead_millis: i64) {
        self.mark(Mark::Fault, ahead_millis.cast_unsigned());
        node.ahead_millis.set(ahead_millis);
    }

    fn end_process(&self, node: &NodeState) {
        self.mark(Mark::Crash, u64::from(node.index));
        let next = self.new_process();
        let process = node.process.replace(next);
        process.crashed.set(true);
        self.scheduler.end_process(self, &process);
    }

    /// The end of the world: tasks hold it and it holds tasks, so that one of the two must let go.
    pub(super) fn end(&self) {
        let nodes = self.nodes.borrow().clone();
        for node in nodes {
            self.crash(&node);
        }
        self.forget_held();
        // Destructors of events may plan others.
        loop {
            let events = std::mem::take(&mut *self.events.borrow_mut());
            if events.is_empty() {
                break;
            }
            drop(events);
        }
    }
}
