//! `turbopump`: for trying things out. Without a command it is NameServer and broker in one process ([`standalone`]); `cluster`
//! starts a group of three brokers with its NameServer on this machine, each a process of its own ([`cluster`]).

#![forbid(unsafe_code)]

mod cluster;
mod member;
mod names;
mod ports;
mod standalone;

use std::fmt::Display;
use std::process::ExitCode;

use broker::boot;
use clap::{Parser, Subcommand};

use cluster::Cluster;
use member::Member;
use standalone::Standalone;

/// NameServer and broker of a RocketMQ-compatible cluster in one process, or a whole cluster on one machine
#[derive(Parser)]
#[command(name = "turbopump", version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    standalone: Standalone,
}

#[derive(Subcommand)]
enum Command {
    /// A replicated cluster on this machine: groups of three brokers, each a process of its own, with NameServers
    Cluster(Cluster),
    /// One process of such a cluster; `cluster start` starts them
    #[command(hide = true)]
    Member(Member),
}

fn main() -> ExitCode {
    let CommandLine { command, standalone } = CommandLine::parse();
    runtime::process::abort_on_panic();
    match command {
        None => served(|| standalone::run(&standalone)),
        Some(Command::Member(member)) => served(|| member::run(&member)),
        Some(Command::Cluster(cluster)) => match cluster::run(&cluster) {
            Ok(code) => code,
            Err(error) => runtime::process::end_with_error("turbopump cluster", &error),
        },
    }
}

/// Runs a server, with its log on the standard output.
fn served<E: Display>(run: impl FnOnce() -> Result<(), E>) -> ExitCode {
    boot::log_to_stdout();
    match run() {
        Ok(()) => {
            runtime::process::flush_log();
            ExitCode::SUCCESS
        }
        Err(failure) => runtime::process::end_with_error("turbopump", &failure),
    }
}
