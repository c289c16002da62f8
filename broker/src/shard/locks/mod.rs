//! Queue locks of orderly consumers: requests 41 and 42.
//!
//! A lock is a lease of a queue to one client of a group. It ends when the client gives it back or does not
//! renew it. Locks are in the log, as topics and groups are: a member that comes to lead knows who has which queue.
//!
//! Only whoever takes what is appended decides who gets a queue, and it knows all that was decided before: what is applied, and what
//! is on its way into the log. So no two clients are given a queue at a time. When a lock ends is a matter of its own clock, which
//! never jumps: not before a whole lease after it has heard of the last renewal, which is later than that was granted.
//! After a start, of which the log does not know how long ago it was renewed, a lock lasts a whole lease again.

mod handlers;

pub use handlers::{applied, lock, unlock};

use std::collections::HashMap;
use std::time::Duration;

use runtime::Instant;

use super::commands::QueueLocks;
use super::state::GroupLocks;
use crate::limits::MAX_LOCKS;

/// A lock that is not renewed ends after this time (RocketMQ 5.5.0, RebalanceLockManager).
pub const LEASE: Duration = Duration::from_secs(60);

/// When there are as many locks as may be, those that have ended are looked for this often: it takes a look at all.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// A queue of this shard: topic and number.
pub type Queue = (String, u32);

/// The locks of a shard, by group.
#[derive(Debug, Default)]
pub struct Locks {
    groups: HashMap<String, HashMap<Queue, Lock>>,
    held: usize,
    /// What is appended and not committed, by group.
    pending: HashMap<String, HashMap<Queue, Pending>>,
    /// How many queues that are.
    under_way: usize,
    /// When ended locks were looked for at last because there were too many.
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Lock {
    client: String,
    /// When this member has heard of it at last.
    renewed: Instant,
}

/// What becomes of a queue once all that is under way is committed.
#[derive(Debug)]
struct Pending {
    client: Option<String>,
    changes: usize,
}

impl Lock {
    fn ended(&self, now: Instant) -> bool {
        now - self.renewed > LEASE
    }
}

impl Locks {
    /// Whether a client of a group may have `queue`, or have its lock renewed. Not while another client of the group has it, or
    /// when the shard holds as many locks as it may, with `more` that are about to be appended.
    pub fn may_lock(
        &mut self,
        (group, client): (&str, &str),
        queue: &Queue,
        more: usize,
        now: Instant,
    ) -> bool {
        if let Some(pending) = self.pending_of(group, queue) {
            return pending.client.as_deref().is_none_or(|holder| holder == client);
        }
        if let Some(lock) = self.groups.get(group).and_then(|queues| queues.get(queue)) {
            return lock.client == client || lock.ended(now);
        }
        if self.held + self.under_way + more >= MAX_LOCKS {
            self.make_room(now);
        }
        self.held + self.under_way + more < MAX_LOCKS
    }

    /// Whether `client` has `queue`, or will have, and can give it back.
    #[must_use]
    pub fn may_unlock(&self, group: &str, client: &str, queue: &Queue) -> bool {
        match self.pending_of(group, queue) {
            Some(pending) => pending.client.as_deref() == Some(client),
            None => self
                .groups
                .get(group)
                .and_then(|queues| queues.get(queue))
                .is_some_and(|lock| lock.client == client),
        }
    }

    fn pending_of(&self, group: &str, queue: &Queue) -> Option<&Pending> {
        self.pending.get(group)?.get(queue)
    }

    /// This is appended.
    pub fn appended(&mut self, change: &QueueLocks) {
        let group = self.pending.entry(change.group.clone()).or_default();
        for queue in change.queues() {
            let pending = group.entry(queue).or_insert_with(|| {
                self.under_way += 1;
                Pending { client: None, changes: 0 }
            });
            pending.client = change.taken.then(|| change.client.clone());
            pending.changes += 1;
        }
    }

    /// This is committed; `here` if it was appended here, and is one of those that are under way.
    pub fn applied(&mut self, change: &QueueLocks, here: bool, now: Instant) {
        if here {
            self.arrived(change);
        }
        if self.held >= MAX_LOCKS {
            self.make_room(now);
        }
        let queues = self.groups.entry(change.group.clone()).or_default();
        for queue in change.queues() {
            if change.taken {
                let lock = Lock { client: change.client.clone(), renewed: now };
                self.held += usize::from(queues.insert(queue, lock).is_none());
            } else if queues.get(&queue).is_some_and(|lock| lock.client == change.client) {
                queues.remove(&queue);
                self.held -= 1;
            }
        }
        if queues.is_empty() {
            self.groups.remove(&change.group);
        }
    }

    /// What was appended here is under way no more.
    fn arrived(&mut self, change: &QueueLocks) {
        let group = self.pending.get_mut(&change.group).expect("it was appended");
        for queue in change.queues() {
            let pending = group.get_mut(&queue).expect("it was appended");
            pending.changes -= 1;
            if pending.changes == 0 {
                group.remove(&queue);
                self.under_way -= 1;
            }
        }
        if group.is_empty() {
            self.pending.remove(&change.group);
        }
    }

    /// What was appended and is not committed is not known here any more: it comes back as somebody else's, or never.
    pub fn forget_appended(&mut self) {
        self.pending.clear();
        self.under_way = 0;
    }

    /// Who has `queue` now.
    #[cfg(test)]
    #[must_use]
    pub fn holder(&self, group: &str, queue: &Queue, now: Instant) -> Option<&str> {
        let lock = self.groups.get(group)?.get(queue)?;
        (!lock.ended(now)).then_some(lock.client.as_str())
    }

    fn make_room(&mut self, now: Instant) {
        if self.swept.is_none_or(|swept| now - swept >= SWEEP_EVERY) {
            self.swept = Some(now);
            self.forget_ended(now);
        }
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

    /// All committed locks that are kept, for a checkpoint: by group, client, topic and queue.
    #[must_use]
    pub fn all(&self) -> Vec<GroupLocks> {
        let mut all: Vec<GroupLocks> = Vec::with_capacity(self.groups.len());
        for (group, queues) in &self.groups {
            let mut held: Vec<_> = queues
                .iter()
                .map(|((topic, queue), lock)| (lock.client.clone(), topic.clone(), *queue))
                .collect();
            held.sort_unstable();
            all.push(GroupLocks { group: group.clone(), held });
        }
        all.sort_unstable_by(|a, b| a.group.cmp(&b.group));
        all
    }

    /// The locks of a checkpoint, each for a whole lease from `now` on.
    #[must_use]
    pub fn restored(all: impl Iterator<Item = GroupLocks>, now: Instant) -> Self {
        let mut locks = Self::default();
        for GroupLocks { group, held } in all {
            let held = held.into_iter();
            let queues: HashMap<_, _> = held
                .map(|(client, topic, queue)| ((topic, queue), Lock { client, renewed: now }))
                .collect();
            locks.held += queues.len();
            locks.groups.insert(group, queues);
        }
        locks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(number: u32) -> Queue {
        ("T".to_owned(), number)
    }

    fn change(taken: bool, group: &str, client: &str, number: u32) -> QueueLocks {
        QueueLocks {
            group: group.to_owned(),
            client: client.to_owned(),
            taken,
            topics: vec![("T".to_owned(), vec![number])],
        }
    }

    /// Takes it as a request does, and has it committed at once.
    fn lock(locks: &mut Locks, group: &str, client: &str, number: u32, now: Instant) -> bool {
        let may = locks.may_lock((group, client), &queue(number), 0, now);
        if may {
            let change = change(true, group, client, number);
            locks.appended(&change);
            locks.applied(&change, true, now);
        }
        may
    }

    fn unlock(locks: &mut Locks, group: &str, client: &str, number: u32, now: Instant) -> bool {
        let may = locks.may_unlock(group, client, &queue(number));
        if may {
            locks.applied(&change(false, group, client, number), false, now);
        }
        may
    }

    #[test]
    fn one_client_of_a_group_has_a_queue() {
        let mut locks = Locks::default();
        let start = runtime::now();
        assert!(lock(&mut locks, "G", "a", 0, start));
        assert!(!lock(&mut locks, "G", "b", 0, start));
        assert!(lock(&mut locks, "G", "b", 1, start));
        assert!(lock(&mut locks, "H", "b", 0, start), "groups do not disturb each other");
        assert!(!unlock(&mut locks, "G", "b", 0, start));
        assert_eq!(locks.holder("G", &queue(0), start), Some("a"), "only the holder gives back");
        assert!(unlock(&mut locks, "G", "a", 0, start));
        assert!(lock(&mut locks, "G", "b", 0, start));
        assert_eq!(locks.len(), 3);
    }

    #[test]
    fn a_lock_that_is_not_renewed_ends() {
        let mut locks = Locks::default();
        let start = runtime::now();
        assert!(lock(&mut locks, "G", "a", 0, start));
        let renewed = start + Duration::from_secs(50);
        assert!(lock(&mut locks, "G", "a", 0, renewed));
        assert!(!lock(&mut locks, "G", "b", 0, renewed + LEASE));
        let late = renewed + LEASE + Duration::from_millis(1);
        assert_eq!(locks.holder("G", &queue(0), late), None);
        assert!(lock(&mut locks, "G", "b", 0, late));
        assert!(!lock(&mut locks, "G", "a", 0, late));
        locks.forget_ended(late + LEASE + LEASE);
        assert!(locks.is_empty());
    }

    #[test]
    fn what_is_under_way_counts_until_it_is_forgotten() {
        let mut locks = Locks::default();
        let now = runtime::now();
        let taken = change(true, "G", "a", 0);
        locks.appended(&taken);
        assert!(locks.may_lock(("G", "a"), &queue(0), 0, now));
        assert!(!locks.may_lock(("G", "b"), &queue(0), 0, now), "it is about to be another one's");
        assert!(locks.may_unlock("G", "a", &queue(0)));
        let given = change(false, "G", "a", 0);
        locks.appended(&given);
        assert!(locks.may_lock(("G", "b"), &queue(0), 0, now), "it is about to be free");
        locks.applied(&taken, true, now);
        assert!(locks.may_lock(("G", "b"), &queue(0), 0, now));
        assert_eq!(locks.holder("G", &queue(0), now), Some("a"));
        locks.applied(&given, true, now);
        assert!(locks.is_empty() && locks.pending.is_empty() && locks.under_way == 0);

        locks.appended(&taken);
        locks.forget_appended();
        assert!(locks.may_lock(("G", "b"), &queue(0), 0, now), "nobody knows of it here");
        locks.applied(&taken, false, now);
        assert!(!locks.may_lock(("G", "b"), &queue(0), 0, now), "it was committed all the same");
    }

    #[test]
    fn there_are_no_more_locks_than_may_be() {
        let mut locks = Locks::default();
        let now = runtime::now();
        assert!(locks.may_lock(("G", "a"), &queue(0), MAX_LOCKS - 1, now));
        assert!(!locks.may_lock(("G", "a"), &queue(0), MAX_LOCKS, now));
        locks.appended(&change(true, "G", "a", 0));
        assert!(!locks.may_lock(("G", "a"), &queue(1), MAX_LOCKS - 1, now));
        assert!(locks.may_lock(("G", "a"), &queue(0), MAX_LOCKS - 1, now), "it has that one");
    }

    #[test]
    fn a_restored_lock_lasts_a_whole_lease_again() {
        let mut locks = Locks::default();
        let start = runtime::now();
        assert!(lock(&mut locks, "G", "a", 0, start) && lock(&mut locks, "F", "b", 3, start));
        let later = start + Duration::from_secs(50);
        let mut again = Locks::restored(locks.all().into_iter(), later);
        assert_eq!((again.all(), again.len()), (locks.all(), 2));
        assert!(!lock(&mut again, "G", "b", 0, later + LEASE));
        assert!(lock(&mut again, "G", "b", 0, later + LEASE + Duration::from_millis(1)));
    }
}
