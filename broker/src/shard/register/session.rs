//! The connections to a NameServer, one after the other, and what is told on each.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures::{FutureExt, select_biased};
use remoting::header::route::BrokerHeader;
use remoting::{Command, RequestCode, ResponseCode};
use runtime::Instant;
use runtime::channel::Flag;
use transport::{ConnectError, Connection, Limits, NoRequests, RequestError};

use super::super::{Phase, Shard};
use super::body::{Office, one_topic, register_command};
use super::permission;
use super::target::{Next, Target, Trouble, Untold};

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
/// Or for so many times as long as it has taken on this connection when it was fastest, where that is more.
const SLOWER: u32 = 3;
/// But no longer than that.
const SLOWEST: Duration = Duration::from_secs(2);
/// Pause before one registers again that has dialled anew.
const AFTER_SLOW: Duration = Duration::from_secs(1);
/// How long a NameServer may take for the good-bye.
const GOOD_BYE: Duration = Duration::from_secs(1);

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
            () = target.hasten.notified().fuse() => {}
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
    let mut session = Session::new(anew);
    while let Some(office) = shard.register_as() {
        let due = match session.lingers(shard, office) {
            Some(until) => until,
            None => {
                let told = select_biased! {
                    () = stop.raised().fuse() => break,
                    told = session.tell(shard, target, connection, office).fuse() => told,
                };
                if matches!(told, Err(Trouble::Slow)) {
                    // What has not arrived must not do so later, and take the place of what is told on the next one.
                    connection.abort();
                    connection.closed().await;
                }
                told?;
                if !target.untold.borrow().is_nothing() {
                    continue;
                }
                session.due
            }
        };
        if !wait(target, connection, stop, due).await? {
            break;
        }
    }
    good_bye(shard, target, connection).await
}

/// What was told on one connection.
struct Session {
    dialled: Instant,
    /// As which replica.
    told: Option<Office>,
    /// The shortest time that the NameServer took for all topics.
    took: Option<Duration>,
    /// When everything is told again.
    due: Instant,
    /// It takes the place of a connection that was too slow, and nothing was told on it yet.
    takes_place: bool,
}

impl Session {
    fn new(takes_place: bool) -> Self {
        let now = runtime::now();
        Self { dialled: now, told: None, took: None, due: now, takes_place }
    }

    /// Until when nothing is told of an office that has ended.
    fn lingers(&self, shard: &Shard, office: Office) -> Option<Instant> {
        let is_known = self.told.is_some_and(|told| told.broker_id == 0);
        // One whose log has failed hands nothing on.
        let lingers = is_known && office.broker_id != 0 && shard.phase.get() != Phase::Failed;
        shard.register.lingers_until().filter(|_| lingers)
    }

    /// How long an answer may take where another office is to be told; on a new connection as long as any.
    fn patience(&self, shard: &Shard) -> Option<Duration> {
        let usual = self.took.filter(|_| self.dialled.elapsed() >= GOOD)?;
        Some((usual * SLOWER).clamp(SLOW, SLOWEST).min(shard.config.register_timeout))
    }

    /// Registers everything if that is due, or as another replica than before; else the next topic that has changed.
    async fn tell(
        &mut self,
        shard: &Rc<Shard>,
        target: &Target,
        connection: &Connection,
        office: Office,
    ) -> Result<(), Trouble> {
        let full = runtime::now() >= self.due || self.told != Some(office);
        if let Some(command) = next_command(shard, target, (office, full)).await? {
            if shard.register_as() != Some(office) {
                // It was written for too long: what is told is told in the next one.
                *target.untold.borrow_mut() = Untold::All;
                return Ok(());
            }
            let began = runtime::now();
            self.ask(shard, target, connection, (office, command)).await?;
            self.told = Some(office);
            target.is_there(shard);
            if full {
                let took = began.elapsed();
                self.took = Some(self.took.map_or(took, |before| before.min(took)));
                // The NameServer may forget the broker with the old connection only now.
                let again = std::mem::take(&mut self.takes_place).then_some(AFTER_SLOW);
                self.due = runtime::now() + again.unwrap_or(shard.config.register_every);
            }
        }
        if shard.is_in_doubt() {
            self.due = self.due.min(runtime::now() + IN_DOUBT);
        }
        Ok(())
    }

    async fn ask(
        &self,
        shard: &Shard,
        target: &Target,
        connection: &Connection,
        (office, command): (Office, Command),
    ) -> Result<(), Trouble> {
        let urgent = self.patience(shard).filter(|_| self.told != Some(office));
        let patience = urgent.unwrap_or(shard.config.register_timeout);
        target.told.set(Some(office.broker_id));
        select_biased! {
            answer = connection.request(command, patience).fuse() => match answer {
                Err(RequestError::Timeout { .. }) if urgent.is_some() => Err(Trouble::Slow),
                answer => accepted(answer?),
            },
            () = self.outdated(shard, target, office).fuse() => Err(Trouble::Slow),
        }
    }

    /// Waits until the shard is to be registered as another one than it just is, and that has taken too long. Never, if the connection is new.
    async fn outdated(&self, shard: &Shard, target: &Target, office: Office) {
        while shard.register_as() == Some(office) {
            target.wake.notified().await;
        }
        match self.patience(shard) {
            Some(patience) => runtime::sleep(patience).await,
            None => std::future::pending().await,
        }
    }
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
    select_biased! {
        () = stop.raised().fuse() => Ok(false),
        () = connection.closed().fuse() => Err(Trouble::Closed),
        () = target.wake.notified().fuse() => Ok(true),
        () = runtime::sleep_until(due).fuse() => Ok(true),
    }
}

/// What registers everything, or the next topic that has changed; nothing if none has. A deletion has no message of its own: it takes
/// everything, too. What a failure keeps from being told is told in full on the next connection.
async fn next_command(
    shard: &Shard,
    target: &Target,
    (office, full): (Office, bool),
) -> Result<Option<Command>, Trouble> {
    let next = if full { Next::All } else { target.untold.borrow_mut().next() };
    let one = match next {
        Next::Nothing => return Ok(None),
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
    Ok(Some(register_command(&shard.identity, office, &body)))
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
    if told != office.broker_id
        && let Some(command) = next_command(shard, target, (office, true)).await?
    {
        accepted(connection.request(command, GOOD_BYE).await?)?;
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
