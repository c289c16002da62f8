//! `turbopump cluster`: groups of three brokers with their NameServers on this machine, each a process of its own, so that one
//! can be killed and another takes over. For trying things out: three disks and three machines are what replication is for.
//!
//! What belongs to a cluster is computed ([`layout`]); its directory has the rest ([`home`]). A process of it is whoever runs this
//! program with a configuration of that directory ([`processes`]): files with process ids are for people.

mod home;
mod layout;
mod ports;
mod processes;
mod shell;
mod start;
mod state;
mod stop;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use runtime::IoError;
use runtime::fs::LockError;

use home::Home;

/// A replicated cluster on this machine.
#[derive(Args)]
pub struct Cluster {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start what does not run, wait until every group has a leader and all its members, and show it
    Start(Start),
    /// Show the processes and the groups; exit code 0 if all run and every group has a leader
    Status(Place),
    /// Stop all its processes in good order; what is stored stays
    Stop(Place),
}

#[derive(Args)]
struct Place {
    /// Directory of the cluster; `start` makes it if it is not there
    #[arg(long, value_name = "DIR", default_value = "./data-cluster")]
    data: PathBuf,
}

/// Options of `start`. What a cluster is made with stays: later starts need none of them.
#[derive(Args)]
struct Start {
    #[command(flatten)]
    place: Place,
    /// Groups of three brokers, 1 or 2; each brings a NameServer (1)
    #[arg(long, value_name = "N")]
    groups: Option<String>,
    /// Port of the first NameServer; the next one has the next (9876)
    #[arg(long, value_name = "PORT")]
    namesrv_port: Option<String>,
    /// Port for clients of the first broker; those of its group are 10 apart, groups 1000 (30911)
    #[arg(long, value_name = "PORT")]
    listen_port: Option<String>,
    /// Port for the group of the first broker; those of its group are 1 apart, groups 1000 (40911)
    #[arg(long, value_name = "PORT")]
    raft_port: Option<String>,
}

impl Start {
    /// The options that were given, with their values.
    fn given(&self) -> Vec<(&'static str, &str)> {
        let values = [&self.groups, &self.namesrv_port, &self.listen_port, &self.raft_port];
        let all = layout::OPTIONS.iter().zip(values);
        all.filter_map(|((option, _), value)| Some((*option, value.as_deref()?))).collect()
    }
}

/// Why a command is not done. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A directory that cannot be one's.
    #[error("{} cannot be the directory of a cluster: {reason}; --data sets it", .path.display())]
    Dir { path: PathBuf, reason: String },
    #[error(
        "there is no cluster in {}: `turbopump cluster start` makes one, and --data says where", .dir.display()
    )]
    NoCluster { dir: PathBuf },
    #[error(
        "{option} {asked}, but the cluster in {} was made with {is}: leave the option out, or choose another directory with \
         --data, or stop that cluster and remove its directory", .dir.display()
    )]
    Another { option: &'static str, asked: u16, is: u16, dir: PathBuf },
    #[error(transparent)]
    Config(#[from] config::ConfigErrors),
    #[error(transparent)]
    Setting(#[from] config::ConfigError),
    #[error("{}; somebody else starts or stops this cluster", .0)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Io(#[from] IoError),
    #[error(transparent)]
    Executor(#[from] runtime::executor::StartError),
    /// Ports that somebody else has, a line each.
    #[error("{0}")]
    Ports(String),
    #[error("{name} has ended: {words}\nits log is {}", .log.display())]
    Ended { name: String, words: String, log: PathBuf },
    #[error(
        "the cluster is not complete after {seconds} s; its processes run on. `turbopump cluster status` shows what is missing, \
         the logs are in {}/*/log", .dir.display()
    )]
    Late { seconds: u64, dir: PathBuf },
    #[error("interrupted")]
    Interrupted,
    #[error("{why}\nwhat this command started is stopped again")]
    TakenBack { why: Box<ClusterError> },
    #[error("{why}\nwhat this command started is not all stopped again: {left}")]
    NotTakenBack { why: Box<ClusterError>, left: Box<ClusterError> },
    #[error(
        "{names} still run after {after:?}: look into {}/*/log; `kill -9` ends one all the same, and loses nothing that was \
         acknowledged", .dir.display()
    )]
    RunOn { names: String, after: Duration, dir: PathBuf },
}

/// Carries a command out, and says what came of it on the standard output.
///
/// # Errors
/// [`ClusterError`]; what was done before stays, and the command may be called again.
pub fn run(cluster: &Cluster) -> Result<ExitCode, ClusterError> {
    let Cluster { command } = cluster;
    // Nobody else is served by this executor: it may wait for files and processes.
    runtime::block_on("cluster", async {
        match command {
            Command::Start(start) => {
                start::run(Home::at(&start.place.data)?, &start.given()).await?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Status(place) => state::run(&Home::at(&place.data)?.resolved()?).await,
            Command::Stop(place) => {
                stop::run(&Home::at(&place.data)?.resolved()?).await?;
                Ok(ExitCode::SUCCESS)
            }
        }
    })?
}
