//! NameServer and broker in one process.
//!
//! Without options everything listens on loopback, the store lies in `./data`, and a send is answered when the message
//! is durable.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use broker::boot::{self, BootError, Broker};
use broker::config::LoadError;
use clap::Args;
use runtime::IoError;
use runtime::executor::{JoinError, StartError};

use crate::names::{self, NameServer};
use crate::ports::{self, SamePort};

/// Size of a segment of the log: small, because a quick start shall not take much of the disk.
const SEGMENT: &str = "64MiB";
/// Memory for the end of the log.
const TAIL_BUDGET: &str = "32MiB";

/// The options.
#[derive(Args)]
pub struct Standalone {
    /// Directory of the store; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data: PathBuf,

    /// Number of shards, or `auto` for one on each core: each has a port and a broker name of its own; fixed at the first start
    #[arg(long, value_name = "N", default_value = "1")]
    shards: String,

    /// Address to listen on and to tell clients; 0.0.0.0 listens on all and tells the first that is not loopback
    #[arg(long, value_name = "IPV4", default_value_t = Ipv4Addr::LOCALHOST)]
    host: Ipv4Addr,

    /// TCP port of the broker; shard k listens on this plus 100 × k
    #[arg(long, value_name = "PORT", default_value_t = 10911)]
    listen_port: u16,

    /// TCP port of the NameServer
    #[arg(long, value_name = "PORT", default_value_t = 9876)]
    namesrv_port: u16,
}

/// Why the process ends with an error. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Config(#[from] LoadError),
    #[error(transparent)]
    Probe(#[from] runtime::probe::ProbeError),
    #[error(transparent)]
    SamePort(#[from] SamePort),
    #[error("NameServer: {source}; {} sets it", if .source.is_about_the_ip() { "--host" } else { "--namesrv-port" })]
    NameServer { source: namesrv::BindError },
    #[error(transparent)]
    Boot(#[from] BootError),
    #[error(transparent)]
    Executor(#[from] StartError),
    #[error(transparent)]
    Died(#[from] JoinError),
    #[error(transparent)]
    Signals(#[from] IoError),
}

/// Serves until the process is told to stop. Blocks the calling thread.
///
/// # Errors
/// It does not start, or does not end in good order.
pub fn run(args: &Standalone) -> Result<(), Failure> {
    let loaded = boot::load(&[], None, &settings(args))?;
    let config = loaded.config()?;
    ports::check(args.namesrv_port, &config)?;
    runtime::probe::probe(None)?;
    let signals = runtime::process::stop_signals_second_ends("turbopump")?;
    let listen = SocketAddr::from((args.host, args.namesrv_port));
    let namesrv = NameServer::start(namesrv::Config { listen, ..namesrv::Config::default() })?;
    let served = boot::start(config, signals).map_err(Failure::from).and_then(|broker| {
        let Some(mut broker) = broker else { return Ok(()) };
        boot::check_reachable(broker.started());
        greet(args, &broker);
        let signal = broker.wait_for_signal();
        tracing::info!(signal = signal.map(tracing::field::display), "stopping");
        broker.stop().map_err(Failure::from)
    });
    let stopped = namesrv.stop();
    served?;
    stopped?;
    print("stopped in good order\n");
    Ok(())
}

/// The broker's keys, as if they stood in a file.
fn settings(args: &Standalone) -> Vec<(&'static str, &'static str, String)> {
    let local = if args.host.is_unspecified() { Ipv4Addr::LOCALHOST } else { args.host };
    vec![
        ("--data", "storePathRootDir", args.data.display().to_string()),
        ("--shards", "shards", args.shards.clone()),
        ("--host", "bindAddress", args.host.to_string()),
        ("--listen-port", "listenPort", args.listen_port.to_string()),
        ("--namesrv-port", "namesrvAddr", format!("{local}:{}", args.namesrv_port)),
        ("turbopump", "brokerName", "broker-a".to_owned()),
        ("turbopump", "flushDiskType", "SYNC_FLUSH".to_owned()),
        ("turbopump", "mappedFileSizeCommitLog", SEGMENT.to_owned()),
        ("turbopump", "tailBudget", TAIL_BUDGET.to_owned()),
    ]
}

impl From<names::Failure> for Failure {
    fn from(failure: names::Failure) -> Self {
        match failure {
            names::Failure::Bind(source) => Self::NameServer { source },
            names::Failure::Executor(error) => Self::Executor(error),
            names::Failure::Died(error) => Self::Died(error),
        }
    }
}

/// What there is, where it is, and what to try.
fn greet(args: &Standalone, broker: &Broker) {
    let shards: Vec<_> = broker.started().map(|shard| shard.identity.clone()).collect();
    let namesrv = format!("{}:{}", reachable(args, &shards), args.namesrv_port);
    let mut text = String::from("\n");
    let mut line = |words: &str| {
        text.push_str(words);
        text.push('\n');
    };
    line(&format!("  NameServer   {namesrv}"));
    for shard in &shards {
        line(&format!("  broker       {} at {}", shard.name, shard.address));
    }
    line(&format!("  data         {}", args.data.display()));
    line("  durability   SYNC_FLUSH: a send is answered when the message is on the disk");
    if args.host.is_loopback() {
        line("  reachable    from this machine only; --host 0.0.0.0 opens it to others");
    }
    line("");
    line("  Try it from another terminal:");
    line(&format!("    cargo run --release -p bench -- produce -n {namesrv} -t quickstart -d 10s"));
    line(&format!("    cargo run --release -p bench -- consume -n {namesrv} -t quickstart -d 10s"));
    line("");
    line("  Ctrl-C stops it.");
    line("");
    print(&text);
}

/// Puts lines on the standard output, in order with those of the log, and as these without waiting for who reads them.
fn print(lines: &str) {
    use std::io::Write;
    // It never fails: what nobody takes is dropped.
    drop(runtime::process::LogLine.write_all(lines.as_bytes()));
}

/// The address of this machine that the lines to try name.
fn reachable(args: &Standalone, shards: &[broker::shard::identity::Identity]) -> String {
    match (args.host.is_unspecified(), shards.first()) {
        (true, Some(shard)) => shard.address.ip().to_string(),
        _ => args.host.to_string(),
    }
}
