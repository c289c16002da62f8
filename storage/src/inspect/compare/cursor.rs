//! One store of a comparison, read entry by entry.

use std::path::PathBuf;

use model::{LogIndex, PhysicalOffset};
use runtime::{BLOCK, File, IoError, OpenMode};

use super::super::view::View;
use super::super::walk::{Bad, Step, Walk, Wrong};
use super::{EntryPlace, LogDamage, StoreSeen};
use crate::entry::{Kind, entry_len};
use crate::membership::Membership;
use crate::replay::Entry;
use crate::segment;

/// A store, and how far it was read.
pub(super) struct Cursor<'a> {
    view: &'a View,
    walk: Walk<'a>,
    /// The entry that was read last, until it is passed.
    pub(super) head: Option<Entry>,
    is_done: bool,
    pub(super) seen: StoreSeen,
}

impl<'a> Cursor<'a> {
    pub(super) async fn new(view: &'a View) -> Result<Self, IoError> {
        let oldest = view.oldest().unwrap_or_default();
        let walk = Walk::new(view, oldest, PhysicalOffset(0), PhysicalOffset(u64::MAX));
        let seen = StoreSeen {
            dir: view.dir.clone(),
            id: view.id,
            first: None,
            last: None,
            end: None,
            committed: view.vote().map_or(LogIndex(0), |vote| vote.purged.before),
            torn: false,
            membership: None,
            damage: None,
            bytes: 0,
        };
        let mut cursor = Self { view, walk, head: None, is_done: false, seen };
        cursor.ask_checkpoint().await?;
        Ok(cursor)
    }

    /// What the newest intact checkpoint knows: only what is committed is in one.
    async fn ask_checkpoint(&mut self) -> Result<(), IoError> {
        let checkpoints = self.view.checkpoints();
        for offset in checkpoints.list().await?.into_iter().rev() {
            let Ok(Ok(checkpoint)) = checkpoints.read(offset).await else { continue };
            self.seen.committed = self.seen.committed.max(checkpoint.position.index);
            self.believe(checkpoint.membership);
            return Ok(());
        }
        Ok(())
    }

    /// Who belongs to the group, unless something newer is known.
    fn believe(&mut self, membership: Membership) {
        let Ok(voters) = membership.voters() else { return };
        let (index, ..) = membership.into_entry();
        if self.seen.membership.as_ref().is_none_or(|(known, _)| *known <= index) {
            self.seen.membership = Some((index, voters));
        }
    }

    /// Reads on until there is an entry that was not passed, or the log ends. Not cancel safe.
    pub(super) async fn fill(&mut self) -> Result<(), IoError> {
        while self.head.is_none() && !self.is_done {
            match self.walk.next().await? {
                Step::Entry { entry, .. } => self.note(entry),
                Step::Bad(bad) => self.note_damage(bad),
                Step::End(end) => {
                    self.seen.torn = end.torn;
                    self.seen.end = end.position.map(|position| position.offset);
                    self.is_done = true;
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, entry: Entry) {
        let header = &entry.header;
        let place = EntryPlace { index: header.index, term: header.term, offset: header.offset };
        self.seen.first.get_or_insert(place);
        self.seen.last = Some(place);
        self.seen.bytes += entry_len(entry.payload.len()) as u64;
        self.seen.committed = self.seen.committed.max(entry.local.committed);
        if header.kind == Kind::Membership
            && let Ok(membership) = Membership::of_entry(header.index, header.term, &entry.payload)
        {
            self.believe(membership);
        }
        self.head = Some(entry);
    }

    fn note_damage(&mut self, bad: Bad) {
        let is_entry = bad.what == Wrong::Entry;
        let index = bad.before.filter(|_| is_entry).map(|(before, _)| before.index);
        let (file, offset, why) = (bad.file, bad.offset, bad.why);
        self.seen.damage.get_or_insert(LogDamage { file, offset, index, why, beside: None });
    }

    /// The index that it is at.
    pub(super) fn index(&self) -> Option<LogIndex> {
        self.head.as_ref().map(|entry| entry.header.index)
    }

    /// Its entry, if it is at `index`.
    pub(super) fn at(&self, index: LogIndex) -> Option<&Entry> {
        self.head.as_ref().filter(|entry| entry.header.index == index)
    }

    /// Goes on behind `index`.
    pub(super) fn pass(&mut self, index: LogIndex) {
        self.head = self.head.take().filter(|entry| entry.header.index > index);
    }

    /// The segment that holds `offset`, and where it begins.
    pub(super) fn segment_of(&self, offset: PhysicalOffset) -> (PathBuf, PhysicalOffset) {
        let base = PhysicalOffset(offset.0 / self.view.segment_size * self.view.segment_size);
        (self.view.log_dir.join(segment::name(base)), base)
    }

    /// Where the entry `index` should be, if it is the first one that is damaged.
    pub(super) fn damaged_at(&self, index: LogIndex) -> Option<PhysicalOffset> {
        let damage = self.seen.damage.as_ref().filter(|damage| damage.index == Some(index))?;
        Some(damage.offset)
    }

    /// The bytes at `offset`, as they are; `None` if they cannot be read.
    pub(super) async fn bytes_at(&self, offset: PhysicalOffset, len: usize) -> Option<Vec<u8>> {
        let (path, base) = self.segment_of(offset);
        let at = offset.since(base);
        let begin = at / BLOCK as u64 * BLOCK as u64;
        let into = usize::try_from(at - begin).expect("less than a block");
        let file = File::open(&path, OpenMode::ReadOnly).await.ok()?;
        let read = file.read_at(begin, (into + len).next_multiple_of(BLOCK)).await;
        file.close().await.ok()?;
        let bytes = read.ok()?;
        Some(bytes.get(into..bytes.len().min(into + len))?.to_vec())
    }
}
