//! Where the terms of a log end, without reading all of it.

use model::{LogIndex, Term};

use super::EntryReader;
use super::error::EntryLogError;
use super::reader::Shared;
use crate::error::StoreError;

/// An entry, and its term.
pub type InTerm = (LogIndex, Term);

impl EntryReader {
    /// The last entry of each term among those from `first` to `last`, which the log has, the one of `last` among them. Terms never
    /// fall along a log, so only of segments in which another one begins more is read than their first entry. Cancel safe.
    ///
    /// # Errors
    /// The disk failed, or an entry that was read is not what was written.
    pub async fn ends_of_terms(
        &self,
        first: InTerm,
        last: InTerm,
    ) -> Result<Vec<InTerm>, EntryLogError> {
        loop {
            let cuts = self.shared.cuts.get();
            let ends = ends_of_terms(&self.shared, first, last).await;
            if self.shared.cuts.get() == cuts {
                return Ok(ends?);
            }
        }
    }
}

async fn ends_of_terms(
    shared: &Shared,
    first: InTerm,
    last: InTerm,
) -> Result<Vec<InTerm>, StoreError> {
    assert!(first.0 <= last.0 && first.1 <= last.1, "terms never fall along a log");
    let segments = shared.log.all().into_iter().map(|segment| segment.header.index);
    let between: Vec<_> = segments.filter(|index| first.0 < *index && *index < last.0).collect();
    let (mut ends, mut begin) = (Vec::new(), first);
    for index in between {
        if begin.1 == last.1 {
            break;
        }
        let next = (index, shared.term_of(index).await?);
        shared.add_ends(&mut ends, begin, next).await?;
        begin = next;
    }
    shared.add_ends(&mut ends, begin, last).await?;
    ends.push(last);
    Ok(ends)
}

impl Shared {
    async fn term_of(&self, index: LogIndex) -> Result<Term, StoreError> {
        let mut replay = self.walk_to(index).await?;
        Ok(self.next_of(&mut replay).await?.header.term)
    }

    /// Adds the last entries of the terms that end between `begin` and `end`.
    async fn add_ends(
        &self,
        ends: &mut Vec<InTerm>,
        begin: InTerm,
        end: InTerm,
    ) -> Result<(), StoreError> {
        if begin.1 == end.1 {
            return Ok(());
        }
        let (mut replay, mut last) = (self.walk_to(begin.0).await?, begin);
        while last.1 < end.1 {
            let header = self.next_of(&mut replay).await?.header;
            if header.term > last.1 {
                ends.push(last);
            }
            last = (header.index, header.term);
        }
        assert!(last.0 <= end.0, "it has the term that it had");
        Ok(())
    }
}
