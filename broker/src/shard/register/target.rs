//! One NameServer: its connection, and what it has not heard yet.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures::{FutureExt, select_biased};
use remoting::body::RegisterError;
use remoting::header::route::BrokerHeader;
use remoting::{Command, RequestCode, ResponseCode};
use runtime::channel::{Flag, Notify};
use runtime::{Instant, IoError};
use thiserror::Error;
use transport::{ConnectError, Connection, Limits, NoRequests, RequestError};

use super::super::Shard;
use super::super::topics::Version;
use super::away::Away;
use super::body::{Office, one_topic, register_command};
use super::permission;
use crate::limits::MAX_UNTOLD_TOPICS;

/// Pauses between two attempts to reach a NameServer that is down; the last one stays.
const RETRY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// A connection that was good for so long is made again at once: the NameServer has forgotten the broker with it, and clients miss
/// it. So it goes when a network is mended.
const GOOD: Duration = Duration::from_secs(5);
/// Less than so much is added to a pause.
const APART_MILLIS: u64 = 200;
/// Pause before one registers again that leads, and was not sure of it when it registered.
const IN_DOUBT: Duration = Duration::from_millis(200);
/// An old connection on which a new office is not answered for so long is given up for a new one: where a network was away for a while,
/// what TCP sends again comes as much later. On a new one a NameServer has `registerBrokerTimeoutMills`.
const SLOW: Duration = Duration::from_millis(200);
/// Pause before one registers again that has dialled anew.
const AFTER_SLOW: Duration = Duration::from_secs(1);
/// How long a NameServer may take for the good-bye.
const GOOD_BYE: Duration = Duration::from_secs(1);

/// A NameServer.
pub struct Target {
    /// `host:port` as configured; looked up at each attempt.
    addr: String,
    /// What it does not know yet.
    untold: RefCell<Untold>,
    wake: Notify,
    registered: Cell<bool>,
    /// As which replica the shard was last told to be there, since it said good-bye.
    told: Cell<Option<i64>>,
    /// Since when it cannot be used; `None` before the first attempt too.
    away: Cell<Option<Away>>,
}

/// What a NameServer does not know yet.
///
/// It takes a registration of one topic for a change, and any other for all topics that there are (RocketMQ 5.5.0,
/// RouteInfoManager with deleteTopicWithBrokerRegistration): nothing between may be sent. And it skips a topic that it
/// has when the version is the one that it has (isTopicConfigChanged): each change is told with its own.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Untold {
    /// These topics, each as of its change. The version after the last one is that of the table.
    Topics(VecDeque<(String, Version)>),
    /// More than that.
    All,
}

/// What it is told next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Nothing,
    One(String, Version),
    All,
}

impl Default for Untold {
    fn default() -> Self {
        Self::Topics(VecDeque::new())
    }
}

impl Untold {
    fn is_nothing(&self) -> bool {
        matches!(self, Self::Topics(topics) if topics.is_empty())
    }

    fn add(&mut self, topic: &str, version: Version) {
        match self {
            Self::Topics(topics) if topics.len() < MAX_UNTOLD_TOPICS => {
                topics.push_back((topic.to_owned(), version));
            }
            Self::Topics(_) | Self::All => *self = Self::All,
        }
    }

    /// Takes what is to be told next.
    fn next(&mut self) -> Next {
        match self {
            Self::Topics(topics) => match topics.pop_front() {
                Some((topic, version)) => Next::One(topic, version),
                None => Next::Nothing,
            },
            Self::All => {
                *self = Self::default();
                Next::All
            }
        }
    }
}

/// Why the shard is not registered.
#[derive(Debug, Error)]
enum Trouble {
    #[error(transparent)]
    Name(#[from] IoError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("it answers code {code}: {remark}")]
    Refused { code: i32, remark: String },
    #[error("{0} has no IPv4 address, and this broker dials no other; name one in namesrvAddr")]
    NoAddress(String),
    #[error("it closed the connection")]
    Closed,
    #[error("it does not answer on the connection that was there")]
    Slow,
    #[error(transparent)]
    Body(#[from] RegisterError),
}

impl Target {
    pub(super) fn new(addr: &str) -> Self {
        Self {
            addr: addr.to_owned(),
            untold: RefCell::default(),
            wake: Notify::new(),
            registered: Cell::new(false),
            told: Cell::default(),
            away: Cell::default(),
        }
    }

    pub(super) fn is_registered(&self) -> bool {
        self.registered.get()
    }

    /// The topic was changed, which made it this version of the table.
    pub(super) fn topic_changed(&self, topic: &str, version: Version) {
        self.untold.borrow_mut().add(topic, version);
        self.wake.notify_one();
    }

    pub(super) fn everything_changed(&self) {
        *self.untold.borrow_mut() = Untold::All;
        self.wake.notify_one();
    }

    /// It has taken a registration. One log line when it did not have the last one.
    fn is_there(&self, shard: &Shard) {
        let before = self.registered.replace(true);
        let away = self.away.take();
        assert!(!before || away.is_none(), "a NameServer is there or away");
        let (shard, namesrv) = (&shard.identity.name, &self.addr);
        match away {
            Some(away) => {
                let away = away.lasted(runtime::now());
                tracing::info!(%shard, %namesrv, ?away, "registered, the NameServer is there again");
            }
            None if !before => tracing::info!(%shard, %namesrv, "registered"),
            None => {}
        }
    }

    /// It cannot be used. One log line when that begins, and now and then while it lasts.
    fn is_away(&self, shard: &Shard, why: &Trouble) {
        self.registered.set(false);
        let now = runtime::now();
        let (shard, namesrv) = (&shard.identity.name, &self.addr);
        let Some(mut away) = self.away.get() else {
            self.away.set(Some(Away::since(now)));
            tracing::warn!(%shard, %namesrv, "not registered: {why}; it is tried again every few seconds");
            return;
        };
        if away.reminds(now) {
            let lasted = away.lasted(now);
            tracing::warn!(
                %shard, %namesrv, away = ?lasted,
                "still not registered: {why}. Clients that know only this NameServer do not find this broker. \
                 It is tried again every few seconds; start it, or take it out of namesrvAddr"
            );
        }
        self.away.set(Some(away));
    }
}

/// Keeps the shard registered at `target` until `stop` is raised; then says good-bye.
pub(super) async fn keep_registered(shard: Rc<Shard>, target: Rc<Target>, stop: Flag) {
    let (mut attempt, mut anew) = (0, false);
    while !stop.is_raised() {
        if shard.register_as().is_none() {
            select_biased! {
                () = stop.raised().fuse() => return,
                () = target.wake.notified().fuse() => continue,
            }
        }
        let began = runtime::now();
        let Err(trouble) = session(&shard, &target, &stop, anew).await else { continue };
        anew = matches!(trouble, Trouble::Slow);
        if anew {
            tracing::debug!(shard = %shard.identity.name, namesrv = %target.addr, "dialled anew: {trouble}");
            continue;
        }
        let was_good = target.is_registered() && began.elapsed() >= GOOD;
        if target.is_registered() {
            attempt = 0;
        }
        target.is_away(&shard, &trouble);
        let pause = pause_before(attempt, was_good);
        attempt += usize::from(!was_good);
        // The pauses of several brokers shall not fall together.
        let pause = pause + Duration::from_millis(runtime::random_below(APART_MILLIS));
        select_biased! {
            () = stop.raised().fuse() => {}
            () = runtime::sleep(pause).fuse() => {}
        }
    }
}

fn pause_before(attempt: usize, was_good: bool) -> Duration {
    if was_good { Duration::ZERO } else { RETRY[attempt.min(RETRY.len() - 1)] }
}

/// One connection, from dialling to its end. Ok at a graceful stop, and when the shard is not to be registered any more. `anew`: it takes
/// the place of one that was too slow.
async fn session(
    shard: &Rc<Shard>,
    target: &Target,
    stop: &Flag,
    anew: bool,
) -> Result<(), Trouble> {
    let dialled = select_biased! {
        () = stop.raised().fuse() => return Ok(()),
        dialled = dial(&target.addr).fuse() => dialled?,
    };
    let open = Closing(dialled);
    let connection = &open.0;
    let (dialled, mut due, mut is_new) = (runtime::now(), runtime::now(), anew);
    while let Some(office) = shard.register_as() {
        let full = runtime::now() >= due;
        let is_urgent = dialled.elapsed() >= GOOD && target.told.get() != Some(office.broker_id);
        let patience = if is_urgent { SLOW } else { shard.config.register_timeout };
        let sent = select_biased! {
            () = stop.raised().fuse() => break,
            sent = register(shard, target, connection, (office, full, patience)).fuse() => sent,
            () = outdated(shard, target, office).fuse() => Err(Trouble::Slow),
        };
        let is_slow = match &sent {
            Err(Trouble::Slow) => true,
            Err(Trouble::Request(RequestError::Timeout { .. })) => is_urgent,
            Ok(()) | Err(_) => false,
        };
        if is_slow {
            // What has not arrived must not do so later, and take the place of what is told on the next one.
            connection.abort();
            connection.closed().await;
            return Err(Trouble::Slow);
        }
        sent?;
        target.is_there(shard);
        if full {
            // The NameServer may forget the broker with the old connection only now.
            let again = std::mem::take(&mut is_new).then_some(AFTER_SLOW);
            due = runtime::now() + again.unwrap_or(shard.config.register_every);
        }
        if shard.is_in_doubt() {
            due = due.min(runtime::now() + IN_DOUBT);
        }
        if !wait(target, connection, stop, due).await? {
            break;
        }
    }
    good_bye(shard, target, connection).await
}

/// Waits until the shard is to be registered as another one than it just is, and that has taken too long.
async fn outdated(shard: &Shard, target: &Target, office: Office) {
    while shard.register_as() == Some(office) {
        target.wake.notified().await;
    }
    runtime::sleep(SLOW).await;
}

/// Closes the connection when the session ends, however it ends.
struct Closing(Connection);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

async fn dial(addr: &str) -> Result<Connection, Trouble> {
    let mut last: Option<ConnectError> = None;
    for dialled in runtime::resolve(addr).await?.into_iter().filter(SocketAddr::is_ipv4) {
        match transport::connect(dialled, Limits::default(), Rc::new(NoRequests)).await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| Trouble::NoAddress(addr.to_owned()), Trouble::Connect))
}

/// Waits for the next reason to register; false at a graceful stop.
async fn wait(
    target: &Target,
    connection: &Connection,
    stop: &Flag,
    due: Instant,
) -> Result<bool, Trouble> {
    if !target.untold.borrow().is_nothing() {
        return Ok(true);
    }
    select_biased! {
        () = stop.raised().fuse() => Ok(false),
        () = connection.closed().fuse() => Err(Trouble::Closed),
        () = target.wake.notified().fuse() => Ok(true),
        () = runtime::sleep_until(due).fuse() => Ok(true),
    }
}

/// Registers everything, or the next topic that has changed. A deletion has no message of its own: it takes everything,
/// too.
async fn register(
    shard: &Shard,
    target: &Target,
    connection: &Connection,
    (office, full, patience): (Office, bool, Duration),
) -> Result<(), Trouble> {
    let next = if full { Next::All } else { target.untold.borrow_mut().next() };
    let one = match next {
        Next::Nothing => return Ok(()),
        Next::All => None,
        Next::One(name, version) => {
            let topics = shard.topics.borrow();
            let topic = topics.find_applied(&name);
            topic.map(|topic| one_topic(topic, (version, office), permission(shard)))
        }
    };
    let body = match one {
        Some(body) => body,
        None => {
            // What changes from here on may miss the body, and is told afterwards.
            *target.untold.borrow_mut() = Untold::default();
            shard.register.all_topics.encoded(&shard.topics, (office, permission(shard))).await?
        }
    };
    let command = register_command(&shard.identity, office, &body);
    drop(body);
    target.told.set(Some(office.broker_id));
    // After a failure the next connection begins with everything.
    let answer = connection.request(command, patience).await?;
    accepted(answer)
}

fn accepted(answer: Command) -> Result<(), Trouble> {
    if answer.code == ResponseCode::Success.code() {
        return Ok(());
    }
    Err(Trouble::Refused { code: answer.code, remark: answer.remark.unwrap_or_default() })
}

/// Says that the shard is there no more, if it was told that it is.
///
/// A NameServer of 4.9.8 forgets whoever has the id that is named, and not the one who says it (RouteInfoManager.unregisterBroker). One that
/// led until now may be known there as broker 0 still, or another one by now: so it says first what it is.
async fn good_bye(shard: &Shard, target: &Target, connection: &Connection) -> Result<(), Trouble> {
    target.registered.set(false);
    let Some(told) = target.told.get() else { return Ok(()) };
    let office = shard.present_office();
    if told != office.broker_id {
        register(shard, target, connection, (office, true, GOOD_BYE)).await?;
    }
    target.told.set(None);
    let identity = &shard.identity;
    let addr = identity.address.to_string();
    let header = BrokerHeader {
        broker_name: &identity.name,
        broker_addr: &addr,
        cluster_name: &identity.cluster,
        broker_id: office.broker_id,
    };
    let command = Command::request(RequestCode::UnregisterBroker).with_ext(&header);
    if let Err(error) = connection.request(command, GOOD_BYE).await {
        tracing::debug!(%error, "a NameServer did not take the good-bye");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_one_by_one_or_all_of_them() {
        let version = |counter| Version { timestamp: 1, counter };
        let mut untold = Untold::default();
        assert!(untold.is_nothing());
        assert_eq!(untold.next(), Next::Nothing);
        for (counter, topic) in ["B", "A", "B"].into_iter().enumerate() {
            untold.add(topic, version(counter as u64));
        }
        assert_eq!(untold.next(), Next::One("B".into(), version(0)), "each with its own version");
        assert_eq!(untold.next(), Next::One("A".into(), version(1)));
        assert_eq!(untold.next(), Next::One("B".into(), version(2)));
        assert!(untold.is_nothing());
        for _ in 0..MAX_UNTOLD_TOPICS {
            untold.add("A", version(0));
        }
        assert_ne!(untold, Untold::All);
        untold.add("A", version(0));
        untold.add("A", version(0));
        assert_eq!(untold, Untold::All);
        assert_eq!(untold.next(), Next::All);
        assert!(untold.is_nothing());
    }
}
