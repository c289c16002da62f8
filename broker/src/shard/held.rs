//! What is held until a message arrives or time is up: plain state, no I/O.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use model::{QueueId, QueueOffset};
use runtime::Instant;

use super::subscription::Subscription;
use crate::limits::MAX_HELD_PULLS;

type Id = u64;

/// Something held for messages of one queue. `C` tells connections apart, `T` is what is held.
#[derive(Debug)]
pub struct Hold<C, T> {
    /// The topic.
    pub topic: Rc<str>,
    /// The queue.
    pub queue: QueueId,
    /// Messages before this one do not end the wait.
    pub from: QueueOffset,
    /// Which messages end the wait.
    pub subscription: Rc<Subscription>,
    /// When it ends without one.
    pub deadline: Instant,
    /// Whose it is.
    pub connection: C,
    /// What is held.
    pub what: T,
}

/// All that is held, found by queue, by time and by connection.
#[derive(Debug)]
pub struct Held<C, T> {
    holds: HashMap<Id, Hold<C, T>>,
    by_queue: HashMap<Rc<str>, HashMap<QueueId, Vec<Id>>>,
    by_deadline: BTreeSet<(Instant, Id)>,
    by_connection: BTreeSet<(C, Id)>,
    next: Id,
}

impl<C: Copy + Ord, T> Default for Held<C, T> {
    fn default() -> Self {
        Self {
            holds: HashMap::new(),
            by_queue: HashMap::new(),
            by_deadline: BTreeSet::new(),
            by_connection: BTreeSet::new(),
            next: 0,
        }
    }
}

impl<C: Copy + Ord, T> Held<C, T> {
    /// How many are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.holds.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    /// Holds something.
    ///
    /// # Errors
    /// Gives it back when [`MAX_HELD_PULLS`] are held.
    pub fn hold(&mut self, hold: Hold<C, T>) -> Result<(), T> {
        if self.holds.len() >= MAX_HELD_PULLS {
            return Err(hold.what);
        }
        let id = self.next;
        self.next += 1;
        let queues = self.by_queue.entry(Rc::clone(&hold.topic)).or_default();
        queues.entry(hold.queue).or_default().push(id);
        self.by_deadline.insert((hold.deadline, id));
        self.by_connection.insert((hold.connection, id));
        self.holds.insert(id, hold);
        Ok(())
    }

    /// A message with this offset and tag hash has arrived in a queue: moves what waits for it to `woken`.
    pub fn arrived(
        &mut self,
        (topic, queue): (&str, QueueId),
        (offset, hash): (QueueOffset, i64),
        woken: &mut Vec<T>,
    ) {
        let Some(ids) = self.by_queue.get(topic).and_then(|queues| queues.get(&queue)) else {
            return;
        };
        let wanted = |id: &&Id| {
            let hold = &self.holds[*id];
            offset >= hold.from && hold.subscription.filter.matches(hash)
        };
        let ids: Vec<Id> = ids.iter().filter(wanted).copied().collect();
        woken.extend(ids.into_iter().map(|id| self.take(id)));
    }

    /// What waits for messages of a topic, whatever the queue; it waits no more.
    pub fn of_topic(&mut self, topic: &str) -> Vec<T> {
        let ids = self.by_queue.get(topic).into_iter().flat_map(HashMap::values).flatten();
        let ids: BTreeSet<Id> = ids.copied().collect();
        ids.into_iter().map(|id| self.take(id)).collect()
    }

    /// What was held long enough.
    pub fn expired(&mut self, now: Instant) -> Vec<T> {
        let mut over = Vec::new();
        while let Some((deadline, id)) = self.by_deadline.first().copied()
            && deadline <= now
        {
            over.push(self.take(id));
        }
        over
    }

    /// Drops what was held for a connection, and says how many that were.
    pub fn drop_connection(&mut self, connection: C) -> usize {
        let range = (connection, Id::MIN)..=(connection, Id::MAX);
        let ids: Vec<Id> = self.by_connection.range(range).map(|(_, id)| *id).collect();
        ids.iter().for_each(|id| drop(self.take(*id)));
        ids.len()
    }

    /// All of it.
    pub fn drain(&mut self) -> Vec<T> {
        let ids: BTreeSet<Id> = self.holds.keys().copied().collect();
        ids.into_iter().map(|id| self.take(id)).collect()
    }

    fn take(&mut self, id: Id) -> T {
        let hold = self.holds.remove(&id).expect("every index knows only what is held");
        let queues = self.by_queue.get_mut(&hold.topic).expect("what is held is found by topic");
        let ids = queues.get_mut(&hold.queue).expect("what is held is found by queue");
        let at = ids.iter().position(|have| *have == id).expect("what is held is found by queue");
        ids.swap_remove(at);
        if ids.is_empty() {
            queues.remove(&hold.queue);
            if queues.is_empty() {
                self.by_queue.remove(&hold.topic);
            }
        }
        assert!(self.by_deadline.remove(&(hold.deadline, id)), "it was found by time");
        assert!(self.by_connection.remove(&(hold.connection, id)), "it was found by connection");
        hold.what
    }
}

#[cfg(test)]
mod tests {
    use super::super::subscription::Filter;
    use super::*;
    use std::collections::HashSet;
    use std::time::Duration;

    fn in_simulation(test: fn()) {
        let world = runtime::sim::Simulation::new(1);
        let node = world.node("n", [10, 0, 0, 1].into());
        let done = node.start("main", move || async move { test() });
        world.run_for(Duration::from_secs(1));
        done.join().expect("the test ran to its end");
    }

    fn hold(queue: u32, filter: Filter, millis: u64, connection: u8, what: u32) -> Hold<u8, u32> {
        Hold {
            topic: Rc::from("T"),
            queue: QueueId(queue),
            from: QueueOffset(5),
            subscription: Rc::new(Subscription { text: String::new(), version: 0, filter }),
            deadline: runtime::now() + Duration::from_millis(millis),
            connection,
            what,
        }
    }

    fn tags(hash: i64) -> Filter {
        Filter::Tags(HashSet::from([hash]))
    }

    fn filled() -> Held<u8, u32> {
        let mut held = Held::default();
        held.hold(hold(0, Filter::All, 10, 1, 100)).expect("room");
        held.hold(hold(0, tags(7), 20, 1, 101)).expect("room");
        held.hold(hold(0, tags(8), 30, 2, 102)).expect("room");
        held.hold(hold(1, Filter::All, 40, 2, 103)).expect("room");
        held
    }

    #[test]
    fn a_message_wakes_those_who_want_it() {
        in_simulation(|| {
            let mut held = filled();
            let mut woken = Vec::new();
            let at = |offset, hash| (QueueOffset(offset), hash);
            held.arrived(("T", QueueId(0)), at(4, 8), &mut woken);
            assert!(woken.is_empty(), "it is not the one they wait for");
            held.arrived(("T", QueueId(0)), at(5, 8), &mut woken);
            woken.sort_unstable();
            assert_eq!(woken, [100, 102]);
            held.arrived(("T", QueueId(0)), at(6, 8), &mut woken);
            held.arrived(("T", QueueId(2)), at(6, 7), &mut woken);
            held.arrived(("U", QueueId(0)), at(6, 7), &mut woken);
            assert_eq!((woken.len(), held.len()), (2, 2));
        });
    }

    #[test]
    fn time_and_connections_end_it() {
        in_simulation(|| {
            let mut held = filled();
            let now = runtime::now();
            assert!(held.expired(now).is_empty());
            assert_eq!(held.expired(now + Duration::from_millis(25)), [100, 101]);
            assert_eq!(held.drop_connection(1), 0);
            assert_eq!(held.drop_connection(2), 2);
            assert!(held.is_empty() && held.by_queue.is_empty());
            assert!(held.by_deadline.is_empty() && held.by_connection.is_empty());
        });
    }

    #[test]
    fn no_more_is_held_than_may_be() {
        in_simulation(|| {
            let mut held = Held::default();
            for number in 0..u32::try_from(MAX_HELD_PULLS).expect("small") {
                let queue = number % 50_000;
                held.hold(hold(queue, Filter::All, 10, 1, number)).expect("room");
            }
            assert_eq!(held.hold(hold(0, Filter::All, 10, 2, 7)), Err(7), "it is given back");
            held.hold(hold(0, Filter::All, 10, 2, 7)).expect_err("still");
            assert_eq!(held.drop_connection(1), MAX_HELD_PULLS);
            held.hold(hold(0, Filter::All, 10, 2, 7)).expect("room again");
        });
    }

    #[test]
    fn a_topic_and_a_stop_end_it() {
        in_simulation(|| {
            let mut held = filled();
            assert_eq!(held.of_topic("U"), Vec::<u32>::new());
            assert_eq!(held.of_topic("T").len(), 4);
            assert!(held.is_empty());
            assert_eq!(filled().drain().len(), 4);
        });
    }
}
