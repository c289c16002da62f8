//! Reading the log back, for replication and for applying.

use std::collections::VecDeque;
use std::fmt::{Debug, Display};
use std::io;
use std::ops::{Bound, Range, RangeBounds, RangeInclusive};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::{Stream, stream};
use model::{LogIndex, Term};
use openraft::type_config::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::{OptionalSend, RaftLogReader};
use runtime::{Elapsed, sleep, timeout};

use super::entry::{from_log, id_before, weight};
use super::error::LogError;
use super::shared::Shared;
use crate::types::Types;

/// Bytes that are read at a time: what a follower is sent in one request, and what waits to be applied.
const READ_MAX: usize = 1024 * 1024;

/// Time until it is tried again to read for a follower what could not be read, and between two looks at whether it came.
pub(super) const READ_AGAIN: Duration = Duration::from_secs(5);
/// What is not read by then does not come soon. It is long: on a busy disk a whole segment may have to be gone through first.
const HANGS: Duration = Duration::from_secs(30);
/// Nobody wants any more what nobody has tried to read for so long.
pub(super) const UNREADABLE: Duration = Duration::from_secs(20);

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
        damage: Damage,
    ) -> Result<Vec<EntryOf<Types>>, LogError> {
        loop {
            let cuts = self.shared.cuts();
            let (written, waiting) = self.shared.split(&range, max_bytes);
            let log = &self.shared.reader;
            let read = match damage {
                _ if written.is_empty() => Ok(Vec::new()),
                Damage::IsTold => log.read(written.clone(), max_bytes).await,
                Damage::IsRepaired => log.read_repaired(written.clone(), max_bytes).await,
            };
            // A cut began or ended meanwhile: what waited may be gone.
            if self.shared.cuts() == cuts {
                let read = read.map_err(|error| self.shared.note_damage(error.into()))?;
                // Where nothing was read the log begins later, with what is not written.
                let complete = read.last().is_none_or(|last| last.head.index.next() == written.end);
                let mut entries = read.into_iter().map(from_log).collect::<Result<Vec<_>, _>>()?;
                if complete {
                    add(&mut entries, waiting, max_bytes);
                }
                return Ok(entries);
            }
        }
    }

    /// All entries of `range`, however many, as the log held them at one time.
    async fn read_all(&self, range: Range<u64>) -> Result<Vec<EntryOf<Types>>, LogError> {
        loop {
            let cuts = self.shared.cuts();
            let to = range.end.min(self.shared.end());
            let (mut entries, mut from) = (Vec::<EntryOf<Types>>::new(), range.start);
            while from < to {
                let read = self.read(from..to, READ_MAX, Damage::IsTold).await?;
                let Some(last) = read.last() else { break };
                from = last.log_id.index + 1;
                entries.extend(read);
            }
            // What was purged between two reads is a hole between what they found.
            let begin = self.shared.begin();
            let purged = entries.first().is_some_and(|first| first.log_id.index < begin);
            if self.shared.cuts() == cuts && !purged {
                return Ok(entries);
            }
        }
    }

    /// Reads what a follower lacks. A disk that does not answer is as bad as one that says no: both are told.
    async fn read_for_follower(&self, wanted: Range<u64>) -> Result<Vec<EntryOf<Types>>, LogError> {
        let from = wanted.start;
        let mut reading = pin!(self.read(wanted, READ_MAX, Damage::IsTold));
        let mut limit = HANGS;
        loop {
            match timeout(limit, &mut reading).await {
                Ok(read) => return read,
                Err(Elapsed) => {
                    let why = format!("the disk has not given it for {HANGS:?}");
                    self.note_unreadable(from, &why);
                    limit = READ_AGAIN;
                }
            }
        }
    }

    /// A follower wants what cannot be read here. An operator is told once.
    fn note_unreadable(&self, from: u64, error: &dyn Display) {
        if self.shared.not_readable(UNREADABLE) {
            tracing::error!(
                group = self.shared.group.get().map_or("", |name| name), %error, from,
                "a follower wants entries that cannot be read here: it gets none until another member leads, or it is started anew with \
                 an empty directory. Leadership is handed over to a member that has them, if there is one; look at this one's disk"
            );
        }
    }

    /// The last entry of each term from `first` to `last`, which are written.
    async fn ends_of_terms(
        &self,
        first: &LogIdOf<Types>,
        last: &LogIdOf<Types>,
    ) -> Result<Vec<LogIdOf<Types>>, LogError> {
        let in_term = |id: &LogIdOf<Types>| (LogIndex(id.index), Term(id.leader_id.term));
        let ends = self.shared.reader.ends_of_terms(in_term(first), in_term(last)).await;
        let ends = ends.map_err(|error| self.shared.note_damage(error.into()))?;
        Ok(ends.into_iter().filter_map(|(index, term)| id_before(index.next(), term)).collect())
    }

    /// Goes on with a stream that has come to `range`: what is read next. Whoever applies entries must miss none at the
    /// beginning and none in the middle.
    async fn read_on(
        &self,
        range: &Range<u64>,
        due: Due,
    ) -> Result<VecDeque<EntryOf<Types>>, LogError> {
        let read = self.read(range.clone(), READ_MAX, Damage::IsRepaired).await?;
        let next = read.first().map_or(self.shared.begin(), |first| first.log_id.index);
        let (expected, end) = (range.start, self.shared.end());
        match due {
            Due::Whatever => {}
            _ if range.is_empty() => {}
            Due::Beginning | Due::Rest if next > expected => {
                return Err(LogError::Hole { expected, found: next });
            }
            Due::Beginning if read.is_empty() => return Err(LogError::Beyond { expected, end }),
            Due::Beginning | Due::Rest => {}
        }
        Ok(read.into())
    }
}

/// What is to be done where the log is damaged.
#[derive(Clone, Copy)]
enum Damage {
    /// It is an error.
    IsTold,
    /// It is waited for until it is repaired, if there is somebody who does that.
    IsRepaired,
}

/// What must be there of what a stream reads next.
#[derive(Clone, Copy)]
enum Due {
    /// Nothing: it was not said where it begins.
    Whatever,
    /// Its first entry: somebody wants the entries from there on.
    Beginning,
    /// What the log has, right behind what was read.
    Rest,
}

/// Adds what fits.
fn add(entries: &mut Vec<EntryOf<Types>>, waiting: Vec<EntryOf<Types>>, max_bytes: usize) {
    let mut bytes: usize = entries.iter().map(weight).sum();
    for entry in waiting {
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

    /// For a follower that is behind: one of them at least, and no more than a request has room for. None where the disk does not
    /// give them, after a while: openraft tries again then, and would take an error for the end of this member, which is well but
    /// for what one follower lacks.
    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<EntryOf<Types>>, io::Error> {
        let error = match self.read_for_follower(start..end).await {
            Ok(entries) => return Ok(entries),
            Err(LogError::Log(error)) if self.shared.check().is_ok() => error,
            Err(error) => return Err(error.into()),
        };
        let repaired = self.read(start..end, READ_MAX, Damage::IsRepaired);
        if let Ok(Ok(entries)) = timeout(READ_AGAIN, repaired).await {
            return Ok(entries);
        }
        self.note_unreadable(start, &error);
        sleep(READ_AGAIN).await;
        Ok(Vec::new())
    }

    /// Of a log that openraft starts with: of most segments only the beginning is read.
    async fn get_key_log_ids(
        &mut self,
        range: RangeInclusive<LogIdOf<Types>>,
    ) -> Result<Vec<LogIdOf<Types>>, io::Error> {
        self.shared.drained().await?;
        Ok(self.ends_of_terms(range.start(), range.end()).await?)
    }

    /// Reads as it is asked, so that a log that is applied from its beginning need not fit into memory. It ends with an error
    /// where the range's first entry is not there, or an entry is purged before the stream comes to it; only of a range that
    /// does not say where it begins may the beginning be purged.
    async fn entries_stream<R: RangeBounds<u64> + Clone + Debug>(
        &mut self,
        range: R,
    ) -> impl Stream<Item = Result<EntryOf<Types>, io::Error>> + OptionalSend {
        let due = match range.start_bound() {
            Bound::Unbounded => Due::Whatever,
            Bound::Included(_) | Bound::Excluded(_) => Due::Beginning,
        };
        let state = (self.clone(), half_open(&range), due, VecDeque::new());
        Box::pin(stream::try_unfold(state, async |(reader, mut range, due, mut entries)| {
            if entries.is_empty() {
                entries = reader.read_on(&range, due).await?;
            }
            let Some(entry) = entries.pop_front() else { return Ok(None) };
            range.start = entry.log_id.index + 1;
            Ok(Some((entry, (reader, range, Due::Rest, entries))))
        }))
    }

    async fn read_vote(&mut self) -> Result<Option<VoteOf<Types>>, io::Error> {
        Ok(self.shared.vote.get())
    }
}
