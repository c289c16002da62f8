//! Which broker has which queues of a topic.

use std::collections::BTreeMap;

use remoting::route::Perm;

/// The queues of one topic on one broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queues {
    /// Queues to read from.
    pub read: i32,
    /// Queues to write to.
    pub write: i32,
    /// What is allowed.
    pub perm: Perm,
    /// Flags of the topic.
    pub sys_flag: i32,
}

/// Queues by topic and broker name. No topic without a broker.
#[derive(Debug, Default)]
pub(super) struct Topics {
    by_name: BTreeMap<String, BTreeMap<String, Queues>>,
}

impl Topics {
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    pub(super) fn brokers(&self, topic: &str) -> Option<&BTreeMap<String, Queues>> {
        self.by_name.get(topic)
    }

    pub(super) fn has(&self, topic: &str, broker: &str) -> bool {
        self.by_name.get(topic).is_some_and(|brokers| brokers.contains_key(broker))
    }

    pub(super) fn put(&mut self, topic: &str, broker: &str, queues: Queues) {
        let brokers = match self.by_name.get_mut(topic) {
            Some(brokers) => brokers,
            None => self.by_name.entry(topic.to_owned()).or_default(),
        };
        brokers.insert(broker.to_owned(), queues);
    }

    /// The topics of one broker.
    pub(super) fn of_broker<'a>(&'a self, broker: &'a str) -> impl Iterator<Item = &'a str> {
        self.by_name
            .iter()
            .filter(move |(_, brokers)| brokers.contains_key(broker))
            .map(|(topic, _)| topic.as_str())
    }

    /// Takes the broker off the topics that `which` names.
    pub(super) fn remove_broker(&mut self, broker: &str, mut which: impl FnMut(&str) -> bool) {
        self.by_name.retain(|topic, brokers| {
            if which(topic) {
                brokers.remove(broker);
            }
            !brokers.is_empty()
        });
    }

    /// Forgets a topic on the brokers that `which` names; whether any had it.
    pub(super) fn remove(&mut self, topic: &str, which: impl Fn(&str) -> bool) -> bool {
        let Some(brokers) = self.by_name.get_mut(topic) else {
            return false;
        };
        let before = brokers.len();
        brokers.retain(|broker, _| !which(broker));
        let removed = brokers.len() < before;
        if brokers.is_empty() {
            self.by_name.remove(topic);
        }
        removed
    }

    /// Nobody may write to the broker's queues until it registers again or [`Topics::allow_writing`]. How many topics
    /// it has.
    pub(super) fn forbid_writing(&mut self, broker: &str) -> usize {
        self.permit(broker, |perm| perm.without(Perm::WRITE))
    }

    /// All of the broker's queues may be written to and read. How many topics it has.
    pub(super) fn allow_writing(&mut self, broker: &str) -> usize {
        self.permit(broker, |perm| perm.with(Perm::READ_WRITE))
    }

    fn permit(&mut self, broker: &str, change: impl Fn(Perm) -> Perm) -> usize {
        let mut topics = 0;
        for brokers in self.by_name.values_mut() {
            if let Some(queues) = brokers.get_mut(broker) {
                queues.perm = change(queues.perm);
                topics += 1;
            }
        }
        topics
    }
}
