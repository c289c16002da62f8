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

/// All topics at a point of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Topics {
    /// In no order that means anything; the same history of changes gives the same one, for the simulator.
    by_name: HashMap<Rc<str>, Topic, BuildHasherDefault<DefaultHasher>>,
}

impl Topics {
    pub(crate) fn find(&self, name: &str) -> Option<&Topic> {
        self.by_name.get(name)
    }

    /// The name as the table holds it, to be shared.
    pub(crate) fn name(&self, name: &str) -> Option<Rc<str>> {
        self.by_name.get_key_value(name).map(|(name, _)| Rc::clone(name))
    }

    /// Creates a topic, or adds queues to the one that is there. Queues are never taken away: what
    /// they hold stays readable.
    pub(crate) fn put(&mut self, name: &str, queues: u32, index: LogIndex) {
        let topic = match self.by_name.get_mut(name) {
            Some(topic) => topic,
            None => self
                .by_name
                .entry(Rc::from(name))
                .or_insert(Topic { incarnation: Incarnation(index), queues: Vec::new() }),
        };
        let queues = (queues as usize).max(topic.queues.len());
        topic.queues.resize(queues, EMPTY);
    }

    /// Puts back a topic that a checkpoint has kept.
    pub(crate) fn restore(&mut self, name: &str, topic: Topic) {
        let before = self.by_name.insert(Rc::from(name), topic);
        assert!(before.is_none(), "a checkpoint names a topic once");
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Rc<str>, &Topic)> {
        self.by_name.iter()
    }

    pub(crate) fn delete(&mut self, name: &str) -> Option<Topic> {
        self.by_name.remove(name)
    }

    /// All queues, in no order, with the offsets that their next messages get.
    pub(crate) fn queues(&self) -> impl Iterator<Item = (QueueKey, QueueOffset)> {
        self.by_name.values().flat_map(|topic| {
            let incarnation = topic.incarnation;
            let queues = (0..).map(QueueId).zip(&topic.queues);
            queues.map(move |(queue, counter)| (QueueKey { incarnation, queue }, counter.next))
        })
    }

    /// Counts one message, which lies at `at`, in a queue and returns the offset it gets; `None` when
    /// there is no such queue.
    pub(crate) fn count(
        &mut self,
        name: &str,
        queue: QueueId,
        at: PhysicalOffset,
    ) -> Option<(Incarnation, QueueOffset)> {
        let topic = self.by_name.get_mut(name)?;
        let counter = topic.queues.get_mut(queue.0 as usize)?;
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

    #[test]
    fn a_topic_made_again_starts_clean() {
        let mut topics = Topics::default();
        let (life, at) = (|index| Incarnation(LogIndex(index)), PhysicalOffset);
        topics.put("T", 2, LogIndex(1));
        assert_eq!(topics.count("T", QueueId(1), at(70)), Some((life(1), QueueOffset(0))));
        assert_eq!(topics.count("T", QueueId(1), at(90)), Some((life(1), QueueOffset(1))));
        assert_eq!(topics.count("T", QueueId(2), at(99)), None);
        topics.put("T", 1, LogIndex(5));
        let topic = topics.find("T").expect("it is there");
        let counter = Counter { next: QueueOffset(2), began: at(70) };
        assert_eq!((topic.queues(), topic.counter(QueueId(1))), (2, Some(counter)));
        topics.delete("T");
        assert_eq!(topics.count("T", QueueId(0), at(120)), None);
        topics.put("T", 1, LogIndex(9));
        assert_eq!(topics.count("T", QueueId(0), at(130)), Some((life(9), QueueOffset(0))));
    }
}
