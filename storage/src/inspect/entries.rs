//! The log entry by entry, for a reader.

use std::path::PathBuf;

use model::{LogIndex, PhysicalOffset, Term, UnixMillis};
use runtime::{IoError, Slice};

use super::view::View;
use super::walk::{Step, Walk};
use crate::command::{CommandKind, TopicCommand, Trim};
use crate::entry::{ENTRY_HEADER_LEN, Kind};
use crate::membership::Membership;
use crate::replay::Entry;

/// An intact entry.
#[derive(Clone, Debug)]
pub struct EntryRow {
    /// Where its header begins.
    pub offset: PhysicalOffset,
    /// Its place in the log.
    pub index: LogIndex,
    /// Its term.
    pub term: Term,
    /// Its generation: raised at every start.
    pub generation: u64,
    /// When it was placed.
    pub time: UnixMillis,
    /// Records in it.
    pub records: u32,
    /// Bytes of its payload.
    pub len: usize,
    /// What it holds.
    pub content: Content,
}

/// What an entry holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// Nothing.
    Blank,
    /// Who belongs to the group.
    Membership {
        /// Store ids.
        voters: Vec<u128>,
    },
    /// Records, one behind the other; the first one is at `at`.
    Messages {
        /// Where the first record begins.
        at: PhysicalOffset,
        /// Their bytes.
        records: Slice,
    },
    /// A topic was created or changed.
    TopicPut {
        /// Its name.
        name: String,
        /// Its queues.
        queues: u32,
        /// The owner's payload.
        payload: Vec<u8>,
    },
    /// A topic was deleted.
    TopicDeleted {
        /// Its name.
        name: String,
    },
    /// A command of the owner's.
    Command {
        /// Its kind.
        kind: CommandKind,
        /// Its bytes.
        payload: Slice,
    },
    /// The log before this offset was given up.
    Trimmed {
        /// Where it begins from then on.
        to: PhysicalOffset,
    },
    /// Another version wrote it.
    Unknown {
        /// What is wrong with it.
        why: String,
    },
}

impl Content {
    fn of(entry: &Entry) -> Self {
        let payload = &entry.payload;
        let unknown = |why: String| Self::Unknown { why };
        match entry.header.kind {
            Kind::Membership => {
                Membership::of_entry(entry.header.index, entry.header.term, payload)
                    .and_then(|membership| membership.voters())
                    .map_or_else(unknown, |voters| Self::Membership { voters })
            }
            Kind::Messages => Self::Messages {
                at: entry.header.offset.plus(ENTRY_HEADER_LEN as u64),
                records: payload.clone(),
            },
            Kind::Topic => match TopicCommand::from_bytes(payload) {
                Ok(TopicCommand::Put { name, queues, payload }) => {
                    Self::TopicPut { name, queues, payload }
                }
                Ok(TopicCommand::Delete { name }) => Self::TopicDeleted { name },
                Err(why) => unknown(why),
            },
            Kind::Command => match payload.first() {
                Some(kind) => Self::Command {
                    kind: CommandKind(*kind),
                    payload: payload.slice(1..payload.len()),
                },
                None => unknown("a command without a kind".into()),
            },
            Kind::Blank => Self::Blank,
            Kind::Trim => Trim::from_bytes(payload)
                .map_or_else(unknown, |trim| Self::Trimmed { to: PhysicalOffset(trim.to) }),
        }
    }
}

/// What comes next in a log.
#[derive(Clone, Debug)]
pub enum Seen {
    /// An entry.
    Entry(EntryRow),
    /// Damage; what follows is what could be found behind it.
    Damage {
        /// The file.
        file: PathBuf,
        /// Where the damage begins.
        offset: PhysicalOffset,
        /// What is wrong.
        why: String,
    },
    /// The end of the log.
    End {
        /// Where it is.
        offset: Option<PhysicalOffset>,
        /// A write that was not finished follows.
        torn: bool,
    },
}

/// The entries of a log, one after the other.
pub struct Entries<'a> {
    walk: Walk<'a>,
    from: PhysicalOffset,
}

impl View {
    /// The entries that begin at `from` or behind it. Reading begins where the segment of `from` does.
    #[must_use]
    pub fn entries(&self, from: PhysicalOffset) -> Entries<'_> {
        let walk = Walk::new(self, from, PhysicalOffset(0), PhysicalOffset(u64::MAX));
        Entries { walk, from }
    }
}

impl Entries<'_> {
    /// The next one; [`Seen::End`] again and again at the end.
    ///
    /// # Errors
    /// A file cannot be opened.
    pub async fn next(&mut self) -> Result<Seen, IoError> {
        loop {
            match self.walk.next().await? {
                Step::Entry { entry, .. } if entry.header.offset < self.from => {}
                Step::Entry { entry, .. } => {
                    let header = &entry.header;
                    return Ok(Seen::Entry(EntryRow {
                        offset: header.offset,
                        index: header.index,
                        term: header.term,
                        generation: entry.local.generation,
                        time: header.timestamp,
                        records: header.records,
                        len: entry.payload.len(),
                        content: Content::of(&entry),
                    }));
                }
                Step::Bad(bad) => {
                    let (file, offset, why) = (bad.file, bad.offset, bad.why);
                    return Ok(Seen::Damage { file, offset, why });
                }
                Step::End(end) => {
                    let offset = end.position.map(|position| position.offset);
                    return Ok(Seen::End { offset, torn: end.torn });
                }
            }
        }
    }
}
