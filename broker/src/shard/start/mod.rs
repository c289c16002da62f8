//! How a shard starts, runs and stops.

mod error;
mod lives;

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, select_biased};
use raft::Lineage;
use runtime::channel::{Closed, Promise, PromiseReceiver, oneshot};
use runtime::{Instant, Task};
use storage::{Applier, EntryLog, Event, Events, Opening, Recovery, Store};
use transport::{BindError, Limits, NoRequests, Server};

use super::completions::{Afterwards, Completion};
use super::dispatch::Requests;
use super::identity::Identity;
use super::recovery;
use super::replica::member::Member;
use super::replica::office;
use super::reply::Refusal;
use super::siblings::{self, Mailbox};
use super::{
    Phase, Shard, admin, apply, clients, long_poll, notices, offset_questions, offsets, register,
    retention, topic_rules, topics,
};
use crate::config::{Config, GroupLayout};
use crate::limits::DRAIN;
pub use error::StartError;
use lives::Lives;

/// What a shard is started with. It is made on the thread that starts the executor.
pub struct Start {
    /// The broker's configuration.
    pub config: Arc<Config>,
    /// The shard's number.
    pub number: u32,
    /// The address that clients dial, without the port.
    pub advertised: IpAddr,
    /// Its Raft group, if the configuration has groups.
    pub group: Option<GroupLayout>,
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

/// How long a life that follows another one waits for its ports, which are nobody's in between: a connection of another process, for
/// which Linux looks for a port, may have got one.
const PORTS_COME_BACK: Duration = Duration::from_secs(10);
/// Time between two attempts.
const PORT_AGAIN: Duration = Duration::from_millis(200);

/// Whether a shard has lived before in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It has not.
    First,
    /// It has, and goes on with another log.
    Next,
}

impl Life {
    /// Has a port bound: at once, or in a life that follows another as soon as it can be had.
    ///
    /// # Errors
    /// What `bind` says, at last.
    pub(super) async fn bind<T, E: Display>(
        self,
        shard: &Shard,
        bind: impl AsyncFn() -> Result<T, E>,
    ) -> Result<T, E> {
        let (began, mut told) = (runtime::now(), false);
        loop {
            let error = match bind().await {
                Err(error) if self == Self::Next && began.elapsed() < PORTS_COME_BACK => error,
                bound => return bound,
            };
            if !told {
                tracing::warn!(
                    shard = %shard.identity.name, %error,
                    "another process has taken a port of this shard while it opened its log again; it is waited for, at most \
                     {PORTS_COME_BACK:?}. net.ipv4.ip_local_reserved_ports keeps ports free"
                );
                told = true;
            }
            runtime::sleep(PORT_AGAIN).await;
        }
    }
}

/// How a shard's life ended.
enum End {
    /// As it was told.
    Stopped,
    /// The log is to be opened again: a snapshot of the group takes the place of what was there.
    Again,
    /// The log is to be opened again, and made that of the group which this member becomes by force.
    Recover(raft::Recovery),
    /// The group goes on without this member.
    GivenUp(Lineage),
}

/// A store whose log was read, and the shard over it.
struct Opened {
    shard: Rc<Shard>,
    events: Events,
    recovery: Recovery,
    /// What makes it a member of a group.
    member: Option<(EntryLog, Applier)>,
}

/// Runs a shard on the current executor, until it is told to stop. One that has served and cannot go on says why, and leaves the
/// other shards of the broker alone.
///
/// # Errors
/// [`StartError`], before it has served anything, and after the stop if it could not go on; `ToldToStop` when the stop came during
/// recovery.
///
/// # Panics
/// If the configuration has Raft groups and `start` none, or the other way round: the one copy here would not be what its
/// operator takes for stored.
pub async fn run(start: Start) -> Result<(), StartError> {
    run_seen(start, |_| {}).await
}

/// The same, and shows the shard to `seen` once its log is read, in each of its lives: for whoever compares what shards have come to.
///
/// # Errors
/// As [`run`].
///
/// # Panics
/// As [`run`].
pub async fn run_seen(start: Start, seen: impl Fn(&Rc<Shard>)) -> Result<(), StartError> {
    let Start { config, number, advertised, group, mailbox, ready, mut stop } = start;
    assert_eq!(
        config.raft_group.is_some(),
        group.is_some(),
        "groups are where they are configured"
    );
    let (mailbox, ready) = (Rc::new(mailbox), Some(ready));
    let mut one = Lives { config, number, advertised, group, mailbox: Rc::clone(&mailbox), ready };
    let ended = one.run(&mut stop, &seen).await;
    let has_served = one.ready.is_none();
    match &ended {
        // What it has is not the group's any more: nobody is to read it here.
        Ok(End::GivenUp(_)) => {}
        Err(error) if has_served && !matches!(error, StartError::ToldToStop) => {
            one.tell_gone(error);
        }
        Err(error) if error.is_of_the_store() => {
            mailbox.tell_gone();
            return ended.map(drop);
        }
        Ok(_) | Err(_) => return ended.map(drop),
    }
    mailbox.tell_gone();
    select_biased! {
        _ = (&mut stop).fuse() => ended.map(drop),
        () = mailbox.discard().fuse() => unreachable!("it never ends"),
    }
}

/// A shard's life from when its log is read to when its store is stopped.
async fn live(
    opened: Opened,
    (life, recovery): (Life, Option<raft::Recovery>),
    (ready, stop): (&mut Option<Promise<Started>>, &mut PromiseReceiver<()>),
) -> Result<End, StartError> {
    let Opened { shard, events, recovery: read, member } = opened;
    shard.phase.set(Phase::Serving);
    let applying = runtime::spawn(apply::run(Rc::clone(&shard), events));
    let member = match member {
        Some((log, applier)) => {
            match Member::start(&shard, life, (log, applier), recovery.as_ref()).await {
                Ok(member) => Some(member),
                Err(error) => {
                    abandon(&shard, None).await; // its files are free then, to be repaired
                    applying.await;
                    return Err(error);
                }
            }
        }
        None => {
            seed(&shard).await?;
            None
        }
    };
    let server = match serve(&shard, life).await {
        Ok(server) => server,
        Err(error) => {
            abandon(&shard, member).await;
            applying.await;
            return Err(error);
        }
    };
    let tasks = background(&shard);
    register::start(&shard);
    tell_success(&shard);
    let started = Started { identity: shard.identity.clone(), clean: read.clean || read.new };
    if let Some(ready) = ready.take() {
        // Nobody may be waiting: a shard runs without a spectator too.
        drop(ready.fulfil(started));
    }
    let ended = async {
        match &member {
            Some(member) => ended(&shard, member).await,
            None => std::future::pending().await,
        }
    };
    let end = select_biased! {
        // A promise that was dropped is a stop as well: whoever could tell has gone.
        told = stop.fuse() => match told {
            Ok(()) | Err(Closed) => End::Stopped,
        },
        end = ended.fuse() => end,
    };
    halt(&shard, server, tasks, member).await;
    applying.await;
    tell_end(&shard, &end);
    Ok(end)
}

/// Why a member does not go on as it is.
async fn ended(shard: &Shard, member: &Member) -> End {
    let replica = shard.replica.as_ref().expect("it is a member of a group");
    select_biased! {
        () = member.restart_wanted().fuse() => End::Again,
        recovery = replica.forced.wanted().fuse() => End::Recover(recovery),
        by = member.given_up().fuse() => End::GivenUp(by),
    }
}

fn tell_end(shard: &Shard, end: &End) {
    let name = &shard.identity.name;
    match end {
        End::Stopped => tracing::info!(shard = %name, "shard stopped"),
        End::Again => tracing::info!(
            shard = %name,
            "the log is opened again: this member is too far behind, and has got a snapshot from the leader"
        ),
        End::Recover(_) => {
            tracing::warn!(shard = %name, "the log is opened again, for the recovery of the group by force");
        }
        End::GivenUp(by) => tracing::error!(
            shard = %name, store = %shard.identity.dir.display(),
            "shard stopped for good: its group was {by} without this store, which was given up. Stop this broker. `mqstore dump` reads what \
             the store has; with an empty storePathRootDir the node joins the group again (`mqadmin addLearner` and `promote`, or \
             `replaceMember`)"
        ),
    }
}

/// Opens the store and builds the shard's state from it.
async fn open(
    config: Arc<Config>,
    identity: Identity,
    mailbox: Rc<Mailbox>,
    group: Option<GroupLayout>,
) -> Result<Opened, StartError> {
    let (dir, log_dir) = (identity.dir.clone(), identity.log_dir.clone());
    let options = config.store_options(dir, log_dir, identity.number);
    let began = runtime::now();
    let (shard, mut events, opening) = match group {
        None => {
            let (store, events) = Store::open(options).await?;
            (Shard::new(config, identity, store, mailbox), events, None)
        }
        Some(layout) => {
            let (store, events, opening) = Store::open_member(options).await?;
            let shard = Shard::new(config, identity, store, mailbox).in_group(layout);
            (shard, events, Some(opening))
        }
    };
    let shard = Rc::new(shard);
    // Files for segments to come are made from the end of the recovery on: not where there is no room for them. Where
    // nobody knows, the first round says so.
    drop(retention::look(&shard).await);
    let recovery = apply::recover(&shard, &mut events).await?;
    tell_recovery(&shard, &recovery, began);
    let member = match opening {
        None => None,
        Some(opening) => Some(member_of(opening, &mut events).await?),
    };
    Ok(Opened { shard, events, recovery, member })
}

/// The log of a member that was read, and the one who applies it.
async fn member_of(
    opening: Opening,
    events: &mut Events,
) -> Result<(EntryLog, Applier), StartError> {
    if let Some(member) = opening.ready().await {
        return Ok(member);
    }
    loop {
        match events.next().await {
            Event::Failed(error) => return Err(error.into()),
            Event::StateWanted(_) | Event::Warned(_) => {}
            event => panic!("a log that was not opened has failed: {event:?}"),
        }
    }
}

/// Tries the port before the store is touched: a clash is told at once, and leaves nothing behind.
async fn check_port(identity: &Identity) -> Result<(), BindError> {
    let tried = Server::bind(identity.listen, Limits::default(), Rc::new(NoRequests)).await;
    tried.map(drop)
}

fn tell_recovery(shard: &Shard, recovery: &Recovery, began: Instant) {
    let how = recovery::in_words(recovery, shard.replica.is_some());
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
    put_system_topics(shard).map_err(|refusal| StartError::Seed { remark: refusal.remark })?;
    let (done, wait) = oneshot();
    shard.afterwards(Afterwards::Wake(done));
    wait.await.map_err(|_| StartError::Seed { remark: "the log has failed, see above".into() })
}

/// Appends the system topics that are missing.
///
/// # Errors
/// The log does not take them now.
pub fn put_system_topics(shard: &Rc<Shard>) -> Result<(), Refusal> {
    let wanted = topic_rules::system_topics(&shard.config, &shard.identity.name);
    for topic in wanted {
        let known = shard.topics.borrow().find(&topic.name).cloned();
        // The template follows the configuration, the others may have been changed by an operator.
        let keep =
            known.is_some_and(|known| *known == topic || topic.name != model::topic::AUTO_CREATE);
        if !keep {
            topics::put(shard, topic, Completion::Silent)?;
        }
    }
    Ok(())
}

async fn serve(shard: &Rc<Shard>, life: Life) -> Result<Server, StartError> {
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
    let listen = shard.identity.listen;
    let bind = async || Server::bind(listen, limits.clone(), Rc::clone(&service)).await;
    let server = life.bind(shard, bind).await?;
    server.serve();
    Ok(server)
}

/// The tasks that a shard has for its whole life. Dropping them ends them.
fn background(shard: &Rc<Shard>) -> Vec<Task<()>> {
    vec![
        runtime::spawn(offsets::propose_regularly(Rc::clone(shard))),
        runtime::spawn(offset_questions::run(Rc::clone(shard))),
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
///
/// A member of a group hands leadership over first, so that others take messages while it still answers.
async fn halt(shard: &Rc<Shard>, server: Server, tasks: Vec<Task<()>>, member: Option<Member>) {
    tracing::info!(shard = %shard.identity.name, "shard stops");
    if shard.phase.get() != Phase::Failed {
        shard.phase.set(Phase::Stopping);
    }
    long_poll::release(shard);
    if let Some(member) = &member {
        member.retire(shard).await;
    }
    register::unregister(shard).await;
    server.shutdown(DRAIN).await;
    drop(tasks);
    notices::last(shard);
    match member {
        Some(member) => member.stop(shard).await,
        None => offsets::propose_all(shard).await,
    }
    shard.store.stop().await;
}

/// Ends a shard that nobody can reach. A member that were merely dropped would go on by itself, and might be elected.
async fn abandon(shard: &Rc<Shard>, member: Option<Member>) {
    shard.phase.set(Phase::Stopping);
    if let Some(member) = member {
        office::retire(shard);
        member.stop(shard).await;
    }
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
