//! The command line: every flag with its range and its default.

mod failover;
mod load;
mod parse;
mod study;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

pub use failover::Failover;
pub use load::{Begin, Consume, Cores, Pids, Produce, Run};
pub use study::{
    Answer, Compare, Device, Feed, Floor, Gather, Limit, Method, Mixed, Topics, Windows,
};

/// Puts load on a RocketMQ cluster and measures it. Runs against Turbopump and Apache RocketMQ alike.
#[derive(Clone, Debug, Parser)]
#[command(name = "mqbench", version)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Where the result goes.
    #[command(flatten)]
    pub output: Output,
}

/// Where a result goes besides the terminal.
#[derive(Args, Clone, Debug, Default)]
pub struct Output {
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Write the latencies of each second to this file, as a log of HdrHistogram (V2)
    #[arg(long, value_name = "FILE", global = true)]
    pub hdr: Option<PathBuf>,
    /// Write a page with plots of all runs to this file (HTML, needs nothing else)
    #[arg(long, value_name = "FILE", global = true)]
    pub report: Option<PathBuf>,
}

/// What can be done.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Send, and measure until the acknowledgement: as fast as the broker acknowledges, or at a given --rate
    Produce(Produce),
    /// Pull every queue of a topic, check what comes, and measure from the producer's clock to arrival
    Consume(Consume),
    /// Compare the latency of sends in quiet with that while a consumer drains a backlog
    Mixed(Mixed),
    /// Compare sends to many topics and queues with sends to a few queues
    Topics(Topics),
    /// Measure the floor: a durable write to the device and an echo over loopback, one at a time
    Limit(Limit),
    /// Compare a store that is fed in its own thread, without a broker and without sockets, with bare durable writes, in turn
    Feed(Feed),
    /// Compare sends one at a time with what `limit` measures, in turn
    Floor(Floor),
    /// Compare two clusters, A (--namesrv) and B (--b), in turn
    Compare(Compare),
    /// Strike the leaders of a cluster with a command of yours, and measure how long nothing is acknowledged
    Failover(Failover),
    /// Ask a broker for the end of a queue until it answers, and tell how long that took: how long a start takes
    Answer(Answer),
    /// Make one page (--report), or tables in Markdown (--markdown), of results that were printed with --json
    Report(Gather),
}

impl Command {
    /// CPUs that it may use; `None`: any.
    #[must_use]
    pub fn cores(&self) -> Option<&Cores> {
        match self {
            Command::Produce(args) => args.run.cores.as_ref(),
            Command::Consume(args) => args.run.cores.as_ref(),
            Command::Mixed(args) => args.send.run.cores.as_ref(),
            Command::Topics(args) => args.send.run.cores.as_ref(),
            Command::Floor(args) => args.send.run.cores.as_ref(),
            Command::Compare(args) => args.send.run.cores.as_ref(),
            Command::Limit(_)
            | Command::Feed(_)
            | Command::Failover(_)
            | Command::Answer(_)
            | Command::Report(_) => None,
        }
    }
}

/// What one run does.
#[derive(Clone, Debug)]
pub enum Mode {
    /// Sends.
    Produce(Produce),
    /// Pulls.
    Consume(Consume),
}

impl Mode {
    /// What both have.
    #[must_use]
    pub fn run(&self) -> &Run {
        match self {
            Mode::Produce(produce) => &produce.run,
            Mode::Consume(consume) => &consume.run,
        }
    }

    /// Whether each connection blocks a thread of its own.
    #[must_use]
    pub fn is_blocking(&self) -> bool {
        matches!(self, Mode::Produce(Produce { blocking: true, .. }))
    }

    /// Its name on the command line.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Mode::Produce(_) => "produce",
            Mode::Consume(_) => "consume",
        }
    }
}

impl CommandLine {
    /// The run that is asked for, if it is only one.
    #[must_use]
    pub fn mode(&self) -> Option<Mode> {
        match &self.command {
            Command::Produce(args) => Some(Mode::Produce(args.clone())),
            Command::Consume(args) => Some(Mode::Consume(args.clone())),
            _ => None,
        }
    }
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

fn seconds_or_null<S: serde::Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => seconds(time, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests;
