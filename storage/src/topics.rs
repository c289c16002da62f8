//! Which topics there are at a point of the log, and how far their queues have counted.
//!
//! The same table stands at three points: what has been drafted, what has been placed, and what has
//! been applied. A topic is known by the index of the entry that made it, so that a deleted and made
//! again topic starts clean.

use std::collections::HashMap;
use std::rc::Rc;

use model::{LogIndex, QueueId, QueueOffset};

/// One life of a topic, from its creation to its deletion: the index of the entry that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Incarnation(pub LogIndex);

/// A topic at a point of the log.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub incarnation: Incarnation,
    /// The next offset of each queue.
    next: Vec<QueueOffset>,
}

impl Topic {
    pub(crate) fn queues(&self) -> u32 {
        u32::try_from(self.next.len()).expect("queues are counted with 32 bits")
    }

    pub(crate) fn next(&self, queue: QueueId) -> Option<QueueOffset> {
        self.next.get(queue.0 as usize).copied()
    }
}

/// All topics at a point of the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topics {
    by_name: HashMap<Rc<str>, Topic>,
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
                .or_insert(Topic { incarnation: Incarnation(index), next: Vec::new() }),
        };
        let queues = (queues as usize).max(topic.next.len());
        topic.next.resize(queues, QueueOffset(0));
    }

    pub(crate) fn delete(&mut self, name: &str) -> Option<Topic> {
        self.by_name.remove(name)
    }

    /// Counts one message in a queue and returns the offset it gets; `None` when there is no such
    /// queue.
    pub(crate) fn count(
        &mut self,
        name: &str,
        queue: QueueId,
    ) -> Option<(Incarnation, QueueOffset)> {
        let topic = self.by_name.get_mut(name)?;
        let next = topic.next.get_mut(queue.0 as usize)?;
        let offset = *next;
        *next = offset.plus(1);
        Some((topic.incarnation, offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_made_again_starts_clean() {
        let mut topics = Topics::default();
        topics.put("T", 2, LogIndex(1));
        assert_eq!(topics.count("T", QueueId(1)), Some((Incarnation(LogIndex(1)), QueueOffset(0))));
        assert_eq!(topics.count("T", QueueId(1)), Some((Incarnation(LogIndex(1)), QueueOffset(1))));
        assert_eq!(topics.count("T", QueueId(2)), None);
        topics.put("T", 1, LogIndex(5));
        let topic = topics.find("T").expect("it is there");
        assert_eq!((topic.queues(), topic.next(QueueId(1))), (2, Some(QueueOffset(2))));
        topics.delete("T");
        assert_eq!(topics.count("T", QueueId(0)), None);
        topics.put("T", 1, LogIndex(9));
        assert_eq!(topics.count("T", QueueId(0)), Some((Incarnation(LogIndex(9)), QueueOffset(0))));
    }
}
