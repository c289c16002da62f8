//! A broker registers.

use std::time::Duration;

use remoting::route::Perm;

use super::{Link, Live, Moment, Process, Queues, Replicas, Routes, Version};
use crate::limits::{BROKER_TIMEOUT, BROKER_TIMEOUT_MAX, MAX_BROKERS, MAX_NAME, MAX_TOPICS};

/// A topic that a broker has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// The topic.
    pub name: String,
    /// Its queues there.
    pub queues: Queues,
}

/// What a broker says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Cluster and address.
    pub process: Process,
    /// Its name, shared by its replicas.
    pub name: String,
    /// 0 for the master.
    pub id: i64,
    /// `ip:port` for replicas.
    pub ha_addr: String,
    /// Silence after which it is gone; `None` for the usual time.
    pub timeout: Option<Duration>,
    /// Whether a slave may stand in for the master; `None` from brokers that do not know the question.
    pub acting_master: Option<bool>,
    /// The state that `topics` belongs to.
    pub version: Version,
    /// All topics, or one that has changed.
    pub topics: Vec<Topic>,
    /// The connection it came over.
    pub link: Link,
}

/// The registration holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// For a slave with a live master: the master's address for replicas, and for clients.
    pub master: Option<(String, String)>,
    /// The process was not known before, or had another id.
    pub joined: bool,
    /// Another process that had this name and id until now.
    pub replaced: Option<Replaced>,
}

/// A process that had the name and id of one that has registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// Its address.
    pub addr: String,
    /// It was live, and the new one has a greater state version: the one was elected after the other.
    pub in_turn: bool,
}

/// The registration does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// One changed topic, from a broker that has not registered in full.
    #[error(
        "broker {name} ({addr}) names one topic but has not registered yet: register all topics first"
    )]
    NotRegistered {
        /// Broker name.
        name: String,
        /// Its address.
        addr: String,
    },
    /// The live broker of this name and id is ahead.
    #[error(
        "broker {name} ({addr}) has state version {theirs}, the live one at {live_addr} has {live}: the newer one stays"
    )]
    Outdated {
        /// Broker name.
        name: String,
        /// Its address.
        addr: String,
        /// Its state version.
        theirs: i64,
        /// Address of the live broker.
        live_addr: String,
        /// State version of the live broker.
        live: i64,
    },
    /// A name is empty or too long.
    #[error("{what} `{value}` must be 1 to {MAX_NAME} bytes long")]
    BadName {
        /// What is named.
        what: &'static str,
        /// The name, shortened.
        value: String,
    },
    /// No room.
    #[error("{limit} {what} are registered, which is the limit of a NameServer")]
    Full {
        /// Of what there are too many.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
}

impl Routes {
    /// Takes over what a broker says of itself. Nothing changes if it is refused.
    ///
    /// # Errors
    /// [`Refused`], for the broker's log.
    pub fn register(&mut self, now: Moment, reg: Registration) -> Result<Accepted, Refused> {
        self.check(&reg)?;
        let known_before = self.live.get(&reg.process).is_some_and(|live| live.id == reg.id);
        let replaced = self.place(&reg);
        let first = replaced.as_ref() != Some(&reg.process.addr);
        self.take_topics(&reg, first);
        let accepted = Accepted {
            master: self.master_for(&reg),
            joined: first || !known_before,
            replaced: replaced.filter(|addr| *addr != reg.process.addr).map(|addr| {
                let before = Process { cluster: reg.process.cluster.clone(), addr: addr.clone() };
                let state = self.live.get(&before).map(|live| live.version.state);
                Replaced { addr, in_turn: state.is_some_and(|state| state < reg.version.state) }
            }),
        };
        let Registration { process, name, id, ha_addr, timeout, version, link, .. } = reg;
        let timeout = timeout.unwrap_or(BROKER_TIMEOUT).min(BROKER_TIMEOUT_MAX);
        self.live.insert(process, Live { name, id, heard: now, timeout, version, ha_addr, link });
        self.assert_sound();
        Ok(accepted)
    }

    fn check(&self, reg: &Registration) -> Result<(), Refused> {
        let names = [
            ("cluster", &reg.process.cluster),
            ("broker", &reg.name),
            ("address", &reg.process.addr),
        ];
        let topics = reg.topics.iter().map(|topic| ("topic", &topic.name));
        for (what, value) in names.into_iter().chain(topics) {
            if value.is_empty() || value.len() > MAX_NAME {
                return Err(Refused::BadName { what, value: value.chars().take(64).collect() });
            }
        }
        if self.live.len() >= MAX_BROKERS && !self.live.contains_key(&reg.process) {
            return Err(Refused::Full { what: "brokers", limit: MAX_BROKERS });
        }
        let new = reg.topics.iter().filter(|topic| self.topics.brokers(&topic.name).is_none());
        if self.topics.len() + new.count() > MAX_TOPICS {
            return Err(Refused::Full { what: "topics", limit: MAX_TOPICS });
        }
        self.check_order(reg)
    }

    /// Whether the registration comes after what is known.
    fn check_order(&self, reg: &Registration) -> Result<(), Refused> {
        let addr = &reg.process.addr;
        let holder = self.brokers.get(&reg.name).and_then(|replicas| replicas.addrs.get(&reg.id));
        let Some(holder) = holder else {
            return match reg.topics.len() {
                1 => Err(Refused::NotRegistered { name: reg.name.clone(), addr: addr.clone() }),
                _ => Ok(()),
            };
        };
        let process = Process { cluster: reg.process.cluster.clone(), addr: holder.clone() };
        match self.live.get(&process) {
            Some(live) if holder != addr && live.version.state > reg.version.state => {
                Err(Refused::Outdated {
                    name: reg.name.clone(),
                    addr: addr.clone(),
                    theirs: reg.version.state,
                    live_addr: holder.clone(),
                    live: live.version.state,
                })
            }
            _ => Ok(()),
        }
    }

    /// Puts the process into its cluster and under its name; the address that had the id before.
    fn place(&mut self, reg: &Registration) -> Option<String> {
        let Process { cluster, addr } = &reg.process;
        self.leave_former_place(reg);
        self.clusters.entry(cluster.clone()).or_default().insert(reg.name.clone());
        let replicas = self
            .brokers
            .entry(reg.name.clone())
            .or_insert_with(|| Replicas { cluster: cluster.clone(), ..Replicas::default() });
        replicas.acting_master = reg.acting_master == Some(true);
        // A slave that has become master, or the other way round: one address, one id.
        replicas.addrs.retain(|id, have| have != addr || *id == reg.id);
        replicas.addrs.insert(reg.id, addr.clone())
    }

    /// A process that comes back under another name, or a name in another cluster, leaves where it was.
    fn leave_former_place(&mut self, reg: &Registration) {
        if self.live.get(&reg.process).is_some_and(|live| live.name != reg.name) {
            self.remove(&reg.process);
        }
        if self.brokers.get(&reg.name).is_some_and(|have| have.cluster != reg.process.cluster) {
            let moved: Vec<Process> = self
                .live
                .iter()
                .filter(|(_, live)| live.name == reg.name)
                .map(|(at, _)| at.clone())
                .collect();
            for process in moved {
                self.remove(&process);
            }
        }
    }

    /// Topics come from the master, or from the slave that may stand in for it; that one is read-only.
    fn take_topics(&mut self, reg: &Registration, first: bool) {
        let smallest = self.brokers[&reg.name].addrs.keys().next() == Some(&reg.id);
        let stands_in = reg.id != 0 && reg.acting_master.is_some() && smallest;
        if reg.id != 0 && !stands_in {
            return;
        }
        if self.rules.registration_replaces_topics && reg.topics.len() != 1 {
            let named: std::collections::HashSet<&str> =
                reg.topics.iter().map(|topic| topic.name.as_str()).collect();
            self.topics.remove_broker(&reg.name, |topic| !named.contains(topic));
        }
        let changed = self.live.get(&reg.process).is_none_or(|live| live.version != reg.version);
        for topic in &reg.topics {
            if first || changed || !self.topics.has(&topic.name, &reg.name) {
                let mut queues = topic.queues;
                if stands_in && reg.acting_master == Some(true) {
                    queues.perm = queues.perm.without(Perm::WRITE);
                }
                self.topics.put(&topic.name, &reg.name, queues);
            }
        }
    }

    fn master_for(&self, reg: &Registration) -> Option<(String, String)> {
        if reg.id == 0 {
            return None;
        }
        let addr = self.brokers.get(&reg.name)?.addrs.get(&0)?.clone();
        let process = Process { cluster: reg.process.cluster.clone(), addr };
        let master = self.live.get(&process)?;
        Some((master.ha_addr.clone(), process.addr))
    }
}
