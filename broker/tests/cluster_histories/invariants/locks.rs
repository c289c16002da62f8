//! A queue is locked for one consumer at a time, whoever leads; but for a lock that nobody renews.

use std::collections::BTreeMap;
use std::time::Duration;

use runtime::Instant;

use crate::content::Queue;

/// How long a lock holds that is not renewed (Apache RocketMQ 5.5.0, `RebalanceLockManager`).
const LEASE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Locks {
    /// Who has a queue, and until when nobody else may.
    held: BTreeMap<Queue, (String, Instant)>,
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

    /// It is about to be given back.
    pub fn gives_back(&mut self, queue: Queue, name: &str) {
        if self.held.get(&queue).is_some_and(|(holder, _)| holder == name) {
            self.held.remove(&queue);
        }
    }
}
