//! One NameServer: what it was told, and what it has not heard yet.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use remoting::body::RegisterError;
use runtime::IoError;
use runtime::channel::Notify;
use thiserror::Error;
use transport::{ConnectError, RequestError};

use super::super::Shard;
use super::super::topics::Version;
use super::away::Away;
use crate::limits::MAX_UNTOLD_TOPICS;

/// A NameServer.
pub struct Target {
    /// `host:port` as configured; looked up at each attempt.
    pub(super) addr: String,
    /// What it does not know yet.
    pub(super) untold: RefCell<Untold>,
    /// There is something to tell.
    pub(super) wake: Notify,
    /// It shall be dialled now.
    pub(super) hasten: Notify,
    pub(super) registered: Cell<bool>,
    /// As which replica the shard was last told to be there, since it said good-bye.
    pub(super) told: Cell<Option<i64>>,
    /// Since when it cannot be used; `None` before the first attempt too.
    away: Cell<Option<Away>>,
}

/// What a NameServer does not know yet.
///
/// It takes a registration of one topic for a change, and any other for all topics that there are (RocketMQ 5.5.0,
/// RouteInfoManager with deleteTopicWithBrokerRegistration): nothing between may be sent. And it skips a topic that it
/// has when the version is the one that it has (isTopicConfigChanged): each change is told with its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Untold {
    /// These topics, each as of its change. The version after the last one is that of the table.
    Topics(VecDeque<(String, Version)>),
    /// More than that.
    All,
}

/// What it is told next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
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
    pub(super) fn is_nothing(&self) -> bool {
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
    pub(super) fn next(&mut self) -> Next {
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
pub(super) enum Trouble {
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
            hasten: Notify::new(),
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
    pub(super) fn is_there(&self, shard: &Shard) {
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
    pub(super) fn is_away(&self, shard: &Shard, why: &Trouble) {
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
