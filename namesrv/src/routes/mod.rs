//! The table of brokers and topics. Pure: events and the time come in, answers and changes go out; no clock, no socket.
//!
//! What is known comes from the brokers alone: each registers with every NameServer of its list, and NameServers know nothing
//! of each other. A broker is forgotten when it says so, when the connection it registered over closes, or when it has
//! been silent for its timeout. Rules are those of RocketMQ 5.5.0, class RouteInfoManager.

mod brokers;
mod register;
#[cfg(test)]
mod tests;
mod topics;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

pub use register::{Accepted, Refused, Registration, Replaced, Topic};
pub use topics::Queues;
pub use view::{BrokerView, RouteView};

use topics::Topics;

/// A point of a monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Duration);

/// The connection that a broker registered over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link(pub u64);

/// Which state of its topics a broker has registered. Equal if all three are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Version {
    /// Epoch of the broker's master; a smaller one never replaces a larger one.
    pub state: i64,
    /// Milliseconds since 1970 of the last change.
    pub timestamp: i64,
    /// Number of changes.
    pub counter: i64,
}

/// A broker process: its cluster and the address it gives to clients.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// The cluster.
    pub cluster: String,
    /// `ip:port`.
    pub addr: String,
}

/// What is remembered of a live broker process.
#[derive(Debug)]
struct Live {
    name: String,
    id: i64,
    heard: Moment,
    timeout: Duration,
    version: Version,
    ha_addr: String,
    link: Link,
}

/// The processes that share a broker name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Replicas {
    cluster: String,
    /// Address by broker id; 0 is the master. Never empty.
    addrs: BTreeMap<i64, String>,
    acting_master: bool,
}

/// Switches of the rules.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// Show an acting master.
    pub acting_master: bool,
    /// A full registration removes the broker's topics that it does not name.
    pub registration_replaces_topics: bool,
}

/// Why a broker is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// It unregistered.
    Unregistered,
    /// Its connection closed.
    Disconnected,
    /// It has been silent for too long.
    Silent,
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Gone::Unregistered => "it unregistered",
            Gone::Disconnected => "its connection closed",
            Gone::Silent => "it has not been heard of for too long",
        })
    }
}

/// A broker process that has left, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Which.
    pub process: Process,
    /// Its broker name.
    pub name: String,
    /// Its broker id.
    pub id: i64,
    /// The connection it was registered over.
    pub link: Link,
}

/// The whole table. One owner, one thread.
#[derive(Debug, Default)]
pub struct Routes {
    rules: Rules,
    clusters: BTreeMap<String, BTreeSet<String>>,
    brokers: BTreeMap<String, Replicas>,
    live: BTreeMap<Process, Live>,
    topics: Topics,
}

impl Routes {
    /// An empty table.
    pub fn new(rules: Rules) -> Routes {
        Routes { rules, ..Routes::default() }
    }
}
