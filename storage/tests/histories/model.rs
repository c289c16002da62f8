//! What a store must hold, as its owner was told. No I/O, no store.

use std::collections::{BTreeMap, VecDeque};

use model::{PhysicalOffset, QueueId, QueueOffset};

/// The number of a message that was not read when it was committed.
pub const UNREAD: u64 = u64::MAX;

/// A message by its number, from which its bytes follow: see [`body`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub number: u64,
    pub topic: String,
    pub queue: QueueId,
}

/// One append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Message(Message),
    TopicPut {
        name: String,
        queues: u32,
    },
    TopicDelete {
        name: String,
    },
    Command {
        number: u64,
    },
    /// The log before this is given up.
    Trim {
        to: PhysicalOffset,
    },
    /// The entry that founds the group; the store makes it itself.
    Membership,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub offset: QueueOffset,
    pub physical: PhysicalOffset,
}

/// A committed entry: its appends, and where those are that are messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub index: u64,
    pub ops: Vec<(Op, Option<Place>)>,
    /// At or beyond its last byte; [`None`] where it is not known.
    pub end: Option<PhysicalOffset>,
}

/// A message in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    pub number: u64,
    pub physical: PhysicalOffset,
}

/// The queues of a topic that was not deleted since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topic {
    pub queues: Vec<Vec<Kept>>,
}

/// The topics there are, and what is in them.
pub type Topics = BTreeMap<String, Topic>;

/// What the owner was told, and what it is still waiting for.
#[derive(Debug, Default)]
pub struct Model {
    /// Every entry that was committed and may not be lost.
    pub entries: Vec<Entry>,
    /// Entries behind them that an owner was told of in a recovery, and gave a state of, before the store was compared:
    /// writes of a life that was killed, which nobody had been told of before. Had the next life no state of them
    /// they could be lost.
    pub glimpsed: Vec<Entry>,
    /// The same as `entries`, entry after entry, as topics and queues.
    pub topics: Topics,
    /// The log before this was given up; messages that lie there are gone.
    pub trimmed: PhysicalOffset,
    /// What was appended in the last life and not told to be committed, in order.
    pub pending: VecDeque<Op>,
    /// Every message ever appended, by its number.
    pub appended: Vec<Message>,
    /// Numbers of commands so far.
    pub commands: u64,
    /// The log is durable up to here.
    pub durable: PhysicalOffset,
    /// The store is being stopped.
    pub stopping: bool,
    /// How often a store has recovered and was found to be right.
    pub recovered: u64,
}

impl Model {
    /// Takes over an entry that the store says is committed. `Err`: how it cannot be what was appended.
    ///
    /// A message of number [`UNREAD`] is whichever was due in its queue.
    pub fn commit(&mut self, mut entry: Entry) -> Result<(), String> {
        let due = self.entries.last().map_or(entry.index, |last| last.index + 1);
        if entry.index != due {
            return Err(format!("entry {} is committed, {due} was due", entry.index));
        }
        for (op, _) in entry.ops.iter_mut().filter(|(op, _)| *op != Op::Membership) {
            let next = self.pending.pop_front();
            if let (Op::Message(told), Some(Op::Message(due))) = (&mut *op, &next)
                && told.number == UNREAD
            {
                told.number = due.number;
            }
            if next.as_ref() != Some(op) {
                return Err(format!("{op:?} is committed, {next:?} was due"));
            }
        }
        enter(&mut self.topics, &entry)?;
        self.trimmed = self.trimmed.max(trim_in(&entry));
        self.entries.push(entry);
        Ok(())
    }

    /// An owner was told of these entries in a recovery, and gives a state of them.
    pub fn glimpse(&mut self, told: impl Iterator<Item = Entry>) {
        for entry in told {
            let known = self.glimpsed.last().or(self.entries.last()).map(|last| last.index);
            if known < Some(entry.index) {
                self.glimpsed.push(entry);
            }
        }
    }

    /// So many entries from the first on, as an owner was told of them. [`None`]: of fewer than that.
    pub fn oldest(&self, count: usize) -> Option<Vec<Entry>> {
        let told: Vec<_> = self.entries.iter().chain(&self.glimpsed).take(count).cloned().collect();
        (told.len() == count).then_some(told)
    }

    /// At or beyond the last byte that was told to be committed.
    pub fn end(&self) -> PhysicalOffset {
        self.entries.last().and_then(|last| last.end).unwrap_or_default()
    }

    /// Messages before this are gone, or may go at any moment.
    pub fn floor(&self) -> PhysicalOffset {
        let pending = self.pending.iter().map(|op| match op {
            Op::Trim { to } => *to,
            _ => PhysicalOffset(0),
        });
        pending.fold(self.trimmed, PhysicalOffset::max)
    }

    /// Forgets the entries from `index` on, which the store may lose and has lost.
    pub fn lose_from(&mut self, index: u64) {
        self.entries.retain(|entry| entry.index < index);
        self.topics.clear();
        for entry in &self.entries {
            enter(&mut self.topics, entry).expect("it was entered before");
        }
        let trims = self.entries.iter().map(trim_in);
        self.trimmed = trims.fold(PhysicalOffset(0), PhysicalOffset::max);
    }
}

/// Up to where an entry gives up the log.
fn trim_in(entry: &Entry) -> PhysicalOffset {
    let trims = entry.ops.iter().map(|(op, _)| match op {
        Op::Trim { to } => *to,
        _ => PhysicalOffset(0),
    });
    trims.fold(PhysicalOffset(0), PhysicalOffset::max)
}

/// What an entry does to the topics. `Err`: a message is not at the next offset of its queue.
fn enter(topics: &mut Topics, entry: &Entry) -> Result<(), String> {
    for (op, place) in &entry.ops {
        match op {
            Op::Message(message) => {
                let queue = topics
                    .get_mut(&message.topic)
                    .and_then(|topic| topic.queues.get_mut(message.queue.0 as usize));
                let queue = queue.ok_or_else(|| format!("{message:?} is in no queue"))?;
                let place = place.ok_or_else(|| format!("{message:?} has no place"))?;
                if place.offset.0 != queue.len() as u64 {
                    let due = queue.len();
                    return Err(format!("{message:?} is at {place:?}, offset {due} was due"));
                }
                queue.push(Kept { number: message.number, physical: place.physical });
            }
            Op::TopicPut { name, queues } => {
                let topic = topics.entry(name.clone()).or_default();
                let queues = topic.queues.len().max(*queues as usize);
                topic.queues.resize(queues, Vec::new());
            }
            Op::TopicDelete { name } => drop(topics.remove(name)),
            Op::Command { .. } | Op::Membership | Op::Trim { .. } => {}
        }
    }
    Ok(())
}

/// The bytes of message `number`: its number, then as many bytes as the number says.
pub fn body(number: u64) -> Vec<u8> {
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let len = match mixed >> 58 {
        0..40 => (mixed >> 20) % 700,
        40..61 => (mixed >> 20) % 6_000,
        61 => 0,
        _ => (mixed >> 20) % 700_000,
    };
    let mut body = number.to_le_bytes().to_vec();
    let filler = mixed.to_le_bytes();
    body.extend(
        (0..usize::try_from(len).expect("small")).map(|at| filler[at % 8] ^ (at >> 3) as u8),
    );
    body
}

/// The number of the message with this body, if it is one.
pub fn number_of(bytes: &[u8]) -> Option<u64> {
    let number = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    (body(number) == bytes).then_some(number)
}

/// Found by a history: a start gave its owner's state, which covered what a killed life had left in flight, and lost its
/// power before it was compared; the next start began at that state.
#[test]
fn what_a_start_handed_out_before_it_died_is_known_to_the_next_one() {
    let entry = |index| Entry { index, ops: vec![(Op::Membership, None)], end: None };
    let mut model = Model::default();
    model.commit(entry(0)).expect("the first one");
    assert_eq!(model.oldest(2), None, "nobody was told of a second one");
    model.glimpse([entry(0), entry(1)].into_iter());
    assert_eq!(model.oldest(2), Some(vec![entry(0), entry(1)]));
    // The next start dies the same way, and has found one more.
    model.glimpse([entry(1), entry(2)].into_iter());
    assert_eq!(model.oldest(3), Some(vec![entry(0), entry(1), entry(2)]));
    assert_eq!(model.oldest(4), None);
    assert_eq!(model.entries, [entry(0)], "they were not acknowledged, and may be lost");
}
