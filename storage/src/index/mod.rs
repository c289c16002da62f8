//! Where the messages of each queue are.
//!
//! The newest part of the index grows in memory, older parts are files ([`crate::part`]). A part never
//! crosses segments, so that a segment and its part of the index come and go together.

mod keys;
mod message;
mod parts;
mod queues;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use model::{LogIndex, PhysicalOffset, QueueId, tag};

use keys::Noted;
pub(crate) use keys::message_keys;
pub(crate) use message::Message;
pub(crate) use parts::Merged;
pub use queues::{QueueRange, Reach, Unit};

use crate::checkpoint::{Checkpoint, Mins};
use crate::membership::Membership;
use crate::part::{Frozen, Growing, Packed, PartFile, QueueKey, key_hash};
use crate::position::Position;
use crate::topics::Topics;

/// What the index has noted of a record.
#[derive(Debug)]
pub(crate) struct Added {
    /// The topic's shared name.
    pub topic: Rc<str>,
    pub unit: Unit,
}

/// The index of all queues, and what else the applied log comes to.
#[derive(Debug)]
pub(crate) struct Index {
    segment_size: u64,
    topics: Topics,
    membership: Option<Membership>,
    /// The log before this is given up.
    trim: PhysicalOffset,
    /// Where queues begin that have lost messages to a trim.
    mins: Mins,
    /// Bytes of the largest record there ever was.
    largest: u32,
    growing: Growing,
    /// Parts that are being written, oldest first.
    frozen: VecDeque<Rc<Frozen>>,
    /// Parts on the disk, by where they begin.
    files: BTreeMap<PhysicalOffset, Rc<PartFile>>,
}

impl Index {
    /// An index of nothing, whose first part begins at `from`.
    pub(crate) fn new(segment_size: u64, from: PhysicalOffset) -> Self {
        let base = PhysicalOffset(from.0 / segment_size * segment_size);
        Self {
            segment_size,
            topics: Topics::default(),
            membership: None,
            trim: PhysicalOffset(0),
            mins: Mins::default(),
            largest: 0,
            growing: Growing::new(base, from),
            frozen: VecDeque::new(),
            files: BTreeMap::new(),
        }
    }

    /// The index as it was at a checkpoint, without what only the owner of the store understands.
    pub(crate) fn restore(segment_size: u64, checkpoint: Checkpoint, files: Vec<PartFile>) -> Self {
        let Checkpoint { position, trim, largest_record, membership, topics, mins, owner: _ } =
            checkpoint;
        let files = files.into_iter().map(|file| (file.span().from, Rc::new(file))).collect();
        Self {
            topics,
            membership: Some(membership),
            trim,
            mins,
            largest: largest_record,
            files,
            ..Self::new(segment_size, position.offset)
        }
    }

    /// What a checkpoint at `position` holds; `owner` is left to the owner.
    pub(crate) fn checkpoint(&self, position: Position) -> Checkpoint {
        Checkpoint {
            position,
            trim: self.trim,
            largest_record: self.largest,
            membership: self.membership.clone().expect("the first entry of a log is a membership"),
            topics: self.topics.clone(),
            mins: Rc::clone(&self.mins),
            owner: Vec::new(),
        }
    }

    /// Bytes that no record in the log exceeds.
    pub(crate) fn largest_record(&self) -> u32 {
        self.largest
    }

    pub(crate) fn topics(&self) -> &Topics {
        &self.topics
    }

    /// Who belongs to the group; `None` before the first entry.
    pub(crate) fn membership(&self) -> Option<&Membership> {
        self.membership.as_ref()
    }

    /// Whether the log, as far as it was read, is that of a group with others.
    pub(crate) fn is_of_group(&self) -> bool {
        matches!(self.membership, Some(Membership::Group { .. }))
    }

    pub(crate) fn set_membership(&mut self, membership: Membership) {
        self.membership = Some(membership);
    }

    /// Where the log begins for readers.
    pub(crate) fn trimmed_to(&self) -> PhysicalOffset {
        self.trim
    }

    /// The log before `to` is given up; `mins` says where the queues begin now. The parts before are
    /// given back, oldest first.
    pub(crate) fn trim(&mut self, to: PhysicalOffset, mins: Mins) -> Vec<Rc<PartFile>> {
        assert!(to >= self.trim, "what was given up stays so");
        (self.trim, self.mins) = (to, mins);
        let kept = self.files.split_off(&to);
        std::mem::replace(&mut self.files, kept).into_values().collect()
    }

    pub(crate) fn put_topic(&mut self, name: &str, queues: u32, index: LogIndex) {
        self.topics.put(name, queues, index);
    }

    pub(crate) fn delete_topic(&mut self, name: &str) {
        let Some(topic) = self.topics.delete(name) else {
            return;
        };
        let incarnation = topic.incarnation;
        let queues = (0..topic.queues()).map(QueueId);
        self.growing.remove_queues(queues.map(|queue| QueueKey { incarnation, queue }));
    }

    /// Adds a committed message. `Err` says how it does not follow from the log before it.
    pub(crate) fn add(&mut self, message: &Message<'_>) -> Result<Added, String> {
        let Message { topic: name, queue, physical, size, crc, stored, .. } = *message;
        let slot = self.topics.slot_from(message.slot, name);
        let counted = slot.and_then(|slot| self.topics.count(slot, queue, physical));
        let (Some(slot), Some((incarnation, offset))) = (slot, counted) else {
            return Err(format!("a message of queue {queue} of `{name}`, which does not exist"));
        };
        if offset != message.offset {
            let found = message.offset;
            return Err(format!("offset {found} in queue {queue} of `{name}`, {offset} was due"));
        }
        let base = self.growing.base();
        assert!(physical.since(base) < self.segment_size, "a part never crosses segments");
        let at = u32::try_from(physical.since(base)).expect("segments are below 4 GiB");
        self.largest = self.largest.max(size);
        let noted = Noted::of(message.properties);
        let tag_hash = noted.tag.map_or(0, tag::tag_hash);
        let tag_hash = i32::try_from(tag_hash).expect("the hash of a string is an int");
        let (key, unit) = (QueueKey { incarnation, queue }, Packed { at, size, tag_hash, crc });
        let hashes = noted.keys().map(|key| key_hash(name, key));
        self.growing.add(key, offset, unit, stored, hashes);
        let (topic, _) = self.topics.at(slot).expect("it was just counted");
        Ok(Added { topic: Rc::clone(topic), unit: unit.unit(base) })
    }
}

#[cfg(test)]
mod tests;
