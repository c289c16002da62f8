//! From a configuration to running shards, and back: what `mqbroker` and the standalone process share.
//!
//! Everything here runs on the main thread and blocks it. Each shard is an executor of its own, pinned to a core of
//! its own; the main thread only starts them, waits for a signal, and stops them.

mod address;
mod groups;
mod layout;
mod load;
mod log;
mod ports;
mod ready;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use runtime::channel::{Closed, Promise, PromiseReceiver, promise};
use runtime::process::{StopSignal, StopSignals};
use runtime::{Executor, Placement, Spec};
use thiserror::Error;
use tracing::field::display;

pub use address::{AddressError, check_reachable};
pub use groups::GroupError;
pub use layout::LayoutError;
pub use load::{ConfigFile, FileError, Loaded, load};
pub use log::log_to_stdout;
pub use ports::PortError;

use crate::config::{Config, GroupLayout};
use crate::shard::identity::shard_dir;
use crate::shard::siblings::{Mailbox, mailboxes};
use crate::shard::{self, Start, Started};

/// Why the broker does not start or does not stop in good order. Each message says what to do.
#[derive(Debug, Error)]
pub enum BootError {
    /// This machine, or its limits.
    #[error(transparent)]
    Probe(#[from] runtime::probe::ProbeError),
    /// The value of a setting does not fit this machine.
    #[error("{source}; {handle} sets it")]
    Setting {
        /// Why.
        source: runtime::probe::ProbeError,
        /// What sets it.
        handle: String,
    },
    /// The ports.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The executors.
    #[error(transparent)]
    Executor(#[from] runtime::executor::StartError),
    /// A thread that ended without saying why.
    #[error(transparent)]
    Died(#[from] runtime::executor::JoinError),
    /// The members of the Raft groups.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The address for clients.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The directories.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A shard.
    #[error("shard {number}: {source}")]
    Shard {
        /// Which one.
        number: u32,
        /// Why.
        #[source]
        source: shard::StartError,
    },
}

impl BootError {
    /// Whether the store of one shard is at fault.
    fn is_of_one_store(&self) -> bool {
        matches!(self, Self::Shard { source, .. } if source.is_of_the_store())
    }
}

/// A broker whose shards serve.
pub struct Broker {
    config: Arc<Config>,
    shards: Vec<Running>,
    /// Why some do not.
    given_up: Vec<BootError>,
    signals: StopSignals,
}

/// A shard from outside.
struct Running {
    started: Started,
    stop: Promise<()>,
    executor: Executor<Result<(), shard::StartError>>,
}

/// A shard that may not serve yet.
struct Starting {
    number: u32,
    stop: Promise<()>,
    executor: Executor<Result<(), shard::StartError>>,
}

/// Starts the shards and returns when all serve. `None` when one of `signals` came before: everything is stopped again
/// then, and a recovery that is under way is given up.
///
/// With Raft groups a shard whose store does not open is given up, and the others serve: their groups are not to lose a member too.
///
/// # Errors
/// [`BootError`] of the first shard that does not start, and is not given up; those that did are stopped again. All do not start.
pub fn start(config: Config, signals: StopSignals) -> Result<Option<Broker>, BootError> {
    let config = Arc::new(config);
    let cores = examine(&config)?;
    let groups = groups::settle(&config)?;
    examine_directories(&config)?;
    let count = cores.len();
    let advertised = prepare(&config)?;
    tell(&config, advertised, &cores);
    let (mut starting, mut promised) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut failure = None;
    let mut groups = groups.into_iter().flatten();
    for ((number, core), mailbox) in (0..).zip(cores).zip(mailboxes(config.shards)) {
        match start_shard(&config, (number, core), advertised, groups.next(), mailbox) {
            Ok((shard, ready)) => {
                starting.push(shard);
                promised.push(ready);
            }
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    let (ready, signals) = match ready::wait(promised, signals)? {
        (ready::Outcome::All(ready), signals) => (ready, signals),
        (ready::Outcome::Told(signal), _) => {
            let signal = signal.map(display);
            tracing::info!(signal, "stopping before all shards serve");
            return give_up(starting, failure).map(|()| None);
        }
    };
    let (mut shards, mut given_up) = (Vec::with_capacity(count), Vec::new());
    for (shard, ready) in starting.into_iter().zip(ready) {
        match running(shard, ready) {
            Ok(running) => shards.push(running),
            Err(error) if config.raft_group.is_some() && error.is_of_one_store() => {
                given_up.push(error);
            }
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    if failure.is_none() && shards.is_empty() {
        failure = given_up.drain(..).next();
    }
    if failure.is_none() {
        given_up.iter().for_each(|error| tell_given_up(&config, error));
    }
    let broker = Broker { config, shards, given_up, signals };
    match failure {
        None => Ok(Some(broker)),
        Some(error) => {
            if let Err(second) = broker.stop() {
                tracing::error!("{second}");
            }
            Err(error)
        }
    }
}

/// Starts a broker, serves until the process is told to stop, and stops in good order. Blocks the calling thread all that time.
///
/// # Errors
/// It does not start, or a shard does not end in good order.
pub fn serve(config: Config, signals: StopSignals) -> Result<(), BootError> {
    let Some(mut broker) = start(config, signals)? else {
        tracing::info!("stopped before it served");
        return Ok(());
    };
    for shard in broker.started() {
        let identity = &shard.identity;
        tracing::info!(
            broker = %identity.name, listen = %identity.listen, clients_dial = %identity.address, "the broker serves"
        );
    }
    check_reachable(broker.started());
    let signal = broker.wait_for_signal();
    tracing::info!(signal = signal.map(display), "stopping");
    broker.stop()?;
    tracing::info!("stopped in good order");
    Ok(())
}

/// Whether this machine can run such a broker, directories apart; the cores for its shards.
fn examine(config: &Arc<Config>) -> Result<Vec<usize>, BootError> {
    runtime::probe::probe(None)?;
    let count = usize::try_from(config.shards).expect("a small number");
    let cores = runtime::probe::cores_for(count).map_err(of(&config.handles.shards))?;
    look_at_ports(config)?;
    Ok(cores)
}

/// An error of the machine, with what sets the value that does not fit it.
fn of(handle: &str) -> impl FnOnce(runtime::probe::ProbeError) -> BootError {
    let handle = handle.to_owned();
    |source| BootError::Setting { source, handle }
}

/// Whether the directories can be a store's. Comes last: whoever is refused for another reason finds nothing made.
fn examine_directories(config: &Config) -> Result<(), BootError> {
    for (dir, handle) in directories(config) {
        let found = runtime::probe::probe(Some(dir)).map_err(of(handle))?;
        if let Some(kind) = found.memory_disk {
            tracing::warn!(
                "{} is on a {kind}, which is memory: what is stored there does not survive a restart of the machine; \
                 {handle} sets it",
                dir.display()
            );
        }
    }
    Ok(())
}

fn look_at_ports(config: &Arc<Config>) -> Result<(), BootError> {
    let kernel = runtime::process::ephemeral_ports();
    if let Some(line) = kernel.and_then(|kernel| ports::advice(config, &kernel)) {
        tracing::warn!("{line}");
    }
    let config = Arc::clone(config);
    let spec = Spec { name: "boot".to_owned(), placement: Placement::Any, busy_poll: None };
    Ok(runtime::start(spec, move || async move { ports::check(&config).await })?.join()??)
}

/// The directories, and what sets each.
fn directories(config: &Config) -> Vec<(&Path, &String)> {
    let mut dirs = vec![(config.store_dir.as_path(), &config.handles.store_dir)];
    dirs.extend(config.log_dir.iter().map(|dir| (dir.as_path(), &config.handles.log_dir)));
    dirs
}

/// What needs an executor before there is a shard: looking at directories, looking up a name.
fn prepare(config: &Arc<Config>) -> Result<Ipv4Addr, BootError> {
    let config = Arc::clone(config);
    let spec = Spec { name: "boot".to_owned(), placement: Placement::Any, busy_poll: None };
    let prepared = runtime::start(spec, move || async move {
        layout::check(&config).await?;
        Ok::<_, BootError>(address::advertised(&config).await?)
    })?;
    prepared.join()?
}

/// When messages are flushed.
fn flush_in_words(config: &Config) -> String {
    match config.flush {
        _ if config.raft_group.is_some() => "before a member acknowledges".to_owned(),
        storage::Flush::Sync => "SYNC_FLUSH".to_owned(),
        storage::Flush::Async { interval } => format!("ASYNC_FLUSH every {interval:?}"),
    }
}

fn tell(config: &Config, advertised: Ipv4Addr, cores: &[usize]) {
    let flush = flush_in_words(config);
    tracing::info!(
        broker = %config.broker_name, cluster = %config.cluster, shards = config.shards, ?cores,
        clients_dial = %advertised, store = %config.store_dir.display(), %flush,
        "broker starts; {}", shard::retention_rules::in_words(&config.retention)
    );
}

fn tell_given_up(config: &Config, error: &BootError) {
    let BootError::Shard { number, source } = error else {
        unreachable!("only shards are given up: {error}")
    };
    let store = shard_dir(&config.store_dir, *number, config.shards);
    tracing::error!(
        shard = number, store = %store.display(), error = %source,
        "this shard is given up, its store does not open: the others of this broker serve, and its group goes on without this member. Mend \
         what it says, and start the broker again"
    );
}

fn start_shard(
    config: &Arc<Config>,
    (number, core): (u32, usize),
    advertised: Ipv4Addr,
    group: Option<GroupLayout>,
    mailbox: Mailbox,
) -> Result<(Starting, PromiseReceiver<Started>), BootError> {
    let (promise_ready, ready) = promise();
    let (stop, told_to_stop) = promise();
    let start = Start {
        config: Arc::clone(config),
        number,
        advertised: advertised.into(),
        group,
        mailbox,
        ready: promise_ready,
        stop: told_to_stop,
    };
    let busy_poll = Some(config.io.busy_poll).filter(|time| !time.is_zero());
    let spec =
        Spec { name: format!("shard-{number}"), placement: Placement::Core(core), busy_poll };
    let executor = runtime::start(spec, move || shard::run(start))?;
    Ok((Starting { number, stop, executor }, ready))
}

/// A shard that serves, or why it does not.
fn running(starting: Starting, ready: Result<Started, Closed>) -> Result<Running, BootError> {
    let Starting { number, stop, executor } = starting;
    match ready {
        Ok(started) => Ok(Running { started, stop, executor }),
        Err(Closed) => {
            let source = executor.join()?;
            Err(BootError::Shard { number, source: source.expect_err("it did not become ready") })
        }
    }
}

/// Stops shards of which some may serve already.
///
/// # Errors
/// `failure`, or that of a shard that ended otherwise than as told.
fn give_up(starting: Vec<Starting>, failure: Option<BootError>) -> Result<(), BootError> {
    let mut stopping = Vec::with_capacity(starting.len());
    for Starting { number, stop, executor } in starting {
        if stop.fulfil(()).is_err() {
            tracing::debug!(shard = number, "the shard had ended before");
        }
        stopping.push((number, executor));
    }
    let ended = end(stopping);
    failure.map_or(ended, Err)
}

/// Waits for shards that were told to stop; the first error, when all have ended.
fn end(stopping: Vec<(u32, Executor<Result<(), shard::StartError>>)>) -> Result<(), BootError> {
    let mut failure = None;
    for (number, executor) in stopping {
        let ended = match executor.join() {
            Ok(Ok(()) | Err(shard::StartError::ToldToStop)) => Ok(()),
            Ok(Err(source)) => Err(BootError::Shard { number, source }),
            Err(error) => Err(error.into()),
        };
        failure = failure.or(ended.err());
    }
    failure.map_or(Ok(()), Err)
}

impl Broker {
    /// Blocks the calling thread until the process is told to stop.
    pub fn wait_for_signal(&mut self) -> Option<StopSignal> {
        self.signals.wait()
    }

    /// The shards that serve, in order.
    pub fn started(&self) -> impl Iterator<Item = &Started> {
        self.shards.iter().map(|shard| &shard.started)
    }

    /// The configuration it was started with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Stops all shards in good order: no new sends, what is under way is answered, everything is flushed, the
    /// NameServers are told. Takes some seconds at most.
    ///
    /// # Errors
    /// A shard that did not end in good order, or was given up; the others are stopped all the same.
    pub fn stop(self) -> Result<(), BootError> {
        let mut stopping = Vec::with_capacity(self.shards.len());
        for shard in self.shards {
            if shard.stop.fulfil(()).is_err() {
                tracing::debug!(shard = %shard.started.identity.name, "the shard had ended before");
            }
            stopping.push((shard.started.identity.number, shard.executor));
        }
        end(stopping)?;
        self.given_up.into_iter().next().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::of_text;

    #[test]
    fn the_flushing_of_a_group_is_not_told_as_that_of_a_broker_on_its_own() {
        let told = |more: &str| {
            let text = format!("flushDiskType=ASYNC_FLUSH\nbrokerName=b\n{more}");
            flush_in_words(&of_text(&text).expect("the configuration fits"))
        };
        assert_eq!(told("flushIntervalCommitLog=250"), "ASYNC_FLUSH every 250ms");
        let group = "enableDLegerCommitLog=true\ndLegerSelfId=n0\ndLegerPeers=n0-10.0.0.1:40911\n";
        assert_eq!(told(group), "before a member acknowledges");
    }
}
