//! The flags of `failover`.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::{parse, seconds, seconds_or_null};
use crate::limits::{FAULTS_MAX, MEMBERS_MAX, PROBE_CONNECTIONS_MAX, PROBE_RATE_MAX, QUEUES_MAX};

/// `mqbench failover`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Failover {
    /// NameServer, host:port; several separated by `;`
    #[arg(short, long, value_name = "HOST:PORT", default_value = "127.0.0.1:9876",
          value_parser = parse::namesrv)]
    pub namesrv: String,
    /// Topic; take a new one: the audit reads it from its first message on
    #[arg(short, long, value_parser = parse::topic)]
    pub topic: String,
    /// Producer and consumer group
    #[arg(short, long, default_value = "mqbench", value_parser = parse::group)]
    pub group: String,
    /// Queues of the topic on each broker, if it has to be created, 1 to 16384
    #[arg(short, long, value_name = "N", default_value_t = 8,
          value_parser = clap::value_parser!(u32).range(1..=QUEUES_MAX))]
    pub queues: u32,
    /// Probes a second to each group of brokers (each broker name), at even distances whatever becomes of them, 1 to 10000
    #[arg(short, long, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(u64).range(1..=PROBE_RATE_MAX))]
    pub rate: u64,
    /// Connections to each broker that the probes take turns on, 1 to 64
    #[arg(short, long, value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(1..=PROBE_CONNECTIONS_MAX))]
    pub connections: u32,
    /// Time that a probe has to be acknowledged, connecting included, 1ms to 10s; it is never sent again
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = parse::probe_timeout)]
    #[serde(serialize_with = "seconds")]
    pub timeout: Duration,
    /// Makes the fault: run by `sh -c` with LEADER_BROKER, LEADER_ADDR, LEADER_PID (with --pid-of) and FAULT_NUMBER
    #[arg(long, value_name = "CMD", value_parser = parse::command)]
    pub fault: String,
    /// Undoes it: run with the same variables, of the leader that was, when the groups have been acknowledged again for
    /// --settle, at the latest after --wait
    #[arg(long, value_name = "CMD", value_parser = parse::command)]
    pub heal: Option<String>,
    /// Run --heal so long after the fault instead, whatever the state of the groups, such as 5s
    #[arg(long, value_name = "TIME", requires = "heal", value_parser = parse::run_time)]
    #[serde(serialize_with = "seconds_or_null")]
    pub heal_after: Option<Duration>,
    /// Prints the process id of the leader: run before each fault with LEADER_BROKER, LEADER_ADDR and FAULT_NUMBER
    #[arg(long, value_name = "CMD", value_parser = parse::command)]
    pub pid_of: Option<String>,
    /// Strike this group only (a broker name); without it the groups take turns
    #[arg(long, value_name = "NAME")]
    pub broker: Option<String>,
    /// How many faults, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=FAULTS_MAX))]
    pub times: u32,
    /// From one fault to the next at least
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse::warmup)]
    #[serde(serialize_with = "seconds")]
    pub every: Duration,
    /// Before a fault every probe must have been acknowledged for so long, in every group
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = parse::run_time)]
    #[serde(serialize_with = "seconds")]
    pub settle: Duration,
    /// Before a fault the route must name so many brokers of each group, 1 to 64; without it, no matter how many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MEMBERS_MAX))]
    pub members: Option<u32>,
    /// Fail (exit code 1) if a fault brings no other leader: if the route names the same one still, or nobody, when it is
    /// healed, or without a heal before the next fault
    #[arg(long)]
    pub new_leader: bool,
    /// Fail (exit code 1) if the median window of the struck groups is longer, such as 250ms
    #[arg(long, value_name = "TIME", value_parser = parse::bar)]
    #[serde(serialize_with = "seconds_or_null")]
    pub median: Option<Duration>,
    /// Fail (exit code 1) if the longest window of the struck groups is longer, or their longest silence after a heal, such as 1s
    #[arg(long, value_name = "TIME", value_parser = parse::bar)]
    #[serde(serialize_with = "seconds_or_null")]
    pub worst: Option<Duration>,
    /// How long to wait for that before giving up
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse::run_time)]
    #[serde(serialize_with = "seconds")]
    pub wait: Duration,
}
