//! Reading the log back, for replication and for applying.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::rc::Rc;

use futures::{Stream, stream};
use openraft::type_config::alias::{EntryOf, VoteOf};
use openraft::{OptionalSend, RaftLogReader};

use super::entry::{from_log, weight};
use super::error::LogError;
use super::shared::Shared;
use crate::types::Types;

/// Bytes that are read at a time: what a follower is sent in one request, and what waits to be applied.
const READ_MAX: usize = 1024 * 1024;

/// Reads the log while it goes on. Clones are the same. Calls are cancel safe.
#[derive(Clone)]
pub struct LogReader {
    pub(super) shared: Rc<Shared>,
}

impl LogReader {
    /// The entries of `range` that are there, in order; fewer once they come to `max_bytes` bytes, but one if there is
    /// one. They were there all at the same time.
    async fn read(
        &self,
        range: Range<u64>,
        max_bytes: usize,
    ) -> Result<Vec<EntryOf<Types>>, LogError> {
        loop {
            let cuts = self.shared.cuts();
            let (written, behind) = self.shared.split(&range, max_bytes);
            let read = match written.is_empty() {
                true => Ok(Vec::new()),
                false => self.shared.reader.read(written.clone(), max_bytes).await,
            };
            // A cut began or ended meanwhile: what waited may be gone.
            if self.shared.cuts() == cuts {
                let read = read?;
                // Where nothing was read the log begins later, with what is not written.
                let complete = read.last().is_none_or(|last| last.head.index.next() == written.end);
                let mut entries = read.into_iter().map(from_log).collect::<Result<Vec<_>, _>>()?;
                if complete {
                    add(&mut entries, behind, max_bytes);
                }
                return Ok(entries);
            }
        }
    }

    /// All entries of `range`, however many.
    async fn read_all(&self, range: Range<u64>) -> Result<Vec<EntryOf<Types>>, LogError> {
        loop {
            let cuts = self.shared.cuts();
            let (mut entries, mut from) = (Vec::new(), range.start);
            loop {
                let read = self.read(from..range.end, READ_MAX).await?;
                let Some(last) = read.last() else { break };
                from = last.log_id.index + 1;
                entries.extend(read);
            }
            if self.shared.cuts() == cuts {
                return Ok(entries);
            }
        }
    }
}

/// Adds what fits.
fn add(entries: &mut Vec<EntryOf<Types>>, behind: Vec<EntryOf<Types>>, max_bytes: usize) {
    let mut bytes: usize = entries.iter().map(weight).sum();
    for entry in behind {
        bytes += weight(&entry);
        if bytes > max_bytes && !entries.is_empty() {
            return;
        }
        entries.push(entry);
    }
}

fn half_open(range: &impl RangeBounds<u64>) -> Range<u64> {
    let from = match range.start_bound() {
        Bound::Included(from) => *from,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(to) => *to,
        Bound::Unbounded => u64::MAX,
    };
    from..to
}

impl RaftLogReader<Types> for LogReader {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug>(
        &mut self,
        range: R,
    ) -> Result<Vec<EntryOf<Types>>, io::Error> {
        Ok(self.read_all(half_open(&range)).await?)
    }

    /// One of them at least, and no more than a request has room for.
    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<EntryOf<Types>>, io::Error> {
        Ok(self.read(start..end, READ_MAX).await?)
    }

    /// Reads as it is asked, so that a log that is applied from its beginning need not fit into memory.
    async fn entries_stream<R: RangeBounds<u64> + Clone + Debug>(
        &mut self,
        range: R,
    ) -> impl Stream<Item = Result<EntryOf<Types>, io::Error>> + OptionalSend {
        let state = (self.clone(), half_open(&range), VecDeque::new());
        Box::pin(stream::try_unfold(state, async |(reader, mut range, mut entries)| {
            if entries.is_empty() {
                entries = reader.read(range.clone(), READ_MAX).await?.into();
            }
            let Some(entry) = entries.pop_front() else { return Ok(None) };
            range.start = entry.log_id.index + 1;
            Ok(Some((entry, (reader, range, entries))))
        }))
    }

    async fn read_vote(&mut self) -> Result<Option<VoteOf<Types>>, io::Error> {
        Ok(self.shared.vote.get())
    }
}
