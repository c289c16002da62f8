//! Recovery: reads the log from a checkpoint, or from its beginning, hands out every intact entry, and
//! tells a torn tail from damage.
//!
//! A write that was not flushed before the power went may be there in part, and its parts in any
//! order. Such a torn tail is cut. An entry that was durable once and is bad now is damage: nothing is
//! cut and the store does not start. What was durable is known from two places: the mark beside the
//! vote, and later entries of the same run, each of which says what was durable when it was written.

use std::rc::Rc;

use model::PhysicalOffset;
use runtime::{BLOCK, IoError, Slice};

use crate::entry::{
    BadEntry, ENTRY_ALIGN, ENTRY_HEADER_LEN, Local, Replicated, begins_entry, entry_len,
    other_version_at,
};
use crate::error::{DamageError, StoreError};
use crate::log::Log;
use crate::options::largest_entry_in;
use crate::position::Position;
use crate::segment::{Segment, SegmentHeader};
use crate::versions;
use crate::vote::Vote;

/// Bytes read at a time.
const WINDOW: usize = 1024 * 1024;

/// An intact entry.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub header: Replicated,
    pub local: Local,
    pub payload: Slice,
    /// Header and payload as they lie on the disk, without the padding.
    pub bytes: Slice,
}

/// Reads entries one after the other.
pub(crate) struct Replay {
    log: Rc<Log>,
    vote: Vote,
    segments: std::iter::Skip<std::vec::IntoIter<Rc<Segment>>>,
    segment: Rc<Segment>,
    window: Window,
    /// Where the next entry is expected, and what it must continue.
    pub position: Position,
    /// No entry of this log reaches beyond; what lies there is of an older life of the blocks.
    limit: PhysicalOffset,
    /// Something follows the log that is not blank: a write that was not finished.
    pub torn: bool,
    /// Up to here what was read is known to be durable.
    durable: PhysicalOffset,
}

/// The last bytes read.
#[derive(Debug)]
struct Window {
    at: PhysicalOffset,
    bytes: Option<Slice>,
    /// Bytes read at a time, at least.
    ahead: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self { at: PhysicalOffset(0), bytes: None, ahead: WINDOW }
    }
}

impl Window {
    /// `len` bytes at `offset` of the segment, fewer at its end.
    async fn read(
        &mut self,
        segment: &Segment,
        offset: PhysicalOffset,
        len: usize,
    ) -> Result<Slice, IoError> {
        let left = usize::try_from(segment.end().since(offset)).expect("segments are below 4 GiB");
        let len = len.min(left);
        if let Some(found) = self.find(offset, len) {
            return Ok(found);
        }
        let begin = segment
            .header
            .base
            .plus(offset.since(segment.header.base) / BLOCK as u64 * BLOCK as u64);
        let needed = usize::try_from(offset.since(begin)).expect("less than a block") + len;
        let left = usize::try_from(segment.end().since(begin)).expect("segments are below 4 GiB");
        let bytes = segment
            .file
            .read_at(begin.since(segment.header.base), needed.max(self.ahead).min(left))
            .await?;
        *self = Self { at: begin, bytes: Some(bytes), ahead: self.ahead };
        let whole = self.bytes.as_ref().expect("just set");
        let from =
            usize::try_from(offset.since(begin)).expect("less than a block").min(whole.len());
        Ok(whole.slice(from..(from + len).min(whole.len())))
    }

    fn find(&self, offset: PhysicalOffset, len: usize) -> Option<Slice> {
        let bytes = self.bytes.as_ref().filter(|_| offset >= self.at)?;
        let from = usize::try_from(offset.since(self.at)).ok()?;
        (from + len <= bytes.len()).then(|| bytes.slice(from..from + len))
    }
}

/// What stands where an entry was expected.
enum Found {
    Entry(Entry),
    Bad(BadEntry),
    /// An entry that another version wrote.
    Version(u8),
}

impl Replay {
    /// A reader from `from` on, or from the beginning of `log`, in which no entry reaches beyond `limit`.
    pub(crate) fn new(
        log: Rc<Log>,
        vote: Vote,
        from: Option<Position>,
        limit: PhysicalOffset,
    ) -> Self {
        let all = log.all();
        // A point at the end of the last segment has none behind it.
        let first = from.map_or(0, |from| {
            let before = all.partition_point(|segment| segment.end() <= from.offset);
            before.min(all.len() - 1)
        });
        let mut segments = all.into_iter().skip(first);
        let segment = segments.next().expect("a log has a segment");
        let SegmentHeader { base, index, chain, .. } = segment.header;
        let mut position = from.unwrap_or(Position::beginning(base, index, chain));
        if position.offset == segment.header.base {
            position.offset = segment.first_entry();
        }
        Self {
            log,
            vote,
            segments,
            position,
            limit,
            torn: false,
            durable: vote.idle_mark.max(position.offset),
            segment,
            window: Window::default(),
        }
    }

    /// Makes sure that the log is the one that the point to start from belongs to: the entry before it
    /// must stand where the point says.
    pub(crate) async fn check_start(&self) -> Result<(), StoreError> {
        let at = self.position;
        let damage = |why: String| DamageError {
            segment: self.log.path_of(at.last),
            offset: at.last,
            why,
            evidence: format!("the checkpoint at offset {} continues it", at.offset),
            of_group: self.is_of_group(),
        };
        let Some(segment) = self.log.at(at.last) else {
            if self.begins_log() {
                return Ok(());
            }
            return Err(damage("its segment is missing".into()).into());
        };
        let header = Window::default().read(&segment, at.last, ENTRY_HEADER_LEN).await?;
        match Replicated::decode(&header) {
            Ok(entry)
                if entry.offset == at.last
                    && entry.index.next() == at.index
                    && entry.chain == at.chain =>
            {
                Ok(())
            }
            Ok(entry) => Err(damage(format!("entry {} stands there", entry.index)).into()),
            Err(bad) => Err(damage(bad.to_string()).into()),
        }
    }

    /// Whether the point to start from is where the oldest segment begins. The entry before it was trimmed;
    /// the segment's header tells what that entry's did.
    fn begins_log(&self) -> bool {
        let (at, header) = (self.position, self.segment.header);
        header.base == self.log.oldest_base()
            && at.offset == self.segment.first_entry()
            && at.last < header.base
            && (at.index, at.chain) == (header.index, header.chain)
    }

    /// Reads no more ahead in this segment than it has to: what cannot be read behind an entry must not
    /// stand for the entry.
    pub(crate) fn read_narrowly(&mut self) {
        self.window = Window { ahead: BLOCK, ..Window::default() };
    }

    /// The next intact entry; `None` at the end of the log. Only a torn tail may follow it then.
    pub(crate) async fn next(&mut self) -> Result<Option<Entry>, StoreError> {
        loop {
            let bad = match self.read().await? {
                Found::Entry(entry) => {
                    self.advance(&entry);
                    return Ok(Some(entry));
                }
                Found::Bad(bad) => bad,
                Found::Version(found) => return Err(self.of_version(found)),
            };
            match self.segments.next() {
                Some(next) => self.enter(next, &bad)?,
                None => {
                    self.check_torn(&bad).await?;
                    return Ok(None);
                }
            }
        }
    }

    fn advance(&mut self, entry: &Entry) {
        let (header, before) = (&entry.header, self.position);
        self.position = Position {
            offset: header.offset.plus(entry_len(entry.payload.len()) as u64),
            index: header.index.next(),
            term: header.term,
            chain: header.chain,
            timestamp: before.timestamp.max(header.timestamp),
            generation: entry.local.generation,
            last: header.offset,
        };
        self.durable = self.durable.max(entry.local.durable_through);
    }

    async fn read(&mut self) -> Result<Found, IoError> {
        let offset = self.position.offset;
        let header = self.window.read(&self.segment, offset, ENTRY_HEADER_LEN).await?;
        let (replicated, local) = match self.check_header(&header) {
            Ok(parts) => parts,
            Err(bad) => {
                let version = other_version_at(&header, offset);
                return Ok(version.map_or(Found::Bad(bad), Found::Version));
            }
        };
        let len = ENTRY_HEADER_LEN + replicated.payload_len as usize;
        let entry = self.window.read(&self.segment, offset, len).await?;
        if entry.len() < len {
            return Ok(Found::Bad(BadEntry::Length(len as u64)));
        }
        let (header, payload) = entry.split_at(ENTRY_HEADER_LEN);
        if let Err(bad) = replicated.check_chain(self.position.chain, header, payload) {
            return Ok(Found::Bad(bad));
        }
        let payload = entry.slice(ENTRY_HEADER_LEN..len);
        Ok(Found::Entry(Entry { header: replicated, local, payload, bytes: entry }))
    }

    fn check_header(&self, header: &[u8]) -> Result<(Replicated, Local), BadEntry> {
        let replicated = Replicated::decode(header)?;
        let local = Local::decode(header)?;
        let (found, expected) = (replicated.index.0, self.position.index.0);
        if replicated.offset != self.position.offset {
            return Err(BadEntry::Offset { found: replicated.offset.0 });
        }
        if found != expected {
            return Err(BadEntry::Index { found, expected });
        }
        // What a cut has left behind may follow whole and continue the chain, if the entry that now
        // stands before it is the same as then.
        let (found, least) = (local.generation, self.position.generation);
        if found < least {
            return Err(BadEntry::Generation { found, least });
        }
        // Before the chain is checked the length is anybody's; it must not make us read gigabytes.
        let len = entry_len(replicated.payload_len as usize) as u64;
        let left = self.segment.end().since(self.position.offset);
        if len > left.min(largest_entry_in(self.log.segment_size)) {
            return Err(BadEntry::Length(len));
        }
        Ok((replicated, local))
    }

    /// Goes on in the next segment. It was made only after everything before it was durable, so it
    /// must continue exactly what was read.
    fn enter(&mut self, next: Rc<Segment>, bad: &BadEntry) -> Result<(), StoreError> {
        let header = next.header;
        if (header.index, header.chain) != (self.position.index, self.position.chain) {
            let evidence = format!("segment {} continues with entry {}", header.base, header.index);
            return Err(self.damage(bad, evidence).into());
        }
        self.segment = next;
        self.position.offset = self.segment.first_entry();
        self.window = Window::default();
        Ok(())
    }

    /// Makes sure that nothing behind the bad entry was ever durable.
    async fn check_torn(&mut self, bad: &BadEntry) -> Result<(), StoreError> {
        if self.vote.idle_mark > self.position.offset {
            let mark = self.vote.idle_mark;
            let evidence =
                format!("the log was intact up to offset {mark} when the mark was written");
            return Err(self.damage(bad, evidence).into());
        }
        if self.vote.clean && self.vote.idle_mark == self.position.offset {
            return Ok(()); // stopped in order right here: what follows is of an older life
        }
        self.torn = !matches!(bad, BadEntry::Magic(0) | BadEntry::End);
        // A log that has come further than it may be ahead of its newest checkpoint is one whose checkpoints were
        // lost, and of which a start that did not end has made an early one anew: its limit says nothing.
        let is_limited = self.position.offset < self.limit;
        let end = self.segment.end();
        let end = if is_limited { end.min(self.limit) } else { end };
        let mut at = self.position.offset;
        while at < end {
            let bytes = self.window.read(&self.segment, at, WINDOW).await?;
            let left = self.segment.end().since(at);
            assert!(bytes.len() as u64 == left.min(WINDOW as u64), "segments keep their size");
            if let Some(witness) =
                find_witness(&bytes, at, self.position.offset, self.vote.generation)
            {
                let evidence =
                    format!("the intact entry at offset {witness} says that it was durable");
                return Err(self.damage(bad, evidence).into());
            }
            // Headers that straddle two windows are seen whole in the second one.
            let step = bytes.len().saturating_sub(ENTRY_HEADER_LEN) / ENTRY_ALIGN * ENTRY_ALIGN;
            at = if at.plus(bytes.len() as u64) >= end { end } else { at.plus(step as u64) };
        }
        Ok(())
    }

    /// What is wrong where the log seems to end and does not, because `evidence` says so.
    pub(crate) fn too_short(&self, evidence: String) -> DamageError {
        self.damage(&BadEntry::End, evidence)
    }

    /// Why nothing is read behind an entry of another version: what it holds may be acknowledged, so it is no
    /// torn tail.
    fn of_version(&self, found: u8) -> StoreError {
        let (segment, at) = (self.segment.path(), self.position);
        let why = format!("it has format version {found}, this broker reads {}", versions::ENTRY);
        StoreError::Foreign { segment, index: at.index.0, offset: at.offset, why }
    }

    fn damage(&self, bad: &BadEntry, evidence: String) -> DamageError {
        DamageError {
            segment: self.segment.path(),
            offset: self.position.offset,
            why: bad.to_string(),
            evidence,
            of_group: self.is_of_group(),
        }
    }

    /// As far as the vote tells. Only damage asks: a vote that was lost, and that of the first of a group, tell nothing.
    fn is_of_group(&self) -> bool {
        !self.vote.is_of_one_alone(self.segment.header.store)
    }

    /// The block that the log ends in, up to that end.
    pub(crate) async fn last_block(&mut self) -> Result<Vec<u8>, IoError> {
        let into = self.position.offset.since(self.segment.header.base) % BLOCK as u64;
        let begin = PhysicalOffset(self.position.offset.0 - into);
        let len = usize::try_from(into).expect("less than a block");
        if len == 0 {
            return Ok(Vec::new());
        }
        let bytes = self.window.read(&self.segment, begin, len).await?;
        assert_eq!(bytes.len(), len, "what was just read is still there");
        Ok(bytes.to_vec())
    }

    /// Cuts what follows the log: rewrites the block that it ends in and flushes. Durable when it
    /// returns, and so is all that was read.
    ///
    /// A flush that failed may have given up what it was to cover, and the next one says nothing of that.
    /// So what is not known to be durable is written again, not only flushed: in a log that was
    /// stopped in order nothing, else what the last life wrote after its last flush.
    pub(crate) async fn cut(&mut self, last_block: &[u8]) -> Result<(), IoError> {
        assert!(Rc::ptr_eq(&self.segment, &self.log.active()), "the log ends in its last segment");
        let begin = PhysicalOffset(self.position.offset.0 - last_block.len() as u64);
        assert!(self.durable <= self.position.offset, "what is durable is there");
        let durable = self.durable.max(self.segment.first_entry());
        let mut at = PhysicalOffset(durable.0 / BLOCK as u64 * BLOCK as u64);
        while at < begin {
            let len =
                usize::try_from(begin.since(at)).expect("segments are below 4 GiB").min(WINDOW);
            self.write_again(at, len).await?;
            at = at.plus(len as u64);
        }
        self.segment.blank_behind(self.position.offset, last_block).await?;
        // What was cut, and all that was read. A checkpoint that is being written meanwhile flushes as well.
        self.log.flush().await
    }

    /// Writes `len` bytes, whole blocks, as they are.
    async fn write_again(&mut self, at: PhysicalOffset, len: usize) -> Result<(), IoError> {
        let bytes = self.window.read(&self.segment, at, len).await?;
        assert_eq!(bytes.len(), len, "what was just read is still there");
        let mut blocks = self.segment.file.buffer(len);
        blocks.copy_from_slice(&bytes);
        self.segment.write(&Rc::new(blocks), at).await
    }
}

/// The first entry in `bytes` (which begin at `at`) that proves that `offset` was durable in this
/// generation or a later one.
fn find_witness(
    bytes: &[u8],
    at: PhysicalOffset,
    offset: PhysicalOffset,
    generation: u64,
) -> Option<PhysicalOffset> {
    let skip = usize::try_from(at.0.next_multiple_of(ENTRY_ALIGN as u64) - at.0).ok()?;
    let places = bytes.get(skip..)?.chunks_exact(ENTRY_ALIGN).enumerate();
    // Most of what is searched is zeros: a place is looked at closely only if the magic is there.
    places.filter(|(_, place)| begins_entry(place)).find_map(|(place, _)| {
        let from = skip + place * ENTRY_ALIGN;
        let header = bytes.get(from..from + ENTRY_HEADER_LEN)?;
        let replicated = Replicated::decode(header).ok()?;
        let local = Local::decode(header).ok()?;
        let here = at.plus(from as u64);
        let witness = replicated.offset == here
            // A later one tells that the newest vote was lost; it is a witness all the same.
            && local.generation >= generation
            && local.durable_through > offset;
        witness.then_some(here)
    })
}
