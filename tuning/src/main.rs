//! `mqtune`: is this machine fit for a broker, and what does its disk do?

#![forbid(unsafe_code)]
// This program is about the real machine: there is nothing in it to simulate.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fs::OpenOptions;
use std::io::{Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use runtime::process::{StopSignal, StopSignals};
use tuning::check::{self, Severity};
use tuning::iotune::{self, IotuneError, Machine, Plan};

/// Exit code after Ctrl-C, as a shell has it.
const INTERRUPTED: u8 = 130;

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

    /// Measures durable writes on a disk, recommends settings, and writes them as an I/O profile
    ///
    /// Takes a bit more than a minute, makes files in DIR, and removes them again, also on Ctrl-C. Measure on an idle machine.
    Iotune(IotuneArgs),
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

#[derive(Args)]
struct IotuneArgs {
    /// A directory on the disk that the broker will use; not the directory of a store itself
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Seconds for each method at each point; there are 68 of them
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = iotune::parse_seconds)]
    seconds_per_point: Duration,

    /// Size of the file to measure on; twice that is on the disk at a time
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = iotune::parse_size)]
    size: u64,

    /// File for the profile
    #[arg(long, value_name = "FILE", default_value = "iotune.properties")]
    out: PathBuf,

    /// Overwrite that file
    #[arg(long)]
    force: bool,
}

fn main() -> ExitCode {
    let CommandLine { command } = CommandLine::parse();
    runtime::process::abort_on_panic();
    match command {
        Command::Check(args) => check(&args),
        Command::Iotune(args) => match iotune(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                drop(writeln!(stderr(), "mqtune: {error}"));
                let stopped = matches!(error, IotuneError::Stopped);
                if stopped { ExitCode::from(INTERRUPTED) } else { ExitCode::FAILURE }
            }
        },
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

fn iotune(args: &IotuneArgs) -> Result<(), IotuneError> {
    if !args.force && std::fs::exists(&args.out).unwrap_or(false) {
        return Err(IotuneError::Exists { path: args.out.clone() });
    }
    for path in iotune::left_over(&args.dir) {
        drop(writeln!(
            stderr(),
            "mqtune: a run that was killed left {0}; `rm {0}` removes it",
            path.display()
        ));
    }
    let plan = Plan { dir: args.dir.clone(), point: args.seconds_per_point, size: args.size };
    let stop = Arc::new(AtomicBool::new(false));
    let signals = runtime::process::stop_signals_second_ends("mqtune");
    let signals = signals.map_err(|error| IotuneError::Thread(std::io::Error::other(error)))?;
    stop_on_signal(signals, Arc::clone(&stop))?;
    let measured = iotune::run(&plan, &stop)?;
    let advice = iotune::advise(&measured);
    let facts = check::observe(Some(&args.dir));
    let now = runtime::unix_millis() / 1000;
    let machine = Machine::of(&facts, &runtime::process::host_name(), now);
    let text = iotune::profile(&machine, &plan, &measured, &advice);
    save(&args.out, &text, args.force)?;
    let report = format!(
        "{}\nThe profile is in {out}. Load it with `ioProfile = {out}` in the broker's configuration file.\n",
        iotune::report(&measured, &advice),
        // The broker is started elsewhere.
        out = std::path::absolute(&args.out).unwrap_or_else(|_| args.out.clone()).display()
    );
    // Nobody reads it: the profile has it all.
    drop(stdout().write_all(report.as_bytes()));
    Ok(())
}

/// Sets `stop` at the first signal; a second one ends the process.
fn stop_on_signal(mut signals: StopSignals, stop: Arc<AtomicBool>) -> Result<(), IotuneError> {
    let body = move || {
        if let Some(StopSignal::Terminate | StopSignal::Interrupt) = signals.wait() {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let thread = std::thread::Builder::new().name("stop".to_owned()).spawn(body);
    thread.map(drop).map_err(IotuneError::Thread)
}

/// Writes the profile; never over a file that came meanwhile, unless told to.
fn save(path: &Path, text: &str, force: bool) -> Result<(), IotuneError> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| IotuneError::File {
        path: path.to_owned(),
        doing: "writing the profile",
        source,
    })
}
