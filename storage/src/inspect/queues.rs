//! Whether every record is whole, and every queue counts without a gap.

use std::collections::HashMap;

use model::{PhysicalOffset, Record};

use super::tally::Tally;
use crate::builder::MAX_QUEUES;
use crate::command::TopicCommand;
use crate::entry::{ENTRY_HEADER_LEN, Kind};
use crate::replay::Entry;
use crate::topics::Topics;

/// Problems of one entry that are told, at most.
const MOST: usize = 8;

/// What is wrong within an entry whose own checksum holds.
#[derive(Debug)]
pub(super) struct Problem {
    pub offset: PhysicalOffset,
    pub what: String,
    /// A start that reads the entry stops there.
    pub stops: bool,
}

/// How far a queue has counted.
#[derive(Clone, Copy, Debug)]
struct Count {
    next: u64,
    /// Nothing of the log that could have counted it was left out.
    sure: bool,
}

/// The queues at a point of the log, as far as the log before it was read.
#[derive(Debug)]
pub(super) struct Queues {
    topics: HashMap<String, Vec<Count>>,
    /// Every topic there is, is known.
    sure: bool,
}

impl Queues {
    /// Before the first entry of all.
    pub(super) fn none() -> Self {
        Self { topics: HashMap::new(), sure: true }
    }

    /// At a point of which nothing is known.
    pub(super) fn unknown() -> Self {
        Self { sure: false, ..Self::none() }
    }

    /// As a checkpoint tells.
    pub(super) fn of(topics: &Topics) -> Self {
        let count = |next: u64| Count { next, sure: true };
        let counts = topics.iter().map(|(name, topic)| {
            let counters = topic.counters().iter();
            (name.to_string(), counters.map(|counter| count(counter.next.0)).collect())
        });
        Self { topics: counts.collect(), sure: true }
    }

    /// Topics there are.
    pub(super) fn topics(&self) -> u64 {
        self.topics.len() as u64
    }

    /// Something of the log is left out.
    pub(super) fn lose_track(&mut self) {
        self.sure = false;
        for count in self.topics.values_mut().flatten() {
            count.sure = false;
        }
    }

    /// Looks at an entry and counts it.
    pub(super) fn enter(&mut self, entry: &Entry, tally: &mut Tally) -> Vec<Problem> {
        let mut problems = Vec::new();
        tally.enter(entry);
        match entry.header.kind {
            Kind::Messages => self.messages(entry, tally, &mut problems),
            Kind::Topic => match TopicCommand::from_bytes(&entry.payload) {
                Ok(command) => self.topic(command),
                Err(what) => {
                    problems.push(Problem { offset: entry.header.offset, what, stops: true })
                }
            },
            Kind::Membership | Kind::Command | Kind::Trim | Kind::Blank => {}
        }
        problems
    }

    fn topic(&mut self, command: TopicCommand) {
        match command {
            TopicCommand::Put { name, queues, .. } => {
                let sure = self.sure;
                let counts = self.topics.entry(name).or_default();
                let queues = (queues as usize).max(counts.len());
                counts.resize(queues, Count { next: 0, sure });
            }
            TopicCommand::Delete { name } => drop(self.topics.remove(&name)),
        }
    }

    fn messages(&mut self, entry: &Entry, tally: &mut Tally, problems: &mut Vec<Problem>) {
        let mut at = entry.header.offset.plus(ENTRY_HEADER_LEN as u64);
        let (mut left, mut number) = (&entry.payload[..], 0);
        while !left.is_empty() && problems.len() < MOST {
            let record = match Record::parse(left) {
                Ok(record) => record,
                Err(error) => {
                    let what = format!("record {number} of the entry: {error}");
                    return problems.push(Problem { offset: at, what, stops: true });
                }
            };
            let here = record.physical_offset();
            if here != at {
                let what = format!("the record says that it is at offset {here}");
                problems.push(Problem { offset: at, what, stops: true });
            }
            if let Err(error) = record.check_body() {
                problems.push(Problem { offset: at, what: error.to_string(), stops: false });
            }
            if let Some(what) = self.count(&record) {
                problems.push(Problem { offset: at, what, stops: true });
            }
            tally.message(record.topic());
            at = at.plus(record.bytes().len() as u64);
            left = &left[record.bytes().len()..];
            number += 1;
        }
        if left.is_empty() && number != entry.header.records {
            let what = format!("{number} records, the entry says {}", entry.header.records);
            problems.push(Problem { offset: entry.header.offset, what, stops: true });
        }
    }

    /// Counts a record; says what is wrong with its place in its queue.
    fn count(&mut self, record: &Record<'_>) -> Option<String> {
        let (name, queue) = (record.topic(), record.queue_id());
        let found = record.queue_offset().0;
        let known = self.topics.get_mut(name);
        let Some(count) = known.and_then(|counts| counts.get_mut(queue.0 as usize)) else {
            if self.sure {
                return Some(format!(
                    "a message of queue {queue} of `{name}`, which does not exist"
                ));
            }
            return self.learn(name, queue.0, found);
        };
        let due = count.next;
        let follows = found == due || !count.sure && found >= due;
        *count = Count { next: found.saturating_add(1), sure: true };
        (!follows).then(|| format!("offset {found} in queue {queue} of `{name}`, {due} was due"))
    }

    /// A queue is seen for the first time, in a log whose beginning was not read.
    fn learn(&mut self, name: &str, queue: u32, found: u64) -> Option<String> {
        let queue = queue as usize;
        if queue >= MAX_QUEUES as usize {
            return Some(format!("a message of queue {queue} of `{name}`: no topic has so many"));
        }
        let counts = self.topics.entry(name.to_owned()).or_default();
        counts.resize(counts.len().max(queue + 1), Count { next: 0, sure: false });
        counts[queue] = Count { next: found.saturating_add(1), sure: true };
        None
    }
}
