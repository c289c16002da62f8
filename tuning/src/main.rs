//! `mqtune`: is this machine fit for a broker, and what does its disk do?

#![forbid(unsafe_code)]

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tuning::check::{self, Severity};

/// Looks at a machine before a broker runs on it. Changes nothing about the system
#[derive(Parser)]
#[command(name = "mqtune", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Looks at kernel, limits, cores, memory, file system and disk, and says what to do
    ///
    /// The exit code is 1 if something stands in a broker's way, 0 otherwise, 2 for a mistake in the command line.
    Check(CheckArgs),
}

#[derive(Args)]
struct CheckArgs {
    /// Directory of the store; need not exist yet. Without it file system and disk are left out
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let CommandLine { command } = CommandLine::parse();
    runtime::process::abort_on_panic();
    match command {
        Command::Check(args) => check(&args),
    }
}

fn check(args: &CheckArgs) -> ExitCode {
    let rows = check::decide(&check::observe(args.store.as_deref()));
    let text = if args.json { format!("{}\n", check::json(&rows)) } else { check::text(&rows) };
    // Nobody reads it: the exit code still tells.
    drop(stdout().write_all(text.as_bytes()));
    let failed = rows.iter().any(|row| row.severity == Severity::Error);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
