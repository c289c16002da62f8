//! The flags of one run: sending, or pulling.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{parse, seconds, seconds_or_null};
use crate::limits::{BATCH_MAX, CONNECTIONS_MAX, IN_FLIGHT_MAX, QUEUES_MAX, RATE_MAX, TOPICS_MAX};

/// Where, with how much, and for how long.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Run {
    /// NameServer, host:port; several separated by `;`
    #[arg(short, long, alias = "a", value_name = "HOST:PORT", default_value = "127.0.0.1:9876",
          value_parser = parse::namesrv)]
    pub namesrv: String,
    /// Topic
    #[arg(short, long, value_parser = parse::topic)]
    pub topic: String,
    /// Producer or consumer group
    #[arg(short, long, default_value = "mqbench", value_parser = parse::group)]
    pub group: String,
    /// Connections, spread over the brokers of the topic, 1 to 1024; without it one to each broker
    #[arg(short, long, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=CONNECTIONS_MAX))]
    pub connections: Option<u32>,
    /// How long to measure, such as 30s, 500ms, 2m; without it 30s, or until --count is reached
    #[arg(short, long, value_name = "TIME", value_parser = parse::run_time)]
    #[serde(serialize_with = "seconds_or_null")]
    pub duration: Option<Duration>,
    /// How long to run before measuring; what comes in that time is not counted
    #[arg(short, long, value_name = "TIME", default_value = "0s", value_parser = parse::warmup)]
    #[serde(serialize_with = "seconds")]
    pub warmup: Duration,
    /// Stop after this many messages, those of the warm-up included
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Run on these CPUs only, one executor each, such as 1 or 0,2-3
    #[arg(long, value_name = "LIST", value_parser = parse::cores)]
    pub cores: Option<Cores>,
    /// Microseconds, 0 to 1000, that an executor with nothing to do looks for work before it sleeps: it saves the time in
    /// which a core of the load wakes up, and takes CPU from servers that share it
    #[arg(long, value_name = "MICROS", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub busy_poll: u16,
    /// Threads of the load let everything else on the machine go first (nice 19); of mixed, those of the consumer
    #[arg(long)]
    pub gives_way: bool,
    /// Processes of the server (of A), such as 17 or 17,18: their CPU time and memory are reported
    #[arg(long, alias = "pid-a", value_name = "LIST", value_parser = parse::pids)]
    pub pid: Option<Pids>,
}

/// A list of CPUs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cores(pub Vec<usize>);

/// A list of process ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pids(pub Vec<u32>);

/// The measured time of a run that names neither a time nor a count.
const USUAL_DURATION: Duration = Duration::from_secs(30);

impl Run {
    /// How long to measure at most; `None`: until the count is reached.
    #[must_use]
    pub fn time_limit(&self) -> Option<Duration> {
        match (self.duration, self.count) {
            (None, Some(_)) => None,
            (duration, _) => Some(duration.unwrap_or(USUAL_DURATION)),
        }
    }
}

/// `mqbench produce`, and the sends of the studies.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Produce {
    /// What all loads have.
    #[command(flatten)]
    #[serde(flatten)]
    pub run: Run,
    /// Bytes of a body, such as 1024, 4k, 1m; at most 4m
    #[arg(short, long, value_name = "BYTES", default_value = "1024", value_parser = parse::size)]
    pub size: usize,
    /// Messages that wait for acknowledgement on each connection, 1 to 65536
    #[arg(short, long, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(1..=IN_FLIGHT_MAX))]
    pub in_flight: u32,
    /// Send so many messages a second in all, at even distances, whatever the broker does (open loop); latency then counts
    /// from the moment a message was due. --in-flight is the bound
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=RATE_MAX))]
    pub rate: Option<u64>,
    /// One message at a time on each connection, with blocking system calls on a thread of its own: what adds the least to its
    /// latency
    #[arg(long, conflicts_with_all = ["in_flight", "rate", "busy_poll"])]
    pub blocking: bool,
    /// Queues of a topic on each broker, if it has to be created, 1 to 16384
    #[arg(short, long, value_name = "N", default_value_t = 8,
          value_parser = clap::value_parser!(u32).range(1..=QUEUES_MAX))]
    pub queues: u32,
    /// Spread the messages over so many topics, TOPIC-0, TOPIC-1 and so on; 1 means TOPIC itself
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=TOPICS_MAX))]
    pub topics: u32,
    /// Afterwards read everything back: each acknowledged message must be there once, where its acknowledgement said
    #[arg(long)]
    pub audit: bool,
}

impl Produce {
    /// Messages that may wait for acknowledgement on each connection.
    #[must_use]
    pub fn depth(&self) -> u32 {
        if self.blocking { 1 } else { self.in_flight }
    }

    /// The topics that it sends to.
    #[must_use]
    pub fn topic_names(&self) -> Vec<String> {
        let topic = &self.run.topic;
        match self.topics {
            1 => vec![topic.clone()],
            many => (0..many).map(|number| format!("{topic}-{number}")).collect(),
        }
    }
}

/// `mqbench consume`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Consume {
    /// What all loads have.
    #[command(flatten)]
    #[serde(flatten)]
    pub run: Run,
    /// Where to begin
    #[arg(long, value_enum, default_value_t = Begin::First)]
    pub from: Begin,
    /// Most messages of one pull, 1 to 1024; brokers may allow fewer
    #[arg(short, long, value_name = "N", default_value_t = 32,
          value_parser = clap::value_parser!(u32).range(1..=BATCH_MAX))]
    pub batch: u32,
    /// Pulls in flight on each connection, at most one a queue, 1 to 65536; with fewer than queues, these take turns
    #[arg(short, long, value_name = "N", default_value_t = 1024,
          value_parser = clap::value_parser!(u32).range(1..=IN_FLIGHT_MAX))]
    pub in_flight: u32,
    /// Check that every body has this many bytes
    #[arg(short, long, value_name = "BYTES", value_parser = parse::size)]
    pub size: Option<usize>,
    /// At the end of a queue begin again at its oldest message
    #[arg(long)]
    pub again: bool,
}

/// Where a consumer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Begin {
    /// At the oldest message
    First,
    /// At the end: only what arrives from now on
    Last,
    /// Where the group stopped; at the oldest message if it has no progress yet
    Committed,
}
