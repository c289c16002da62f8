//! What a stretch of the log holds, counted.

use std::collections::BTreeMap;

use model::{PhysicalOffset, UnixMillis};

use crate::entry::entry_len;
use crate::replay::Entry;

/// What a stretch of the log holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Intact entries.
    pub entries: u64,
    /// Messages in them.
    pub messages: u64,
    /// Messages of each topic.
    pub topics: BTreeMap<String, u64>,
    /// Bytes of the entries, headers and padding included.
    pub bytes: u64,
    /// Where the first one begins, and the last one ends.
    pub range: Option<(PhysicalOffset, PhysicalOffset)>,
    /// The oldest and the newest time.
    pub times: Option<(UnixMillis, UnixMillis)>,
}

impl Tally {
    pub(super) fn enter(&mut self, entry: &Entry) {
        let (header, len) = (&entry.header, entry_len(entry.payload.len()) as u64);
        self.entries += 1;
        self.bytes += len;
        let first = self.range.map_or(header.offset, |(first, _)| first);
        self.range = Some((first, header.offset.plus(len)));
        let (oldest, newest) = self.times.unwrap_or((header.timestamp, header.timestamp));
        self.times = Some((oldest.min(header.timestamp), newest.max(header.timestamp)));
    }

    pub(super) fn message(&mut self, topic: &str) {
        self.messages += 1;
        match self.topics.get_mut(topic) {
            Some(count) => *count += 1,
            None => drop(self.topics.insert(topic.to_owned(), 1)),
        }
    }
}
