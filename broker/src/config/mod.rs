//! The configuration of a broker: one table of keys, and what becomes of a file.
//!
//! [`Config`] is what the rest of the crate sees. It is made once, before anything is started, by
//! [`Config::from_settings`]; everything in it has been checked.

mod advice;
mod demands;
mod io;
mod keys_broker;
mod keys_raft;
mod keys_store;
mod load;
mod profile;
mod raft_group;
mod reasons;
mod rest_broker;
mod rest_store;
mod retention;
mod table;

#[cfg(test)]
mod page_tests;
#[cfg(test)]
mod scenario_tests;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

pub use advice::advice;
pub use demands::{Demand, Demands};
pub use io::{FlushMethod, IoTuning};
pub(crate) use load::SHARDS_AUTO;
pub use load::{LoadError, Surroundings, quiet_keys};
pub use profile::{Choice, PROFILE_KEYS, Profile, ProfileError};
pub use raft_group::{
    GroupLayout, Host, LayoutError, Member, Peer, PeerError, PortUse, Purpose, RaftGroup,
    RaftTiming, is_label,
};
pub use retention::Retention;
pub use table::{IMPORTANT, KEYS};

/// Everything a broker is told. The shards of a process share one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The cluster (`brokerClusterName`).
    pub cluster: String,
    /// The broker name of shard 0 (`brokerName`).
    pub broker_name: String,
    /// Number of shards, at least 1; what `auto` came to.
    pub shards: u32,
    /// Port of shard 0.
    pub listen_port: u16,
    /// Distance between the ports of two shards; the last shard's port is checked to exist.
    pub shard_port_stride: u16,
    /// Local address to listen on.
    pub bind_address: Ipv4Addr,
    /// Host or address that clients dial (`brokerIP1`); `None`: the first local address.
    pub advertised_host: Option<String>,
    /// The Raft groups of the shards; `None`: each message has one copy.
    pub raft_group: Option<RaftGroup>,
    /// NameServers, `host:port` each, as written.
    pub namesrv_addrs: Vec<String>,
    /// Time between two registrations, between 10 and 60 seconds.
    pub register_every: Duration,
    /// Time a NameServer has to answer a registration.
    pub register_timeout: Duration,
    /// A connection without traffic for this long is closed.
    pub idle_timeout: Duration,
    /// A client without a heartbeat for this long leaves its groups.
    pub client_expiry: Duration,
    /// Permission bits of the broker: 4 read, 2 write.
    pub permission: u32,
    /// Value of MSG_REGION.
    pub region: String,
    /// Value of TRACE_ON.
    pub trace_on: bool,
    /// Unknown topics are created by sends.
    pub auto_create_topics: bool,
    /// Queues of the template TBW102.
    pub default_topic_queues: u32,
    /// Unknown groups are created by heartbeats.
    pub auto_create_groups: bool,
    /// There is a topic named after the cluster.
    pub cluster_topic: bool,
    /// There is a topic named after the broker.
    pub broker_topic: bool,
    /// The trace topic, if there shall be one.
    pub trace_topic: Option<String>,
    /// Longest topic name, bytes.
    pub max_topic_length: usize,
    /// Pulls that find nothing wait as long as the client allows.
    pub long_polling: bool,
    /// How long they wait otherwise.
    pub short_polling: Duration,
    /// Members of a group are told when it changes.
    pub notify_consumer_ids_changed: bool,
    /// The store's directory; see [`crate::shard::identity::shard_dir`].
    pub store_dir: PathBuf,
    /// The log's directory, if it is not `log` in the store's.
    pub log_dir: Option<PathBuf>,
    /// Bytes of a segment of the log, a multiple of 4096.
    pub segment_size: u64,
    /// Largest message body, bytes.
    pub max_message: usize,
    /// Largest request, in bytes of encoded records.
    pub max_request: usize,
    /// Memory for the tail of the log, bytes a shard.
    pub tail_budget: usize,
    /// Bytes that may wait for the disk, a shard.
    pub max_queued: usize,
    /// When a send is answered.
    pub flush: storage::Flush,
    /// How the log meets the device.
    pub io: IoTuning,
    /// How long messages are kept.
    pub retention: Retention,
    /// Limits of a pull served from the tail.
    pub pull_memory: PullLimits,
    /// Limits of a pull that reads the disk.
    pub pull_disk: PullLimits,
    /// Limits of a query by key.
    pub query: QueryLimits,
    /// What an operator changes to change some of these.
    pub handles: Handles,
}

/// The configuration of a file called `f` on a small machine.
#[cfg(test)]
pub(crate) fn of_text(text: &str) -> Result<Config, LoadError> {
    let mut settings = ::config::Settings::defaults(&KEYS);
    settings.load(&::config::Source::file("f"), text.as_bytes())?;
    let around = Surroundings { home: Some("/".into()), host_name: "h".to_owned(), cores: 2 };
    Config::from_settings(&settings, &around)
}

/// How an operator knows a setting: the option that set it, or the key and the place where it was set. For the remedies of
/// errors that show only when the broker starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handles {
    /// Of the number of shards.
    pub shards: String,
    /// Whether that says `auto`.
    pub shards_are_auto: bool,
    /// Of the port of shard 0.
    pub listen_port: String,
    /// Of the local address to listen on.
    pub bind_address: String,
    /// Of the members of the Raft group.
    pub raft_peers: String,
    /// Of the host or address that clients dial.
    pub advertised_host: String,
    /// Of the store's directory.
    pub store_dir: String,
    /// Of the log's directory.
    pub log_dir: String,
}

/// How many messages the answer to a query by key has at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryLimits {
    /// For any key (`maxMsgsNumBatch`).
    pub messages: usize,
    /// For a unique key, whatever the client asks for (`defaultQueryMaxNum`).
    pub unique_key: usize,
}

/// How much one pull may return; one message is always returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullLimits {
    /// Bytes of records.
    pub bytes: usize,
    /// Messages.
    pub messages: usize,
}
