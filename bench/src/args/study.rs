//! The flags of studies: several runs in turn, and what they say about each other.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::load::{Pids, Produce};
use super::{parse, seconds_or_null};
use crate::limits::{QUEUES_MAX, WINDOWS_MAX};

/// How often the sides of a study take turns.
#[derive(Args, Clone, Copy, Debug, Serialize)]
pub struct Windows {
    /// How often each side is measured, in turn, 1 to 1000; ratios are medians over them
    #[arg(short = 'k', long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=WINDOWS_MAX))]
    pub windows: u32,
}

/// `mqbench mixed`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Mixed {
    /// The sends.
    #[command(flatten)]
    #[serde(flatten)]
    pub send: Produce,
    /// How often.
    #[command(flatten)]
    #[serde(flatten)]
    pub turns: Windows,
    /// Bodies to store in TOPIC_backlog beforehand, in bytes such as 5g; with 0 what is there is drained
    #[arg(long, value_name = "BYTES", default_value = "5g", value_parser = parse::bytes)]
    pub backlog: u64,
    /// Messages in flight while the backlog is stored
    #[arg(long, value_name = "N", default_value_t = 256,
          value_parser = clap::value_parser!(u32).range(1..=crate::limits::IN_FLIGHT_MAX))]
    pub fill_in_flight: u32,
    /// Most messages of one pull of the consumer, 1 to 1024
    #[arg(short, long, value_name = "N", default_value_t = 32,
          value_parser = clap::value_parser!(u32).range(1..=crate::limits::BATCH_MAX))]
    pub batch: u32,
}

/// `mqbench topics`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Topics {
    /// The sends; `--topics` × `--queues` is the side with many.
    #[command(flatten)]
    #[serde(flatten)]
    pub send: Produce,
    /// How often.
    #[command(flatten)]
    #[serde(flatten)]
    pub turns: Windows,
    /// Queues of the one topic (TOPIC-few) that the many are compared with
    #[arg(long, value_name = "N", default_value_t = 8,
          value_parser = clap::value_parser!(u32).range(1..=QUEUES_MAX))]
    pub few: u32,
}

/// How a write is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// A direct write, then fdatasync
    Fdatasync,
    /// A direct write to a file opened with O_DSYNC
    Dsync,
}

impl Method {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Method::Fdatasync => "fdatasync",
            Method::Dsync => "dsync",
        }
    }
}

/// The file that durable writes are measured with.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Device {
    /// Directory on the broker's store device; a file is made there and removed
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// How a write is made durable; take the broker's flush method
    #[arg(long, value_enum, default_value_t = Method::Fdatasync)]
    pub method: Method,
    /// Bytes of a write, a multiple of 4096; without it what a message with its record takes
    #[arg(long, value_name = "BYTES", value_parser = parse::blocks)]
    pub write_size: Option<usize>,
    /// Bytes of the file, written over from its beginning to its end and again
    #[arg(long, value_name = "BYTES", default_value = "64m", value_parser = parse::span)]
    pub span: u64,
}

/// `mqbench limit`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Limit {
    /// The file.
    #[command(flatten)]
    #[serde(flatten)]
    pub device: Device,
    /// How often.
    #[command(flatten)]
    #[serde(flatten)]
    pub turns: Windows,
    /// Bytes of a message's body: from it follow the sizes of frames and writes
    #[arg(short, long, value_name = "BYTES", default_value = "1024", value_parser = parse::size)]
    pub size: usize,
    /// How long each window of each of the two lasts; without it 5s, or until --count
    #[arg(short, long, value_name = "TIME", value_parser = parse::run_time)]
    #[serde(serialize_with = "seconds_or_null")]
    pub duration: Option<Duration>,
    /// Operations of a window
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
}

/// `mqbench feed`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Feed {
    /// The directory, and how a write is made durable. Without --write-size the bare writes are as large as the store's
    /// were on average.
    #[command(flatten)]
    #[serde(flatten)]
    pub device: Device,
    /// How often.
    #[command(flatten)]
    #[serde(flatten)]
    pub turns: Windows,
    /// Bytes of a message's body
    #[arg(short, long, value_name = "BYTES", default_value = "1024", value_parser = parse::size)]
    pub size: usize,
    /// Messages that wait to be durable at any time
    #[arg(short = 'f', long, value_name = "N", default_value_t = 256,
          value_parser = clap::value_parser!(u32).range(1..=crate::limits::IN_FLIGHT_MAX))]
    pub in_flight: u32,
    /// How long each window of each of the two lasts
    #[arg(short, long, value_name = "TIME", default_value = "5s", value_parser = parse::run_time)]
    #[serde(serialize_with = "super::seconds")]
    pub duration: Duration,
}

/// `mqbench floor`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Floor {
    /// The sends, always one in flight; `--duration` and `--count` go for each window of sends, writes and echoes.
    #[command(flatten)]
    #[serde(flatten)]
    pub send: Produce,
    /// NameServer of a broker without replicas, to which sends go in turn as well: the floor of a group is its latency and a
    /// write and an echo more
    #[arg(long, value_name = "HOST:PORT", value_parser = parse::namesrv)]
    pub one_replica: Option<String>,
    /// The file.
    #[command(flatten)]
    #[serde(flatten)]
    pub device: Device,
    /// How often.
    #[command(flatten)]
    #[serde(flatten)]
    pub turns: Windows,
}

/// `mqbench compare`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Compare {
    /// The sends; `--namesrv` (or `--a`) is A.
    #[command(flatten)]
    #[serde(flatten)]
    pub send: Produce,
    /// NameServer of B
    #[arg(long, value_name = "HOST:PORT", value_parser = parse::namesrv)]
    pub b: String,
    /// Processes of B's server, such as 17 or 17,18
    #[arg(long, value_name = "LIST", value_parser = parse::pids)]
    pub pid_b: Option<Pids>,
    /// Name of A in the result
    #[arg(long, value_name = "NAME", default_value = "A")]
    pub label_a: String,
    /// Name of B in the result
    #[arg(long, value_name = "NAME", default_value = "B")]
    pub label_b: String,
    /// How often.
    #[command(flatten)]
    #[serde(flatten)]
    pub turns: Windows,
    /// Compare at several depths, such as 1,16,64,256, instead of the one of --in-flight
    #[arg(long, value_name = "LIST", value_parser = clap::value_parser!(u32).range(1..=crate::limits::IN_FLIGHT_MAX),
          value_delimiter = ',')]
    pub depths: Vec<u32>,
    /// Compare consuming: each window pulls the topic from its first message on, as many as --count says
    #[arg(long, conflicts_with_all = ["depths", "rate", "audit"])]
    pub consume: bool,
    /// Most messages of one pull, with --consume, 1 to 1024
    #[arg(long, value_name = "N", default_value_t = 32,
          value_parser = clap::value_parser!(u32).range(1..=crate::limits::BATCH_MAX))]
    pub batch: u32,
}

/// `mqbench answer`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Answer {
    /// The broker itself, and no NameServer: one that has just started is registered nowhere yet
    #[arg(long, value_name = "HOST:PORT", value_parser = parse::address)]
    pub broker: String,
    /// A topic that it has
    #[arg(short, long, value_parser = parse::topic)]
    pub topic: String,
    /// Count from this time, in milliseconds since 1970 (`date +%s%3N`), instead of from the first question
    #[arg(long, value_name = "MILLIS")]
    pub since: Option<u64>,
    /// How long to go on asking
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse::run_time)]
    #[serde(serialize_with = "super::seconds")]
    pub wait: Duration,
}

/// `mqbench report`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Gather {
    /// Files with what mqbench printed with --json, one object a line
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Title of the page
    #[arg(long, value_name = "TEXT", default_value = "mqbench")]
    pub title: String,
    /// Print the results as tables in Markdown
    #[arg(long)]
    pub markdown: bool,
}
