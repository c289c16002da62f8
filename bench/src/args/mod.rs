//! The command line: every flag with its range and its default.

mod parse;

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

use crate::limits::{BATCH_MAX, CONNECTIONS_MAX, IN_FLIGHT_MAX, QUEUES_MAX};

/// Puts load on a RocketMQ cluster and measures it. Runs against Turbopump and Apache RocketMQ alike.
#[derive(Clone, Debug, Parser)]
#[command(name = "mqbench", version)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub mode: Mode,
}

/// The kinds of load.
#[derive(Clone, Debug, Subcommand)]
pub enum Mode {
    /// Send, as fast as the broker acknowledges (closed loop), and measure from enqueue to acknowledgement.
    Produce(Produce),
    /// Pull every queue of a topic, check what comes, and measure from the producer's clock to arrival.
    Consume(Consume),
}

impl Mode {
    /// What all modes have.
    #[must_use]
    pub fn run(&self) -> &Run {
        match self {
            Mode::Produce(produce) => &produce.run,
            Mode::Consume(consume) => &consume.run,
        }
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

/// Where, with how much, and for how long.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Run {
    /// NameServer, host:port; several separated by `;`
    #[arg(short, long, value_name = "HOST:PORT", default_value = "127.0.0.1:9876",
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
    /// Print one JSON object instead of text
    #[arg(long)]
    #[serde(skip)]
    pub json: bool,
}

/// A list of CPUs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cores(pub Vec<usize>);

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

/// `mqbench produce`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Produce {
    /// What all modes have.
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
    /// Queues on each broker, if the topic has to be created, 1 to 16384
    #[arg(short, long, value_name = "N", default_value_t = 8,
          value_parser = clap::value_parser!(u32).range(1..=QUEUES_MAX))]
    pub queues: u32,
}

/// `mqbench consume`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Consume {
    /// What all modes have.
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
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(args: &[&str]) -> Result<CommandLine, String> {
        let all = std::iter::once("mqbench").chain(args.iter().copied());
        CommandLine::try_parse_from(all).map_err(|error| error.to_string())
    }

    #[test]
    fn the_flags_are_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_flag_of_a_produce_run_is_understood() {
        let line = "produce -n h1:1;h2:2 -t T --size 4k --connections 3 --in-flight 256 --duration 1500ms \
                    --warmup 2m --count 9 --queues 16 --json -g G";
        let Mode::Produce(produce) = parse(&line.split(' ').collect::<Vec<_>>()).unwrap().mode
        else {
            panic!("produce");
        };
        let Run { namesrv, topic, group, connections, duration, warmup, count, cores, json } =
            produce.run;
        assert_eq!((namesrv.as_str(), topic.as_str(), group.as_str()), ("h1:1;h2:2", "T", "G"));
        assert_eq!((produce.size, connections, produce.in_flight), (4096, Some(3), 256));
        assert_eq!(
            (duration, warmup),
            (Some(Duration::from_millis(1500)), Duration::from_secs(120))
        );
        assert_eq!((count, cores, json, produce.queues), (Some(9), None, true, 16));
    }

    #[test]
    fn a_count_alone_has_no_time_limit() {
        let limit = |args: &[&str]| parse(args).unwrap().mode.run().time_limit();
        assert_eq!(limit(&["consume", "-t", "T"]), Some(Duration::from_secs(30)));
        assert_eq!(limit(&["consume", "-t", "T", "--count", "5"]), None);
        let both = limit(&["consume", "-t", "T", "--count", "5", "-d", "9s"]);
        assert_eq!(both, Some(Duration::from_secs(9)));
    }

    #[test]
    fn bad_values_name_the_flag_and_the_range() {
        for (args, flag, hint) in [
            ("produce -t T --connections 0", "--connections", "1..=1024"),
            ("produce -t T --in-flight 65537", "--in-flight", "1..=65536"),
            ("produce -t T --size 5m", "--size", "1 to 4194304"),
            ("produce -t T --size 0", "--size", "1 to 4194304"),
            ("produce -t T --size many", "--size", "4k"),
            ("produce -t T --duration 10ms", "--duration", "100ms"),
            ("produce -t T --duration 1x", "--duration", "30s"),
            ("produce -t T --warmup=-1s", "--warmup", "30s"),
            ("produce -t T --queues 0", "--queues", "1..=16384"),
            ("produce -t bad.topic", "--topic", "illegal characters"),
            ("produce -t T -n nowhere", "--namesrv", "host:port"),
            ("produce -t T --cores 0,9999", "--cores", "9999"),
            ("consume -t T --from middle", "--from", "committed"),
            ("produce", "--topic", "required"),
        ] {
            let error = parse(&args.split(' ').collect::<Vec<_>>()).unwrap_err();
            assert!(error.contains(flag) && error.contains(hint), "{args}: {error}");
        }
    }

    #[test]
    fn parameters_go_into_the_report_in_plain_units() {
        let line = ["produce", "-t", "T", "--duration", "2s", "--warmup", "0s"];
        let Mode::Produce(produce) = parse(&line).unwrap().mode else { panic!("produce") };
        let json = serde_json::to_value(&produce).unwrap();
        assert_eq!((&json["duration"], &json["warmup"]), (&2.0.into(), &0.0.into()));
        assert_eq!((&json["size"], &json["in_flight"]), (&1024.into(), &64.into()));
        assert_eq!(json.get("json"), None);
    }
}
