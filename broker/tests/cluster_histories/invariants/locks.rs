//! A queue is locked for one consumer at a time, whoever leads; but for a lock that nobody renews.

use std::collections::BTreeMap;
use std::time::Duration;

use runtime::Instant;

use crate::content::Queue;

/// How long a lock holds that is not renewed (Apache RocketMQ 5.5.0, `RebalanceLockManager`).
pub const LEASE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Locks {
    /// Who has a queue, and until when nobody else may.
    held: BTreeMap<Queue, (String, Instant)>,
    /// Since when a client may have a queue, and how many times it has asked for it without an answer.
    asked: BTreeMap<(Queue, String), (Instant, u32)>,
    pub granted: u64,
}

impl Locks {
    /// From when it was asked for on: it was given later.
    pub fn granted(&mut self, queue: Queue, name: &str, asked: Instant) {
        if let Some((holder, until)) = self.held.get(&queue) {
            let may = holder == name || runtime::now() > *until;
            assert!(may, "{queue:?} was given to {name} while {holder} had it");
        }
        self.held.insert(queue, (name.to_owned(), asked + LEASE));
        self.granted += 1;
    }

    /// A client is about to ask for a queue.
    pub fn asks(&mut self, queue: Queue, name: &str) {
        let key = (queue, name.to_owned());
        self.asked.entry(key).or_insert((runtime::now(), 0)).1 += 1;
    }

    /// It has an answer.
    pub fn has_answer(&mut self, queue: Queue, name: &str) {
        self.asked.get_mut(&(queue, name.to_owned())).expect("it has asked").1 -= 1;
    }

    /// It was given back, and that was acknowledged; unless an older question may still lock it.
    pub fn is_given_back(&mut self, queue: Queue, name: &str) {
        let key = (queue, name.to_owned());
        if self.asked.get(&key).is_some_and(|(_, unanswered)| *unanswered == 0) {
            self.asked.remove(&key);
        }
    }

    /// A client that has the queue has had it since then, at most.
    pub fn since(&self, queue: Queue, name: &str) -> Option<Instant> {
        self.asked.get(&(queue, name.to_owned())).map(|(since, _)| *since)
    }

    /// It is about to be given back.
    pub fn gives_back(&mut self, queue: Queue, name: &str) {
        if self.held.get(&queue).is_some_and(|(holder, _)| holder == name) {
            self.held.remove(&queue);
        }
    }
}
