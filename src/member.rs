//! One process of a cluster on this machine: what `mqnamesrv` and `mqbroker` do, in this program, so that there is one to build.

use std::path::PathBuf;

use broker::boot::{self, BootError, ConfigFile, FileError};
use broker::config::LoadError;
use clap::{Args, ValueEnum};
use runtime::IoError;

use crate::names::{self, NameServer};

/// What it is, and how it is configured.
#[derive(Args)]
pub struct Member {
    /// What it is
    role: Role,
    /// Its configuration
    #[arg(short = 'c', long = "configFile", value_name = "FILE")]
    config: PathBuf,
}

/// What a process of a cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// A NameServer.
    Namesrv,
    /// A broker.
    Broker,
}

impl Role {
    /// As it stands on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Namesrv => "namesrv",
            Self::Broker => "broker",
        }
    }
}

/// Why it ends with an error. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the configuration does not start a broker:\n{0}")]
    Broker(#[from] LoadError),
    #[error("the configuration does not start a NameServer:\n{0}")]
    NameServer(#[from] config::ConfigErrors),
    #[error(transparent)]
    Signals(#[from] IoError),
    #[error(transparent)]
    Boot(#[from] BootError),
    #[error(transparent)]
    Names(#[from] names::Failure),
}

/// Serves until the process is told to stop. Blocks the calling thread.
///
/// # Errors
/// It does not start, or does not end in good order.
pub fn run(member: &Member) -> Result<(), Failure> {
    let file = ConfigFile::read(&member.config)?;
    match member.role {
        Role::Broker => broker(&file),
        Role::Namesrv => name_server(&file),
    }
}

fn broker(file: &ConfigFile) -> Result<(), Failure> {
    let loaded = boot::load(&[], Some(file), &[])?;
    loaded.log_warnings();
    let config = loaded.config()?;
    let signals = runtime::process::stop_signals_second_ends("turbopump")?;
    Ok(boot::serve(config, signals)?)
}

fn name_server(file: &ConfigFile) -> Result<(), Failure> {
    let name = file.path.display().to_string();
    let (config, _, warnings) = namesrv::Config::load(Some((&name, &file.text)))?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let mut signals = runtime::process::stop_signals_second_ends("turbopump")?;
    let server = NameServer::start(config)?;
    let signal = signals.wait();
    tracing::info!(signal = signal.map(tracing::field::display), "stopping");
    Ok(server.stop()?)
}
