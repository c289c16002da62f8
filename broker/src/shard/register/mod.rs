//! Registration at the NameServers: in full at start and every `registerNameServerPeriod`, changes at once (topic
//! by topic, or in full after a deletion or if very many wait), and good-bye at a graceful stop.
//!
//! Each NameServer has a task and a connection of its own, so that one that is down delays nobody. A change of its
//! state is one log line, and while it is down another reminds of that now and then; it is dialled every few
//! seconds, and the broker is registered there as soon as it answers. Nothing here makes a client wait.

mod away;
mod body;
mod session;
mod target;

use std::rc::Rc;
use std::time::Duration;

use runtime::channel::Flag;
use runtime::{Instant, Task};

use body::AllTopics;
pub use body::{Office, to_body};
use target::Target;

use super::commands::perm;
use super::{Phase, Shard};
use crate::config::Config;

/// How long a graceful stop waits for the good-byes.
const GOOD_BYE: Duration = Duration::from_secs(2);

/// How long one that led registers later than the one that leads instead: that one may have to dial the NameServers anew.
const LINGERS: Duration = Duration::from_secs(1);

/// The NameServers of a shard.
pub struct Register {
    targets: Vec<Rc<Target>>,
    /// What they are told in full.
    all_topics: AllTopics,
    stop: Flag,
    tasks: std::cell::RefCell<Vec<Task<()>>>,
    /// When the shard left the office that it was in last; `None` in office.
    left: std::cell::Cell<Option<Instant>>,
}

impl Register {
    /// The NameServers of the configuration; nothing is dialled yet.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let targets = config.namesrv_addrs.iter().map(|addr| Rc::new(Target::new(addr)));
        Self {
            targets: targets.collect(),
            all_topics: AllTopics::default(),
            stop: Flag::new(),
            tasks: Default::default(),
            left: Default::default(),
        }
    }

    /// Until when one that is known as broker 0 says nothing, because it has left office a moment ago.
    fn lingers_until(&self) -> Option<Instant> {
        self.left.get().map(|left| left + LINGERS).filter(|until| runtime::now() < *until)
    }

    /// NameServers at which the shard is registered now.
    #[must_use]
    pub fn registered(&self) -> usize {
        self.targets.iter().filter(|target| target.is_registered()).count()
    }
}

/// Begins to register, in tasks. The shard must be listening.
pub fn start(shard: &Rc<Shard>) {
    if shard.register.targets.is_empty() {
        tracing::warn!(
            shard = %shard.identity.name,
            "no NameServer is configured (namesrvAddr, -n or NAMESRV_ADDR): clients cannot find this broker"
        );
    }
    let tasks = shard.register.targets.iter().map(|target| {
        let stop = shard.register.stop.clone();
        runtime::spawn(session::keep_registered(Rc::clone(shard), Rc::clone(target), stop))
    });
    shard.register.tasks.borrow_mut().extend(tasks);
}

/// Tells every NameServer that is up that the shard goes away. Returns within two seconds.
pub async fn unregister(shard: &Rc<Shard>) {
    shard.register.stop.raise();
    let tasks = std::mem::take(&mut *shard.register.tasks.borrow_mut());
    let all = futures::future::join_all(tasks);
    if runtime::timeout(GOOD_BYE, all).await.is_err() {
        tracing::info!(shard = %shard.identity.name, "a NameServer did not take the good-bye in time");
    }
}

/// What the shard may be used for has changed, or as which replica it registers: the NameServers shall know at once, for
/// all topics.
pub fn permission_changed(shard: &Shard) {
    for target in &shard.register.targets {
        target.everything_changed();
    }
}

/// The shard leads its group: the NameServers shall know at once, also those that are to be dialled again a little later.
pub fn entered_office(shard: &Shard) {
    shard.register.left.set(None);
    permission_changed(shard);
    shard.register.targets.iter().for_each(|target| target.hasten.notify_one());
}

/// The shard leads its group no more. It stays known as broker 0 for a moment, and hands on what comes: once it is known as another one,
/// and the next leader is not yet, a client that reads the route finds nobody. The next one takes its place.
pub fn left_office(shard: &Shard) {
    shard.register.left.set(Some(runtime::now()));
    permission_changed(shard);
}

/// What the shard may be used for: as configured, but no writing once the log has failed.
fn permission(shard: &Shard) -> u32 {
    match shard.phase.get() {
        Phase::Failed => shard.config.permission & !perm::WRITE,
        Phase::Recovering | Phase::Serving | Phase::Stopping => shard.config.permission,
    }
}

/// A topic was created, changed or deleted, and that is committed: the NameServers shall know at once.
pub fn topic_changed(shard: &Shard, topic: &str) {
    let version = shard.topics.borrow().version();
    for target in &shard.register.targets {
        target.topic_changed(topic, version);
    }
}
