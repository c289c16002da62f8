//! What is applied at an index is the same in all members, in all their lives. The header of an entry is compared with
//! all before it, whose checksums are chained.

use std::collections::BTreeMap;

use raft::MemberId;

/// Bytes of an entry's header that are the same in all members.
pub const REPLICATED: usize = 56;

/// An entry that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub term: u64,
    pub time: u64,
    /// What it came to, in short, and a checksum of all of that.
    pub what: (String, u32),
    /// Its header, if that could be read.
    pub header: Option<Vec<u8>>,
}

#[derive(Default)]
pub struct Entries {
    committed: BTreeMap<u64, Entry>,
    /// The newest entry of each term.
    terms: BTreeMap<u64, u64>,
    /// Behind what each life has applied.
    next: BTreeMap<(MemberId, u32), u64>,
}

impl Entries {
    /// A member has applied an entry.
    pub fn applied(&mut self, member: MemberId, life: u32, index: u64, entry: Entry) {
        let next = self.next.insert((member, life), index + 1);
        assert!(next.is_none_or(|next| next == index), "{member} goes from {next:?} to {index}");
        let newest = self.terms.entry(entry.term).or_insert(index);
        *newest = index.max(*newest);
        let Some(known) = self.committed.get_mut(&index) else {
            self.committed.insert(index, entry);
            return;
        };
        let both = |entry: &Entry| (entry.term, entry.time, entry.what.clone());
        assert_eq!(both(known), both(&entry), "{member} applies something else at {index}");
        match (&known.header, &entry.header) {
            (Some(known), Some(header)) => {
                assert_eq!(known, header, "{member} has another header at {index}");
            }
            (None, Some(_)) => known.header = entry.header,
            (_, None) => {}
        }
    }

    /// Whether any member has applied an entry at this index.
    pub fn is_known(&self, index: u64) -> bool {
        self.committed.contains_key(&index)
    }

    /// The newest entry that was committed in a term before this one.
    pub fn last_before(&self, term: u64) -> Option<u64> {
        self.terms.range(..term).map(|(_, index)| *index).max()
    }

    /// Term and index of all that was committed, in its order.
    pub fn places(&self) -> Vec<(u64, u64)> {
        self.committed.iter().map(|(index, entry)| (entry.term, *index)).collect()
    }

    pub fn count(&self) -> usize {
        self.committed.len()
    }
}
