//! `mqstore check|dump|repair DIR`: looks into the store of a broker that does not run.

#![forbid(unsafe_code)]

mod check;
mod compare;
mod dump;
mod escape;
mod output;
mod repair;
mod time;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use runtime::{Placement, Spec};
use storage::inspect::{CompareError, InspectError, MendError, Place, stores_below};

use crate::output::Closed;

/// Looks into the store of a broker that does not run: is it intact, what is in it, what can be repaired
///
/// The broker must be stopped. DIR is what storePathRootDir says; with several shards each is looked at in turn.
/// The exit code is 0 if all is as it should be, 1 if something is damaged, 2 if nothing could be looked at.
#[derive(Parser)]
#[command(name = "mqstore", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Reads everything and says what is intact and what is not. Changes nothing
    Check(check::CheckArgs),
    /// Prints entries, messages, checkpoints or index files. Changes nothing
    Dump(dump::DumpArgs),
    /// Says what can be repaired, and does it with --yes
    Repair(repair::RepairArgs),
}

/// Where the store is.
#[derive(Args)]
struct StoreArgs {
    /// Directory of the store, as storePathRootDir says
    dir: PathBuf,

    /// Directory of its log, as storePathCommitLog says; without it `log` in the store's
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
}

/// Why nothing could be looked at, or not all.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Inspect(#[from] InspectError),
    #[error(transparent)]
    Compare(#[from] CompareError),
    #[error("{} holds the stores of {shards} shards, {} those of {others}; name the stores of replicas of one broker", .dir.display(), .other.display())]
    ShardCounts { dir: PathBuf, shards: usize, other: PathBuf, others: usize },
    #[error("{} is named twice; name the stores of different members", .dir.display())]
    Twice { dir: PathBuf },
    #[error(
        "--log-dir is given {given} times, for {dirs} stores; give it once for each, in their order, or not at all"
    )]
    LogDirs { given: usize, dirs: usize },
    #[error(transparent)]
    Mend(#[from] MendError),
    #[error(transparent)]
    Io(#[from] runtime::IoError),
    #[error("{} holds the stores of {shards} shards; name the one that is meant, such as {}/shard-0", .dir.display(), .dir.display())]
    WhichShard { dir: PathBuf, shards: usize },
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// What a command comes to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Intact,
    Damaged,
}

const CANNOT_LOOK: u8 = 2;

fn main() -> ExitCode {
    let CommandLine { command } = CommandLine::parse();
    runtime::process::abort_on_panic();
    let spec = Spec { name: "mqstore".to_owned(), placement: Placement::Any, busy_poll: None };
    let ran = runtime::start(spec, move || async move {
        match command {
            Command::Check(args) => check::run(&args).await,
            Command::Dump(args) => dump::run(&args).await,
            Command::Repair(args) => repair::run(&args).await,
        }
    });
    let outcome = match ran.map(runtime::Executor::join) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => return refuse(&error),
        Err(error) => return refuse(&error),
    };
    match outcome {
        // Whoever reads the output has seen enough.
        Ok(Outcome::Intact) | Err(Failure::Closed(_)) => ExitCode::SUCCESS,
        Ok(Outcome::Damaged) => ExitCode::FAILURE,
        Err(failure) => refuse(&failure),
    }
}

fn refuse(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("mqstore: {error}");
    ExitCode::from(CANNOT_LOOK)
}

impl StoreArgs {
    /// All stores there: one, or one of each shard.
    async fn places(&self) -> Result<Vec<Place>, Failure> {
        places(&self.dir, self.log_dir.as_deref()).await
    }

    /// The one store that is meant.
    async fn place(&self) -> Result<Place, Failure> {
        let mut places = self.places().await?;
        if places.len() > 1 {
            return Err(Failure::WhichShard { dir: self.dir.clone(), shards: places.len() });
        }
        Ok(places.pop().expect("there is always one to look at"))
    }
}

/// All stores in `dir`, with their logs in `log_dir` if that is given: one, or one of each shard.
async fn places(dir: &Path, log_dir: Option<&Path>) -> Result<Vec<Place>, Failure> {
    let dirs = stores_below(dir).await?;
    let below = |store: &Path| store.strip_prefix(dir).map(Path::to_owned).unwrap_or_default();
    let log_of = |store: &Path| log_dir.map(|log| log.join(below(store)));
    Ok(dirs.into_iter().map(|dir| Place { log_dir: log_of(&dir), dir }).collect())
}
