//! What is acknowledged stays, in its place; no place is given twice; what is sent later comes behind; and whoever reaches
//! nobody acknowledges nothing.

use std::collections::BTreeMap;

use raft::MemberId;
use runtime::Instant;

use crate::content::queue_of;
use crate::report::{Report, Taken};

/// A message, when it is sent.
struct Sent {
    at: Instant,
    /// The newest offset in its queue that was acknowledged before.
    behind: Option<u64>,
}

/// Who acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct By {
    pub member: MemberId,
    pub life: u32,
    pub term: u64,
}

#[derive(Default)]
pub struct Acknowledged {
    sent: BTreeMap<u32, Sent>,
    /// By queue and offset.
    taken: BTreeMap<(u32, u64), Taken>,
    numbers: BTreeMap<u32, Taken>,
    /// The newest of each sender in each queue.
    last: BTreeMap<(By, u32), Taken>,
    /// Members that reach nobody, and since when.
    alone: BTreeMap<MemberId, Instant>,
}

impl Acknowledged {
    pub fn sent(&mut self, number: u32, at: Instant) {
        let behind = self.newest(queue_of(number).0);
        let before = self.sent.insert(number, Sent { at, behind });
        assert!(before.is_none(), "each message is sent once");
    }

    fn newest(&self, queue: u32) -> Option<u64> {
        self.taken.range((queue, 0)..=(queue, u64::MAX)).next_back().map(|((_, at), _)| *at)
    }

    /// Nothing that a member is sent gets to anybody, from now on or until now.
    pub fn alone(&mut self, member: MemberId, since: Option<Instant>) {
        match since {
            Some(since) => drop(self.alone.entry(member).or_insert(since)),
            None => drop(self.alone.remove(&member)),
        }
    }

    pub fn acknowledged(&mut self, by: By, taken: Taken) {
        let sent = self.sent.get(&taken.number).expect("somebody has sent it");
        assert!(
            sent.behind < Some(taken.queue_offset),
            "{taken:?} was sent behind {:?}",
            sent.behind
        );
        let alone = self.alone.get(&by.member);
        assert!(
            alone.is_none_or(|since| sent.at < *since),
            "{by:?} acknowledges {taken:?}, and nobody else can have it"
        );
        let before = self.taken.insert((taken.queue, taken.queue_offset), taken);
        assert_eq!(before, None, "{by:?} acknowledges {taken:?} in the same place");
        let before = self.numbers.insert(taken.number, taken);
        assert_eq!(before, None, "{by:?} acknowledges {taken:?} again");
        if let Some(last) = self.last.insert((by, taken.queue), taken) {
            let in_order = last.number < taken.number && last.queue_offset < taken.queue_offset;
            assert!(in_order, "{last:?} and {taken:?} were sent in their order");
        }
    }

    /// All of it is there, but for what was trimmed, and nothing that nobody has sent, or twice.
    pub fn is_there(&self, report: &Report) {
        let found: BTreeMap<_, _> =
            report.taken.iter().map(|taken| ((taken.queue, taken.queue_offset), *taken)).collect();
        for (place, taken) in self.taken.iter().filter(|(_, taken)| taken.physical >= report.begin)
        {
            assert_eq!(found.get(place), Some(taken), "it was acknowledged there");
        }
        let mut numbers = BTreeMap::new();
        for taken in &report.taken {
            assert!(self.sent.contains_key(&taken.number), "nobody has sent {taken:?}");
            let before = numbers.insert(taken.number, taken);
            assert_eq!(before, None, "{taken:?} is there twice");
        }
        assert!(self.taken.is_empty() || !report.taken.is_empty(), "the newest are never trimmed");
    }

    pub fn count(&self) -> usize {
        self.taken.len()
    }
}
