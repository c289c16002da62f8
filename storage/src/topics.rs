//! Which topics there are at a point of the log, and how far their queues have counted.
//!
//! The same table stands at three points: what has been drafted, what has been placed, and what has
//! been applied. A topic is known by the index of the entry that made it, so that a deleted and made
//! again topic starts clean.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::rc::Rc;

use model::{LogIndex, PhysicalOffset, QueueId, QueueOffset};

use crate::part::QueueKey;

/// One life of a topic, from its creation to its deletion: the index of the entry that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Incarnation(pub LogIndex);

/// How far a queue has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counter {
    /// The offset that the next message gets.
    pub next: QueueOffset,
    /// Where the queue's first message is or was; means nothing while `next` is 0, and outside of the
    /// applied table.
    pub began: PhysicalOffset,
}

const EMPTY: Counter = Counter { next: QueueOffset(0), began: PhysicalOffset(0) };

/// A topic at a point of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    pub incarnation: Incarnation,
    queues: Vec<Counter>,
}

impl Topic {
    pub(crate) fn new(incarnation: Incarnation, queues: Vec<Counter>) -> Self {
        Self { incarnation, queues }
    }

    pub(crate) fn queues(&self) -> u32 {
        u32::try_from(self.queues.len()).expect("queues are counted with 32 bits")
    }

    pub(crate) fn counter(&self, queue: QueueId) -> Option<Counter> {
        self.queues.get(queue.0 as usize).copied()
    }

    pub(crate) fn counters(&self) -> &[Counter] {
        &self.queues
    }
}

/// Where a topic stands in the table. Tables that went through the same changes, in the same order, from the same
/// beginning, have each topic in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(u32);

/// A topic with its name, which is shared.
#[derive(Clone, Debug)]
struct Named {
    name: Rc<str>,
    topic: Rc<Topic>,
}

/// All topics at a point of the log. A copy is cheap: it shares topics, and the names, with the original until either
/// of them changes one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topics {
    slots: Vec<Option<Named>>,
    /// Slots without a topic; the last one is given next.
    free: Vec<Slot>,
    /// In no order that means anything; the same history of changes gives the same one, for the simulator.
    by_name: Rc<HashMap<Rc<str>, Slot, BuildHasherDefault<DefaultHasher>>>,
}

/// The same topics with the same counters; where they stand does not matter.
impl PartialEq for Topics {
    fn eq(&self, other: &Self) -> bool {
        let same = |(name, topic): (&Rc<str>, &Topic)| other.find(name) == Some(topic);
        self.by_name.len() == other.by_name.len() && self.iter().all(same)
    }
}

impl Eq for Topics {}

impl Topics {
    pub(crate) fn find(&self, name: &str) -> Option<&Topic> {
        self.slot(name).map(|slot| &*self.named(slot).expect("a name has a topic").topic)
    }

    /// Where the topic of this name stands.
    pub(crate) fn slot(&self, name: &str) -> Option<Slot> {
        self.by_name.get(name).copied()
    }

    /// As [`Topics::slot`], for a caller who knows where it stood lately.
    pub(crate) fn slot_from(&self, lately: Option<Slot>, name: &str) -> Option<Slot> {
        let stands_there = |slot: &Slot| self.at(*slot).is_some_and(|(found, _)| **found == *name);
        lately.filter(stands_there).or_else(|| self.slot(name))
    }

    fn named(&self, slot: Slot) -> Option<&Named> {
        self.slots.get(slot.0 as usize)?.as_ref()
    }

    /// The topic that stands there, and its name, to be shared.
    pub(crate) fn at(&self, slot: Slot) -> Option<(&Rc<str>, &Topic)> {
        self.named(slot).map(|named| (&named.name, &*named.topic))
    }

    /// Creates a topic, or adds queues to the one that is there. Queues are never taken away: what
    /// they hold stays readable.
    pub(crate) fn put(&mut self, name: &str, queues: u32, index: LogIndex) {
        let slot = self.slot(name).unwrap_or_else(|| {
            self.add(name, Topic { incarnation: Incarnation(index), queues: Vec::new() })
        });
        let named = self.slots[slot.0 as usize].as_mut().expect("a name has a topic");
        let queues = (queues as usize).max(named.topic.queues.len());
        Rc::make_mut(&mut named.topic).queues.resize(queues, EMPTY);
    }

    fn add(&mut self, name: &str, topic: Topic) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Slot(u32::try_from(self.slots.len() - 1).expect("topics are counted with 32 bits"))
        });
        let name: Rc<str> = Rc::from(name);
        let before = Rc::make_mut(&mut self.by_name).insert(Rc::clone(&name), slot);
        assert!(before.is_none(), "a topic is added once");
        let before = self.slots[slot.0 as usize].replace(Named { name, topic: Rc::new(topic) });
        assert!(before.is_none(), "a free slot has no topic");
        slot
    }

    /// Puts back a topic that a checkpoint has kept, and names once.
    pub(crate) fn restore(&mut self, name: &str, topic: Topic) {
        self.add(name, topic);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Rc<str>, &Topic)> {
        self.slots.iter().flatten().map(|named| (&named.name, &*named.topic))
    }

    pub(crate) fn delete(&mut self, name: &str) -> Option<Topic> {
        let slot = self.slot(name)?;
        Rc::make_mut(&mut self.by_name).remove(name);
        let named = self.slots[slot.0 as usize].take().expect("a name has a topic");
        self.free.push(slot);
        Some(Rc::unwrap_or_clone(named.topic))
    }

    /// All queues, in no order, with the offsets that their next messages get.
    pub(crate) fn queues(&self) -> impl Iterator<Item = (QueueKey, QueueOffset)> {
        self.iter().flat_map(|(_, topic)| {
            let incarnation = topic.incarnation;
            let queues = (0..).map(QueueId).zip(&topic.queues);
            queues.map(move |(queue, counter)| (QueueKey { incarnation, queue }, counter.next))
        })
    }

    /// Counts one message, which lies at `at`, in a queue and returns the offset it gets; `None` when
    /// there is no such queue.
    pub(crate) fn count(
        &mut self,
        slot: Slot,
        queue: QueueId,
        at: PhysicalOffset,
    ) -> Option<(Incarnation, QueueOffset)> {
        let named = self.slots.get_mut(slot.0 as usize)?.as_mut()?;
        named.topic.counter(queue)?;
        let topic = Rc::make_mut(&mut named.topic);
        let counter = &mut topic.queues[queue.0 as usize];
        let offset = counter.next;
        if offset == QueueOffset(0) {
            counter.began = at;
        }
        counter.next = offset.plus(1);
        Some((topic.incarnation, offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(
        topics: &mut Topics,
        name: &str,
        queue: u32,
        at: u64,
    ) -> Option<(Incarnation, QueueOffset)> {
        let slot = topics.slot(name)?;
        topics.count(slot, QueueId(queue), PhysicalOffset(at))
    }

    #[test]
    fn a_topic_made_again_starts_clean() {
        let mut topics = Topics::default();
        let life = |index| Incarnation(LogIndex(index));
        topics.put("T", 2, LogIndex(1));
        assert_eq!(count(&mut topics, "T", 1, 70), Some((life(1), QueueOffset(0))));
        assert_eq!(count(&mut topics, "T", 1, 90), Some((life(1), QueueOffset(1))));
        assert_eq!(count(&mut topics, "T", 2, 99), None);
        topics.put("T", 1, LogIndex(5));
        let topic = topics.find("T").expect("it is there");
        let counter = Counter { next: QueueOffset(2), began: PhysicalOffset(70) };
        assert_eq!((topic.queues(), topic.counter(QueueId(1))), (2, Some(counter)));
        topics.delete("T");
        assert_eq!(count(&mut topics, "T", 0, 120), None);
        topics.put("T", 1, LogIndex(9));
        assert_eq!(count(&mut topics, "T", 0, 130), Some((life(9), QueueOffset(0))));
    }

    #[test]
    fn tables_with_the_same_changes_have_topics_in_the_same_places() {
        let mut one = Topics::default();
        for name in ["A", "B", "C", "D"] {
            one.put(name, 1, LogIndex(1));
        }
        one.delete("B");
        let mut other = one.clone();
        for topics in [&mut one, &mut other] {
            topics.delete("D");
            for name in ["E", "A", "F", "G"] {
                topics.put(name, 3, LogIndex(2));
            }
        }
        for name in ["A", "C", "E", "F", "G"] {
            let slot = one.slot(name).expect("it is there");
            assert_eq!(other.slot(name), Some(slot));
            assert_eq!(one.at(slot).map(|(name, _)| &**name), Some(name));
        }
        assert_eq!((one.slot("B"), one.slots.len()), (None, 5));
    }

    #[test]
    fn a_copy_keeps_what_it_was_made_of() {
        let mut topics = Topics::default();
        topics.put("A", 2, LogIndex(1));
        topics.put("B", 1, LogIndex(2));
        count(&mut topics, "A", 0, 70);
        let copy = topics.clone();
        count(&mut topics, "A", 0, 90);
        count(&mut topics, "A", 1, 95);
        topics.put("B", 3, LogIndex(5));
        topics.put("C", 1, LogIndex(6));
        topics.delete("B");
        let next =
            |topics: &Topics, name, queue| Some(topics.find(name)?.counter(QueueId(queue))?.next.0);
        assert_eq!((next(&copy, "A", 0), next(&copy, "A", 1)), (Some(1), Some(0)));
        assert_eq!(
            (next(&copy, "B", 0), next(&copy, "B", 1), next(&copy, "C", 0)),
            (Some(0), None, None)
        );
        assert_eq!((next(&topics, "A", 0), next(&topics, "A", 1)), (Some(2), Some(1)));
        assert_eq!((next(&topics, "B", 0), next(&topics, "C", 0)), (None, Some(0)));
    }

    #[test]
    fn tables_are_compared_by_what_they_hold() {
        let (mut one, mut other) = (Topics::default(), Topics::default());
        for (a, b) in [("A", "B"), ("B", "A")] {
            one.put(a, 2, LogIndex(1));
            other.put(b, 2, LogIndex(1));
        }
        assert_eq!(one, other);
        count(&mut one, "A", 0, 1);
        assert_ne!(one, other);
        other.delete("B");
        assert_ne!(one, other);
    }
}
