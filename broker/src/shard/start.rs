//! How a shard starts, runs and stops.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use futures::{FutureExt, select_biased};
use runtime::channel::{Closed, Promise, PromiseReceiver, oneshot};
use runtime::{Instant, Task};
use storage::{Events, OpenError, Recovery, Store, StoreError};
use thiserror::Error;
use transport::{BindError, Limits, NoRequests, Server};

use super::commands::CommandError;
use super::completions::{Afterwards, Completion};
use super::dispatch::Requests;
use super::identity::Identity;
use super::siblings::{self, Mailbox};
use super::state::StateError;
use super::{
    Phase, Shard, admin, apply, clients, long_poll, notices, offsets, register, retention,
    topic_rules, topics,
};
use crate::config::Config;
use crate::limits::DRAIN;

/// What a shard is started with. It is made on the thread that starts the executor.
pub struct Start {
    /// The broker's configuration.
    pub config: Arc<Config>,
    /// The shard's number.
    pub number: u32,
    /// The address that clients dial, without the port.
    pub advertised: IpAddr,
    /// The shard's end of the mailboxes.
    pub mailbox: Mailbox,
    /// Told when the shard serves. When it is dropped, [`run`] has an error.
    pub ready: Promise<Started>,
    /// Ends the shard in good order, or its recovery at once.
    pub stop: PromiseReceiver<()>,
}

/// A shard that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Who it is.
    pub identity: Identity,
    /// Whether the store was stopped in order before, or is new.
    pub clean: bool,
}

/// Why a shard does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The store.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log.
    #[error(transparent)]
    Log(#[from] StoreError),
    /// Metadata in the log.
    #[error("the log cannot be understood: {0}")]
    Command(#[from] CommandError),
    /// What the shard gave for a checkpoint.
    #[error("the checkpoint cannot be understood: {0}")]
    State(#[from] StateError),
    /// The port.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// It was told to stop while it read its log.
    #[error("it was told to stop before it served")]
    ToldToStop,
    /// The system topics.
    #[error("the system topics cannot be created: {remark}")]
    Seed {
        /// Why.
        remark: String,
    },
}

/// Runs a shard on the current executor, until it is told to stop.
///
/// # Errors
/// [`StartError`], before it has served anything; `ToldToStop` when the stop came during recovery.
pub async fn run(start: Start) -> Result<(), StartError> {
    let Start { config, number, advertised, mailbox, ready, mut stop } = start;
    let identity = Identity::of(&config, number, advertised);
    // A long recovery is given up when the stop comes: nothing was served, the next start begins it again.
    let (shard, events, recovery) = select_biased! {
        _ = (&mut stop).fuse() => return Err(StartError::ToldToStop),
        opened = open(config, identity, mailbox).fuse() => opened?,
    };
    shard.phase.set(Phase::Serving);
    let applying = runtime::spawn(apply::run(Rc::clone(&shard), events));
    seed(&shard).await?;
    let server = serve(&shard).await?;
    let tasks = background(&shard);
    register::start(&shard);
    tell_success(&shard);
    let started =
        Started { identity: shard.identity.clone(), clean: recovery.clean || recovery.new };
    // Nobody may be waiting: a shard runs without a spectator too.
    drop(ready.fulfil(started));
    // A promise that was dropped is a stop as well: whoever could tell has gone.
    match stop.await {
        Ok(()) | Err(Closed) => {}
    }
    halt(&shard, server, tasks).await;
    applying.await;
    tracing::info!(shard = %shard.identity.name, "shard stopped");
    Ok(())
}

/// Opens the store and builds the shard's state from it.
async fn open(
    config: Arc<Config>,
    identity: Identity,
    mailbox: Mailbox,
) -> Result<(Rc<Shard>, Events, Recovery), StartError> {
    check_port(&identity).await?;
    let (dir, log_dir) = (identity.dir.clone(), identity.log_dir.clone());
    let options = config.store_options(dir, log_dir, identity.number);
    let began = runtime::now();
    let (store, mut events) = Store::open(options).await?;
    let shard = Rc::new(Shard::new(config, identity, store, mailbox));
    // Files for segments to come are made from the end of the recovery on: not where there is no room for them. Where
    // nobody knows, the first round says so.
    drop(retention::look(&shard).await);
    let recovery = apply::recover(&shard, &mut events).await?;
    tell_recovery(&shard, &recovery, began);
    Ok((shard, events, recovery))
}

/// Tries the port before the store is touched: a clash is told at once, and leaves nothing behind.
async fn check_port(identity: &Identity) -> Result<(), BindError> {
    let tried = Server::bind(identity.listen, Limits::default(), Rc::new(NoRequests)).await;
    tried.map(drop)
}

fn tell_recovery(shard: &Shard, recovery: &Recovery, began: Instant) {
    let how = match (recovery.new, recovery.clean) {
        (true, _) => "store created",
        (false, true) => "clean start",
        (false, false) if recovery.torn => {
            "unclean start, log recovered; an unfinished write at its end was cut. With SYNC_FLUSH \
             nothing acknowledged was in it, with ASYNC_FLUSH only a power cut can have taken some"
        }
        (false, false) => "unclean start, log recovered; nothing was cut",
    };
    tracing::info!(
        shard = %shard.identity.name,
        store = %shard.identity.dir.display(),
        entries = recovery.entries,
        messages = recovery.records,
        from = recovery.start.0,
        end = recovery.end.0,
        recovery = ?recovery.took,
        took = ?began.elapsed(),
        "{how}"
    );
}

/// The line that scripts for RocketMQ wait for, in its words (RocketMQ 5.5.0, class BrokerStartup).
fn tell_success(shard: &Shard) {
    let namesrvs = shard.config.namesrv_addrs.join(";");
    let namesrvs = match namesrvs.as_str() {
        "" => String::new(),
        addrs => format!(" and name server is {addrs}"),
    };
    let Identity { name, address, .. } = &shard.identity;
    tracing::info!("The broker[{name}, {address}] boot success. serializeType=JSON{namesrvs}");
}

/// Creates the system topics that are missing, and waits until they are committed.
async fn seed(shard: &Rc<Shard>) -> Result<(), StartError> {
    let wanted = topic_rules::system_topics(&shard.config, &shard.identity.name);
    for topic in wanted {
        let known = shard.topics.borrow().find(&topic.name).cloned();
        // The template follows the configuration, the others may have been changed by an operator.
        let keep =
            known.is_some_and(|known| *known == topic || topic.name != model::topic::AUTO_CREATE);
        if !keep {
            topics::put(shard, topic, Completion::Silent)
                .map_err(|refusal| StartError::Seed { remark: refusal.remark })?;
        }
    }
    let (done, wait) = oneshot();
    shard.afterwards(Afterwards::Wake(done));
    wait.await.map_err(|_| StartError::Seed { remark: "the log has failed, see above".into() })
}

async fn serve(shard: &Rc<Shard>) -> Result<Server, StartError> {
    let (files, most) = (runtime::process::open_files_limit(), Limits::default().max_connections);
    let max_connections = crate::limits::max_connections(files, shard.config.shards, most);
    if max_connections < most {
        tracing::info!(
            shard = %shard.identity.name, max_connections, open_files = files,
            "connections are limited, so that the log always has files to go on with. For more, raise the limit of open files \
             (`ulimit -n`, LimitNOFILE= of the service)"
        );
    }
    let limits = Limits { idle: shard.config.idle_timeout, max_connections, ..Limits::default() };
    let service = Rc::new(Requests(Rc::clone(shard)));
    let server = Server::bind(shard.identity.listen, limits, service).await?;
    server.serve();
    Ok(server)
}

/// The tasks that a shard has for its whole life. Dropping them ends them.
fn background(shard: &Rc<Shard>) -> Vec<Task<()>> {
    vec![
        runtime::spawn(offsets::propose_regularly(Rc::clone(shard))),
        runtime::spawn(long_poll::expire_regularly(Rc::clone(shard))),
        runtime::spawn(siblings::run(Rc::clone(shard))),
        runtime::spawn(clients::run(Rc::clone(shard))),
        runtime::spawn(admin::sample(Rc::clone(shard))),
        runtime::spawn(notices::run(Rc::clone(shard))),
        runtime::spawn(retention::run(Rc::clone(shard))),
    ]
}

/// The graceful stop: no new sends, what is under way is answered, consumer offsets and the log are
/// flushed.
async fn halt(shard: &Rc<Shard>, server: Server, tasks: Vec<Task<()>>) {
    tracing::info!(shard = %shard.identity.name, "shard stops");
    if shard.phase.get() != Phase::Failed {
        shard.phase.set(Phase::Stopping);
    }
    long_poll::release(shard);
    register::unregister(shard).await;
    server.shutdown(DRAIN).await;
    drop(tasks);
    notices::last(shard);
    offsets::propose_all(shard).await;
    shard.store.stop().await;
}

impl Identity {
    /// Where the log of shard `number` of a broker lies.
    #[must_use]
    pub fn log_dir_of(config: &Config, number: u32) -> std::path::PathBuf {
        use super::identity::shard_dir;
        match &config.log_dir {
            Some(log) => shard_dir(log, number, config.shards),
            None => shard_dir(&config.store_dir, number, config.shards).join("log"),
        }
    }

    /// Who shard `number` of a broker is, that clients reach at `advertised`.
    #[must_use]
    pub fn of(config: &Config, number: u32, advertised: IpAddr) -> Self {
        use super::identity::{shard_dir, shard_name, shard_port};
        let dir = shard_dir(&config.store_dir, number, config.shards);
        let log_dir = Self::log_dir_of(config, number);
        let port = shard_port(config.listen_port, config.shard_port_stride, number)
            .expect("the configuration checks the ports of all shards");
        Self {
            number,
            shards: config.shards,
            name: shard_name(&config.broker_name, number),
            cluster: config.cluster.clone(),
            listen: SocketAddr::new(config.bind_address.into(), port),
            address: SocketAddr::new(advertised, port),
            dir,
            log_dir,
        }
    }
}
