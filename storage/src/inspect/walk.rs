//! Reading the whole log, damage or not.
//!
//! Entries are read and judged by [`Replay`], as a start does. Where it stops at damage the walk says so
//! and looks for the log behind it. Segments are read in rows, each of which a replay can read in one
//! go: a header that is damaged, or a segment that is missing, ends a row.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;

use model::{LogIndex, PhysicalOffset, Term, UnixMillis};
use runtime::{File, IoError, OpenMode};

use super::resync::Searched;
use super::view::{Found, NoHeader, View};
use crate::error::StoreError;
use crate::identity::StoreId;
use crate::position::Position;
use crate::replay::{Entry, Replay};
use crate::segment::{self, SEGMENT_HEADER_LEN, SegmentHeader};
use crate::vote::{Purged, Vote};

/// What the walk comes to.
pub(super) enum Step {
    /// An intact entry.
    Entry {
        entry: Entry,
        /// Where the log stood before it.
        before: Position,
    },
    /// The log does not go on as it should.
    Bad(Bad),
    /// Nothing follows.
    End(End),
}

/// Where the log ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// Behind the last entry; `None` if nothing could be read.
    pub position: Option<Position>,
    /// A write that was not finished follows.
    pub torn: bool,
}

/// What is wrong with the log at a place.
#[derive(Clone, Debug)]
pub(super) struct Bad {
    pub what: Wrong,
    pub file: PathBuf,
    /// Where the file begins in the log.
    pub base: PhysicalOffset,
    /// Where the damage begins.
    pub offset: PhysicalOffset,
    pub why: String,
    /// How we know that there was something; empty where that is plain.
    pub evidence: String,
    /// Where the log before it ends, and the segment that it ends in.
    pub before: Option<(Position, PhysicalOffset)>,
    /// Where the log is read on, if in the same segment.
    pub resumes: Option<PhysicalOffset>,
}

/// What can be wrong with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Entry,
    Header,
    Missing,
    Length,
    /// Another version wrote what stands there.
    Version,
}

/// Something that is plain before the log is read.
struct Complaint {
    what: Wrong,
    file: PathBuf,
    base: PhysicalOffset,
    why: String,
}

/// Segments that a replay can read in one go.
#[derive(Default)]
struct Row {
    complaints: VecDeque<Complaint>,
    found: Vec<Found>,
}

/// A row that is being read.
struct Reading {
    replay: Replay,
    found: Vec<Found>,
    /// The header of the first one, if not its own.
    first: Option<SegmentHeader>,
    narrow: bool,
}

/// A walk over the log of a store.
pub(super) struct Walk<'a> {
    view: &'a View,
    rows: VecDeque<Row>,
    reading: Option<Reading>,
    vote: Vote,
    limit: PhysicalOffset,
    /// Where the next row must go on, if all before it was read.
    position: Option<(Position, PhysicalOffset)>,
    end: End,
}

/// Nothing was durable as far as this one knows, and nothing proves that it was.
const BLIND: Vote = Vote {
    term: Term(0),
    voted_for: StoreId(0),
    elected: false,
    generation: u64::MAX,
    idle_mark: PhysicalOffset(0),
    clean: false,
    purged: Purged { before: LogIndex(0), term: Term(0) },
    given_up: 0,
};

impl<'a> Walk<'a> {
    /// A walk from the segment that holds `from`. `intact`: up to here the log was once read whole, as a
    /// checkpoint tells; no entry reaches beyond `limit`.
    pub(super) fn new(
        view: &'a View,
        from: PhysicalOffset,
        intact: PhysicalOffset,
        limit: PhysicalOffset,
    ) -> Self {
        let unknown = Vote { generation: 0, ..BLIND };
        let mut vote = view.vote().unwrap_or(unknown);
        if intact > vote.idle_mark {
            (vote.idle_mark, vote.clean) = (intact, false);
        }
        let first = view.found.partition_point(|found| found.base <= from).saturating_sub(1);
        let rows = rows(view, &view.found[first..]);
        let end = End { position: None, torn: false };
        Self { view, rows, reading: None, vote, limit, position: None, end }
    }

    /// The next thing there is to tell; [`Step::End`] again and again at the end.
    pub(super) async fn next(&mut self) -> Result<Step, IoError> {
        loop {
            let Some(reading) = &mut self.reading else {
                match self.rows.pop_front() {
                    None => return Ok(Step::End(self.end)),
                    Some(row) => {
                        if let Some(bad) = self.start(row).await? {
                            return Ok(Step::Bad(bad));
                        }
                    }
                }
                continue;
            };
            let before = reading.replay.position;
            let mut what = Wrong::Entry;
            let (why, evidence, base) = match reading.replay.next().await {
                Ok(Some(entry)) => return Ok(Step::Entry { entry, before }),
                Ok(None) => {
                    self.row_ended();
                    continue;
                }
                // What cannot be read may lie behind the entry.
                Err(StoreError::Io(_)) if !reading.narrow => {
                    reading.narrow = true;
                    reading.replay.read_narrowly();
                    continue;
                }
                Err(StoreError::Damage(damage)) => {
                    let name = damage.segment.file_name().and_then(|name| name.to_str());
                    (damage.why, damage.evidence, name.and_then(segment::base_of))
                }
                Err(StoreError::Foreign { why, .. }) => {
                    what = Wrong::Version;
                    (why, String::new(), None)
                }
                Err(other) => (other.to_string(), String::new(), None),
            };
            let bad = self.damaged(why, evidence, base).await?;
            return Ok(Step::Bad(Bad { what, ..bad }));
        }
    }

    fn row_ended(&mut self) {
        let reading = self.reading.take().expect("a row is being read");
        let last = reading.found.last().expect("a row has a segment");
        let position = reading.replay.position;
        self.position = Some((position, last.base));
        self.end = End { position: Some(position), torn: reading.replay.torn };
    }

    /// Begins a row, or tells what is wrong before it.
    async fn start(&mut self, mut row: Row) -> Result<Option<Bad>, IoError> {
        if let Some(complaint) = row.complaints.pop_front() {
            let before = self.position;
            if !matches!(complaint.what, Wrong::Header | Wrong::Version) {
                self.position = None;
            }
            self.rows.push_front(row);
            return Ok(Some(told(complaint, before)));
        }
        let Some(found) = row.found.first() else {
            return Ok(None);
        };
        let from = match (&found.header, self.position) {
            (Ok(_), _) => None,
            (Err(_), Some((before, _))) => Some(Position { offset: found.base, ..before }),
            (Err(_), None) => {
                let Some(position) = self.search(found, nowhere(found)).await? else {
                    row.found.remove(0);
                    self.rows.push_front(row);
                    return Ok(None);
                };
                Some(position)
            }
        };
        let first = from.map(|from| self.stand_in(found, &from));
        self.read(row.found, first, from).await?;
        Ok(None)
    }

    /// A header for a segment whose own cannot be read.
    fn stand_in(&self, found: &Found, from: &Position) -> SegmentHeader {
        let (store, size) = (self.view.id, self.view.readable(found));
        SegmentHeader { store, base: found.base, index: from.index, size, chain: from.chain }
    }

    async fn read(
        &mut self,
        found: Vec<Found>,
        first: Option<SegmentHeader>,
        from: Option<Position>,
    ) -> Result<(), IoError> {
        let log = Rc::new(self.view.log_of(&found, first).await?);
        self.position = None;
        if log.all().is_empty() {
            return Ok(());
        }
        // Only where the log ends can there be a torn tail.
        let last = self.rows.iter().all(|row| row.found.is_empty());
        let (vote, limit) = if last { (self.vote, self.limit) } else { (BLIND, PhysicalOffset(0)) };
        let replay = Replay::new(log, vote, from, limit);
        self.reading = Some(Reading { replay, found, first, narrow: false });
        Ok(())
    }

    /// The log is damaged where it is read: tells so, and finds out where to read on.
    async fn damaged(
        &mut self,
        why: String,
        evidence: String,
        base: Option<PhysicalOffset>,
    ) -> Result<Bad, IoError> {
        let Reading { replay, mut found, first, .. } =
            self.reading.take().expect("a row is being read");
        let at = replay.position;
        drop(replay);
        let base = base.unwrap_or(PhysicalOffset(
            at.offset.0 / self.view.segment_size * self.view.segment_size,
        ));
        let number = found.partition_point(|found| found.base <= base).saturating_sub(1);
        let first = first.filter(|_| number == 0);
        found.drain(..number);
        let (file, base) = (found[0].path.clone(), found[0].base);
        let resumed = self.search(&found[0], at).await?;
        self.end = End { position: Some(at), torn: false };
        match resumed {
            Some(position) => self.read(found, first, Some(position)).await?,
            None => {
                found.remove(0);
                self.position = None;
                self.rows.push_front(Row { complaints: VecDeque::new(), found });
            }
        }
        let resumes = resumed.map(|position| position.offset);
        let (what, before) = (Wrong::Entry, Some((at, base)));
        Ok(Bad { what, file, base, offset: at.offset, why, evidence, before, resumes })
    }

    async fn search(&self, found: &Found, from: Position) -> Result<Option<Position>, IoError> {
        let end = found.base.plus(self.view.readable(found));
        if from.offset >= end {
            return Ok(None);
        }
        let file = File::open(&found.path, OpenMode::ReadOnly).await?;
        let position = Searched { file: &file, base: found.base, end }.next(from).await;
        file.close().await?;
        Ok(position)
    }
}

/// The beginning of a segment, where nothing is known of what is before.
fn nowhere(found: &Found) -> Position {
    Position {
        offset: found.base.plus(SEGMENT_HEADER_LEN),
        index: LogIndex(0),
        term: Term(0),
        chain: 0,
        timestamp: UnixMillis(0),
        generation: 0,
        last: PhysicalOffset(0),
    }
}

fn told(complaint: Complaint, before: Option<(Position, PhysicalOffset)>) -> Bad {
    let Complaint { what, file, base, why } = complaint;
    let (evidence, resumes) = (String::new(), None);
    Bad { what, file, base, offset: base, why, evidence, before, resumes }
}

/// Splits segments into rows that can be read in one go.
fn rows(view: &View, all: &[Found]) -> VecDeque<Row> {
    let (mut rows, mut row) = (VecDeque::new(), Row::default());
    let mut due: Option<PhysicalOffset> = None;
    for found in all {
        let missing = due.is_some_and(|due| due != found.base);
        if (missing || found.header.is_err()) && !row.found.is_empty() {
            rows.push_back(std::mem::take(&mut row));
        }
        if let Some(due) = due.filter(|_| missing) {
            let file = view.log_dir.join(segment::name(due));
            let why =
                format!("a segment is due here, the next one begins at offset {}", found.base);
            row.complaints.push_back(Complaint { what: Wrong::Missing, file, base: due, why });
        }
        let complaint =
            |what, why| Complaint { what, file: found.path.clone(), base: found.base, why };
        if let Err(NoHeader { why, is_of_another_version }) = &found.header {
            let what = if *is_of_another_version { Wrong::Version } else { Wrong::Header };
            row.complaints.push_back(complaint(what, why.clone()));
        }
        row.found.push(found.clone());
        due = Some(found.base.plus(view.segment_size));
        if found.len != view.segment_size {
            let why =
                format!("the file has {} bytes, a segment has {}", found.len, view.segment_size);
            rows.push_back(std::mem::take(&mut row));
            row.complaints.push_back(complaint(Wrong::Length, why));
        }
    }
    rows.push_back(row);
    rows
}
