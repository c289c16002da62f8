//! Two stores: what they have in common, where they first differ, and what that means.

use std::path::PathBuf;

use model::{LogIndex, PhysicalOffset, Term};

use super::cursor::Cursor;
use super::{CompareError, StoreSeen, difference};
use crate::replay::Entry;

/// Where a difference lies in one store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The entry's term.
    pub term: Term,
    /// Where the entry begins in the log.
    pub offset: PhysicalOffset,
    /// The segment.
    pub file: PathBuf,
    /// The first byte that differs, in the file.
    pub at: u64,
}

/// The first entry that two stores do not have alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its index.
    pub index: LogIndex,
    /// The fields, or the bytes of the payload, with what they are in both.
    pub what: String,
    /// Where it lies in the one store.
    pub one: Side,
    /// Where it lies in the other one.
    pub other: Side,
}

/// What came of two stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All entries that both have are the same.
    Same,
    /// They differ where not both know the entry as committed: one of them has a tail that was not, and cuts it when it
    /// meets its group.
    TailsDiffer,
    /// Both know as committed what is not the same.
    Differ,
    /// They have no entry in common.
    Nothing,
}

/// What was seen of two stores.
#[derive(Clone, Debug)]
pub struct PairSeen {
    /// The number of the one store.
    pub one: usize,
    /// And of the other one.
    pub other: usize,
    /// Entries that are the same in both.
    pub entries: u64,
    /// Bytes of them that were compared.
    pub bytes: u64,
    /// The first and the last of them.
    pub range: Option<(LogIndex, LogIndex)>,
    /// The first that is not. Nothing behind it was compared.
    pub difference: Option<Difference>,
}

impl PairSeen {
    pub(super) fn new(one: usize, other: usize) -> Self {
        Self { one, other, entries: 0, bytes: 0, range: None, difference: None }
    }

    /// Compares the entry `index`, if both stores are there.
    ///
    /// # Errors
    /// It is the one that founds a group, and not the same.
    pub(super) fn look(
        &mut self,
        index: LogIndex,
        one: &Cursor<'_>,
        other: &Cursor<'_>,
    ) -> Result<(), CompareError> {
        let (Some(ours), Some(theirs)) = (one.at(index), other.at(index)) else { return Ok(()) };
        if self.difference.is_some() {
            return Ok(());
        }
        let Some(differing) = difference::between(&ours.bytes, &theirs.bytes) else {
            self.entries += 1;
            self.bytes += ours.bytes.len() as u64;
            let first = self.range.map_or(index, |(first, _)| first);
            self.range = Some((first, index));
            return Ok(());
        };
        if index == LogIndex(0) {
            let why = "it is the one that founds a group";
            return Err(other_group(&one.seen, &other.seen, index, why));
        }
        let side = |cursor: &Cursor<'_>, entry: &Entry| {
            let (offset, term) = (entry.header.offset, entry.header.term);
            let (file, base) = cursor.segment_of(offset);
            Side { term, offset, file, at: offset.since(base) + differing.at as u64 }
        };
        let (what, one, other) = (differing.to_string(), side(one, ours), side(other, theirs));
        self.difference = Some(Difference { index, what, one, other });
        Ok(())
    }

    /// What came of it, now that it is known what each store knows as committed.
    pub(super) fn judge(&self, one: &StoreSeen, other: &StoreSeen) -> Verdict {
        let both = one.committed.min(other.committed);
        match &self.difference {
            Some(difference) if difference.index < both => Verdict::Differ,
            Some(_) => Verdict::TailsDiffer,
            None if self.entries > 0 => Verdict::Same,
            None => Verdict::Nothing,
        }
    }

    /// Logs that have nothing in common and do not name each other are of two groups.
    pub(super) fn refuse_other_groups(
        &self,
        one: &StoreSeen,
        other: &StoreSeen,
    ) -> Result<(), CompareError> {
        let Some(difference) = self.difference.as_ref().filter(|_| self.entries == 0) else {
            return Ok(());
        };
        let names = |seen: &StoreSeen, member: &StoreSeen| {
            let membership = seen.membership.as_ref();
            membership.is_some_and(|(_, voters)| voters.contains(&member.id.0))
        };
        if names(one, other) || names(other, one) {
            return Ok(());
        }
        let why = "neither is a voter in what the other one says of its group";
        Err(other_group(one, other, difference.index, why))
    }
}

fn other_group(
    one: &StoreSeen,
    other: &StoreSeen,
    index: LogIndex,
    why: &'static str,
) -> CompareError {
    let (one, other) = (one.dir.clone(), other.dir.clone());
    CompareError::OtherGroup { one, other, index, why }
}
