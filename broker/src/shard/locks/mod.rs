//! Queue locks of orderly consumers: requests 41 and 42.
//!
//! A lock is a lease of a queue to one client of a group. It ends when the client gives it back or does not
//! renew it. Locks are in memory only: after a restart clients ask again, which they do every 20 seconds.

mod handlers;

pub use handlers::{lock, unlock};

use std::collections::HashMap;
use std::time::Duration;

use runtime::Instant;

use crate::limits::MAX_LOCKS;

/// A lock that is not renewed ends after this time (RocketMQ 5.5.0, RebalanceLockManager).
pub const LEASE: Duration = Duration::from_secs(60);

/// A queue of this shard: topic and number.
pub type Queue = (String, u32);

/// The locks of a shard, by group.
#[derive(Debug, Default)]
pub struct Locks {
    groups: HashMap<String, HashMap<Queue, Lock>>,
    held: usize,
}

#[derive(Debug)]
struct Lock {
    client: String,
    renewed: Instant,
}

impl Lock {
    fn ended(&self, now: Instant) -> bool {
        now - self.renewed > LEASE
    }
}

impl Locks {
    /// Gives `queue` to `client`, or renews its lock. False while another client of the group has it, or
    /// when the shard holds as many locks as it may.
    pub fn lock(&mut self, group: &str, client: &str, queue: Queue, now: Instant) -> bool {
        if self.held >= MAX_LOCKS {
            self.forget_ended(now);
        }
        let full = self.held >= MAX_LOCKS;
        if !self.groups.contains_key(group) {
            if full {
                return false;
            }
            self.groups.insert(group.to_owned(), HashMap::new());
        }
        let queues = self.groups.get_mut(group).expect("it was there or has just been put there");
        match queues.get_mut(&queue) {
            Some(lock) if lock.client != client && !lock.ended(now) => false,
            Some(lock) => {
                if lock.client != client {
                    client.clone_into(&mut lock.client);
                }
                lock.renewed = now;
                true
            }
            None if full => false,
            None => {
                queues.insert(queue, Lock { client: client.to_owned(), renewed: now });
                self.held += 1;
                true
            }
        }
    }

    /// Takes `queue` back from `client`; nothing happens if it does not have it.
    pub fn unlock(&mut self, group: &str, client: &str, queue: &Queue) {
        let Some(queues) = self.groups.get_mut(group) else { return };
        if queues.get(queue).is_some_and(|lock| lock.client == client) {
            queues.remove(queue);
            self.held -= 1;
        }
        if queues.is_empty() {
            self.groups.remove(group);
        }
    }

    /// Who has `queue` now.
    #[must_use]
    pub fn holder(&self, group: &str, queue: &Queue, now: Instant) -> Option<&str> {
        let lock = self.groups.get(group)?.get(queue)?;
        (!lock.ended(now)).then_some(lock.client.as_str())
    }

    /// Forgets the locks that have ended. Call it now and then.
    pub fn forget_ended(&mut self, now: Instant) {
        self.groups.retain(|_, queues| {
            queues.retain(|_, lock| !lock.ended(now));
            !queues.is_empty()
        });
        self.held = self.groups.values().map(HashMap::len).sum();
    }

    /// Locks that are kept, ended ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(number: u32) -> Queue {
        ("T".to_owned(), number)
    }

    #[test]
    fn one_client_of_a_group_has_a_queue() {
        let mut locks = Locks::default();
        let start = runtime::now();
        assert!(locks.lock("G", "a", queue(0), start));
        assert!(!locks.lock("G", "b", queue(0), start));
        assert!(locks.lock("G", "b", queue(1), start));
        assert!(locks.lock("H", "b", queue(0), start), "groups do not disturb each other");
        locks.unlock("G", "b", &queue(0));
        assert_eq!(locks.holder("G", &queue(0), start), Some("a"), "only the holder gives back");
        locks.unlock("G", "a", &queue(0));
        assert!(locks.lock("G", "b", queue(0), start));
        assert_eq!(locks.len(), 3);
    }

    #[test]
    fn a_lock_that_is_not_renewed_ends() {
        let mut locks = Locks::default();
        let start = runtime::now();
        assert!(locks.lock("G", "a", queue(0), start));
        let renewed = start + Duration::from_secs(50);
        assert!(locks.lock("G", "a", queue(0), renewed));
        assert!(!locks.lock("G", "b", queue(0), renewed + LEASE));
        let late = renewed + LEASE + Duration::from_millis(1);
        assert_eq!(locks.holder("G", &queue(0), late), None);
        assert!(locks.lock("G", "b", queue(0), late));
        assert!(!locks.lock("G", "a", queue(0), late));
        locks.forget_ended(late + LEASE + LEASE);
        assert!(locks.is_empty());
    }
}
