//! A log whose entries are appended first, and committed or cut later.
//!
//! [`crate::Store`] commits what its own disk has. Where a group decides what is committed, a log takes entries
//! that somebody else has placed, learns later how far they are committed, and gives up those that the
//! group has decided against. Segments, entries, recovery and the vote are the store's own, and so is the code that
//! writes and reads them ([`Tip`], [`Replay`]).
//!
//! What entries mean is not looked at here: no queue is counted, no index is built.

mod error;
mod marks;
mod member;
mod mend;
mod reader;
mod terms;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use model::{LogIndex, PhysicalOffset, Term, UnixMillis};
use runtime::{BLOCK, Buffer, IoError, Slice};

pub use error::{EntryLogError, OtherLog};
pub use reader::EntryReader;
pub use terms::InTerm;

use crate::checkpoint::Checkpoints;
use crate::entry::{ENTRY_ALIGN, ENTRY_HEADER_LEN, Kind, Local, Replicated, entry_len};
use crate::error::StoreError;
use crate::identity::StoreId;
use crate::log::Log;
use crate::member::ahead::Written;
use crate::open::{self, FirstVote};
use crate::options::{Options, largest_entry_in};
use crate::place::entry_start;
use crate::position::Position;
use crate::provision::Spares;
use crate::recover::{Settled, settle};
use crate::replay::Replay;
use crate::segment::SegmentHeader;
use crate::store::CHECKPOINTS;
use crate::tail::Part;
use crate::tip::{Before, Tip, note_segment};
use crate::truncate::truncate;
use crate::vote::{Purged, Vote, VoteFile};

pub(crate) use marks::Marks;
pub(crate) use member::OfMember;
use member::Owner;
pub(crate) use reader::Shared;

/// What every node agrees on of an entry, but for its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryHead {
    /// Its place in the log.
    pub index: LogIndex,
    /// The term in which it was placed; terms never fall along a log.
    pub term: Term,
    /// What it holds.
    pub kind: Kind,
    /// When it was placed; times never fall along a log.
    pub timestamp: UnixMillis,
    /// Messages in it.
    pub records: u32,
    /// The checksum that chains it to all entries before it; always there in what is read. What is appended need not say
    /// it: if it does, it must come to the same here.
    pub chain: Option<u32>,
}

impl EntryHead {
    pub(crate) fn of(header: &Replicated) -> Self {
        let &Replicated { index, term, kind, timestamp, records, chain, .. } = header;
        Self { index, term, kind, timestamp, records, chain: Some(chain) }
    }
}

/// An entry of the log.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// What it is.
    pub head: EntryHead,
    /// Where its header begins.
    pub offset: PhysicalOffset,
    /// What it holds.
    pub payload: Slice,
}

/// Where a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogState {
    /// Index of the oldest entry, or `next` if there is none.
    pub first: LogIndex,
    /// Index that the next entry gets.
    pub next: LogIndex,
    /// Term of the newest entry; 0 if there is none.
    pub last_term: Term,
    /// Time of the newest entry; 0 if there is none.
    pub last_timestamp: UnixMillis,
    /// Entries before this index are committed. After a start it may be lower than before: it is as far
    /// as entries know.
    pub committed: LogIndex,
    /// End of the log.
    pub end: PhysicalOffset,
    /// The log is durable up to here.
    pub durable: PhysicalOffset,
}

/// What this node has promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// The newest term this node knows; 0 for none.
    pub term: Term,
    /// Whom it voted for in that term.
    pub voted_for: StoreId,
    /// A majority has voted the same: `voted_for` leads the term.
    pub elected: bool,
}

/// The log, for the one who writes it. It belongs to the executor that opened it. No call may be cancelled:
/// what a dropped one has written is unknown. After an error every further write is refused.
pub struct EntryLog {
    tip: Tip,
    vote: VoteFile,
    end: Position,
    generation: u64,
    max_batch: usize,
    /// Bytes by which the log may be ahead of the mark beside the vote, but for one write right behind it.
    unmarked: u64,
    shared: Rc<Shared>,
    failed: bool,
    owner: Owner,
}

impl EntryLog {
    /// Opens the log in `options.dir` and reads it, or makes one if there is nothing. All that is found is
    /// durable when this returns.
    ///
    /// # Errors
    /// It cannot be opened, or it is damaged; nothing was changed then.
    pub async fn open(options: &Options) -> Result<Self, EntryLogError> {
        let opened = open::open(options, FirstVote::Nobody).await?;
        let (id, mut vote) = (opened.identity.id, opened.vote);
        let log = Rc::new(opened.log);
        let first = first_of(&log);
        let checkpoints =
            Checkpoints::new(&options.dir.join(CHECKPOINTS), id, options.segment_size);
        // A checkpoint is made of committed entries only.
        let newest = checkpoints.list().await.map_err(StoreError::from)?.last().copied();
        let kept = newest.unwrap_or(PhysicalOffset(0));
        let limit = PhysicalOffset(u64::MAX);
        let mut replay = Replay::new(Rc::clone(&log), vote.vote(), None, limit);
        let (mut marks, mut committed) = (Marks::new(replay.position), first);
        while let Some(entry) = replay.next().await? {
            marks.note(replay.position);
            committed = committed.max(entry.local.committed);
            if entry.header.offset < kept {
                committed = committed.max(entry.header.index.next());
            }
        }
        let Settled { last_block, generation } = settle(&mut replay, &mut vote).await?;
        let end = replay.position;
        assert!(first <= end.index && committed <= end.index, "what is committed is there");
        let shared = Shared {
            log: Rc::clone(&log),
            vote: Cell::new(vote.vote()),
            end: Cell::new(end),
            committed: Rc::new(Cell::new(committed)),
            marks: RefCell::new(marks),
            cuts: Cell::new(0),
            spots: Rc::default(),
            reach: PhysicalOffset(u64::MAX),
        };
        let spares = Spares::new(options, opened.spares).await;
        let tip = Tip {
            log,
            store: id,
            flush: options.flush,
            method: options.file_method(),
            spares: Rc::new(spares),
            troubles: Rc::default(),
            durable: Rc::new(Cell::new(end.offset)),
            last_block,
            patient: Rc::new(Cell::new(true)),
        };
        Ok(Self {
            tip,
            vote,
            end,
            generation,
            max_batch: options.max_batch,
            unmarked: options.scale.furthest,
            shared: Rc::new(shared),
            failed: false,
            owner: Owner::Nobody { _locks: opened.locks },
        })
    }

    /// The id drawn when the log was made.
    #[must_use]
    pub fn id(&self) -> StoreId {
        self.tip.store
    }

    /// Where the log is.
    #[must_use]
    pub fn state(&self) -> LogState {
        LogState {
            first: first_of(&self.tip.log),
            next: self.end.index,
            last_term: self.end.term,
            last_timestamp: self.end.timestamp,
            committed: self.shared.committed.get(),
            end: self.end.offset,
            durable: self.tip.durable.get(),
        }
    }

    /// A reader of this log.
    #[must_use]
    pub fn reader(&self) -> EntryReader {
        EntryReader { shared: Rc::clone(&self.shared) }
    }

    /// Where the header of an entry with this much payload goes, if it is the next one.
    #[must_use]
    pub fn place(&self, payload_len: usize) -> PhysicalOffset {
        entry_start(self.end.offset, entry_len(payload_len) as u64, self.tip.log.segment_size)
    }

    /// Bytes of the largest payload that an entry may have.
    #[must_use]
    pub fn largest_payload(&self) -> usize {
        let largest = largest_entry_in(self.tip.log.segment_size);
        let largest = usize::try_from(largest).expect("segments are below 4 GiB");
        (largest - ENTRY_HEADER_LEN) / ENTRY_ALIGN * ENTRY_ALIGN
    }

    /// What this node has promised.
    #[must_use]
    pub fn promise(&self) -> Promise {
        let Vote { term, voted_for, elected, .. } = self.vote.vote();
        Promise { term, voted_for, elected }
    }

    /// Makes a promise durable.
    ///
    /// # Errors
    /// [`EntryLogError`].
    ///
    /// # Panics
    /// When the term is older than the last one.
    pub async fn save_promise(&mut self, promise: Promise) -> Result<(), EntryLogError> {
        self.check()?;
        let Promise { term, voted_for, elected } = promise;
        let stored = self.vote.store(Vote { term, voted_for, elected, ..self.vote.vote() }).await;
        self.note(stored)
    }

    /// How often the group was recovered by force that has given this store up; 0: none has.
    #[must_use]
    pub fn given_up(&self) -> u32 {
        self.vote.vote().given_up
    }

    /// Notes durably that the group has given this store up, in that recovery by force.
    ///
    /// # Errors
    /// [`EntryLogError`].
    ///
    /// # Panics
    /// When it is 0.
    pub async fn save_given_up(&mut self, recovery: u32) -> Result<(), EntryLogError> {
        assert!(recovery > 0, "somebody has given it up");
        self.check()?;
        let before = self.vote.vote();
        let given_up = recovery.max(before.given_up);
        let stored = self.vote.store(Vote { given_up, ..before }).await;
        self.note(stored)
    }

    /// How far the group has no use for entries any more, as it was saved last.
    #[must_use]
    pub fn purged(&self) -> Purged {
        self.vote.vote().purged
    }

    /// Makes durable how far the group has no use for entries any more. The log stays as it is.
    ///
    /// # Errors
    /// [`EntryLogError`].
    ///
    /// # Panics
    /// When it was further before.
    pub async fn save_purged(&mut self, purged: Purged) -> Result<(), EntryLogError> {
        self.check()?;
        let stored = self.vote.store(Vote { purged, ..self.vote.vote() }).await;
        self.note(stored)
    }

    /// Appends entries, with their payloads, behind the log. They are written when this returns, and durable
    /// with [`crate::Flush::Sync`]; with `Async` once [`EntryLog::flush`] has returned.
    ///
    /// # Errors
    /// [`EntryLogError`]; with [`EntryLogError::TooLarge`] nothing was appended, and with [`EntryLogError::OtherLog`] nothing of
    /// the entry that it names, and nothing behind it: the log takes nothing any more then.
    ///
    /// # Panics
    /// When the entries do not continue the log: indexes without a gap, terms and times that do not fall.
    pub async fn append(&mut self, entries: &[(EntryHead, &[u8])]) -> Result<(), EntryLogError> {
        self.check()?;
        let largest = largest_entry_in(self.tip.log.segment_size);
        let max = usize::try_from(largest).expect("segments are below 4 GiB");
        if let Some(len) =
            entries.iter().map(|(_, payload)| entry_len(payload.len())).find(|len| *len > max)
        {
            return Err(EntryLogError::TooLarge { len, max });
        }
        let mut rest = entries;
        while !rest.is_empty() {
            let (batch, behind) = rest.split_at(self.first_batch(rest));
            match self.write(batch).await {
                Err(Refused::Other(other)) => return Err(self.refuse(other)),
                Err(Refused::Io(error)) => self.note::<(), _>(Err(error))?,
                Ok(()) => {}
            }
            rest = behind;
        }
        Ok(())
    }

    /// How many of these entries go into one write: those that fit into one segment, and into a batch.
    fn first_batch(&self, entries: &[(EntryHead, &[u8])]) -> usize {
        let size = self.tip.log.segment_size;
        let start = self.place(entries[0].1.len());
        let (mut end, segment_end) = (start, PhysicalOffset(start.0 / size * size + size));
        let fits = |(_, payload): &&(EntryHead, &[u8])| {
            let is_first = end == start;
            end = end.plus(entry_len(payload.len()) as u64);
            is_first || end <= segment_end && end.since(start) <= self.max_batch as u64
        };
        entries.iter().take_while(fits).count()
    }

    async fn write(&mut self, entries: &[(EntryHead, &[u8])]) -> Result<(), Refused> {
        let (began, start) = (runtime::now(), self.place(entries[0].1.len()));
        let len: usize = entries.iter().map(|(_, payload)| entry_len(payload.len())).sum();
        self.mark_before(start.plus(len as u64)).await?;
        let Position { offset, index, chain, .. } = self.end;
        let segment = self.tip.segment_for(start, Before { offset, index, chain }).await?;
        let base = PhysicalOffset(start.0 / BLOCK as u64 * BLOCK as u64);
        let residue = usize::try_from(start.since(base)).expect("less than a block");
        let mut buf = segment.file.buffer((residue + len).next_multiple_of(BLOCK));
        buf[residue + len..].fill(0);
        let local = Local {
            generation: self.generation,
            durable_through: self.tip.durable.get(),
            committed: self.shared.committed.get(),
        };
        let mut written = Vec::with_capacity(entries.len());
        let (mut at, mut end) = (residue, self.end);
        for (head, payload) in entries {
            let header = lay_down(&mut buf, at, base, end, local, (*head, payload));
            check_chain(head, &header)?;
            end = Position::behind(&header, self.generation);
            written.push(Written { header, end, records: None });
            at += entry_len(payload.len());
        }
        let inner = self.owner.inner();
        let writing = inner.as_ref().map(|inner| inner.cache.log_writes());
        let buf = self.tip.write(&segment, buf, base, residue..residue + len).await?;
        drop(writing);
        note_segment(&mut self.vote, start, self.tip.log.segment_size).await?;
        let (memory, end) = (buf.len(), end.offset);
        self.entered(written, Part { buf, memory, base, start, end }, began.elapsed());
        Ok(())
    }

    /// Before the log grows up to `end`: moves the mark beside the vote if that is far behind. A start looks no further
    /// behind the mark for entries that prove what was durable: of a larger write, right behind the mark, none does.
    async fn mark_before(&mut self, end: PhysicalOffset) -> Result<(), IoError> {
        let last = self.vote.vote();
        let mark = self.end.offset;
        assert!(last.idle_mark <= mark, "the mark is where the log was once");
        if end.since(last.idle_mark) <= self.unmarked || last.idle_mark == mark {
            return Ok(());
        }
        self.tip.log.flush().await?;
        self.tip.durable.set(mark);
        self.vote.store(Vote { idle_mark: mark, ..last }).await
    }

    /// Makes durable what was appended.
    ///
    /// # Errors
    /// [`EntryLogError`].
    pub async fn flush(&mut self) -> Result<(), EntryLogError> {
        self.check()?;
        if self.tip.durable.get() < self.end.offset {
            let flushed = self.tip.log.flush().await;
            self.note(flushed)?;
            self.check()?; // another flush may have failed meanwhile, and this one does not tell
            self.tip.durable.set(self.end.offset);
        }
        Ok(())
    }

    /// Entries before `index` are committed: they will never be cut.
    ///
    /// # Panics
    /// When they are not in the log.
    pub fn commit(&mut self, index: LogIndex) {
        assert!(index <= self.end.index, "what is committed is in the log");
        self.shared.committed.set(index.max(self.shared.committed.get()));
    }

    /// Cuts the entry `from` and all behind it; nothing if the log ends before. Durable when it returns: what
    /// was cut never comes back, and its indexes and offsets are given again. After a crash meanwhile the log is
    /// there up to `from` at least.
    ///
    /// # Errors
    /// [`EntryLogError`].
    ///
    /// # Panics
    /// When `from` is committed.
    pub async fn truncate(&mut self, from: LogIndex) -> Result<(), EntryLogError> {
        self.check()?;
        assert!(from >= self.shared.committed.get(), "what is committed is never cut");
        if from >= self.end.index {
            return Ok(());
        }
        let cut = self.cut(from).await;
        self.note(cut)
    }

    async fn cut(&mut self, from: LogIndex) -> Result<(), StoreError> {
        let mut replay = self.shared.walk_to(from).await?;
        let (to, last_block) = (replay.position, replay.last_block().await?);
        self.cut_at(to, last_block).await?;
        Ok(())
    }

    async fn cut_at(&mut self, to: Position, last_block: Vec<u8>) -> Result<(), IoError> {
        // Readers must not take what is under way for damage.
        self.shared.cut(to);
        if let Owner::Member { ahead, .. } = &self.owner {
            ahead.cut(to.index, to.offset);
        }
        self.generation = truncate(&mut self.tip, &mut self.vote, to, last_block).await?;
        self.shared.vote.set(self.vote.vote());
        self.shared.cut(to); // nor what has begun meanwhile
        self.end = to;
        Ok(())
    }

    /// Gives up all entries, committed or not, and begins anew with an entry of index `first`: what was
    /// before it is known from elsewhere. Durable when it returns; after a crash meanwhile the log is the old
    /// one, a beginning of it, or empty.
    ///
    /// # Errors
    /// [`EntryLogError`].
    pub async fn restart_at(&mut self, first: LogIndex) -> Result<(), EntryLogError> {
        self.check()?;
        let restarted = self.begin_anew(first).await;
        self.note(restarted)
    }

    async fn begin_anew(&mut self, first: LogIndex) -> Result<(), IoError> {
        let oldest = Rc::clone(self.tip.log.all().first().expect("a log has a segment"));
        let SegmentHeader { index, chain, .. } = oldest.header;
        let mut begin = Position::beginning(oldest.first_entry(), index, chain);
        self.shared.committed.set(index);
        self.cut_at(begin, Vec::new()).await?;
        let header = SegmentHeader { index: first, ..oldest.header };
        self.tip.log.replace(oldest.rewrite(header, self.tip.method).await?);
        begin.index = first;
        self.end = begin;
        self.shared.begin(begin);
        Ok(())
    }

    /// Flushes, and notes that the log was closed in order.
    ///
    /// # Errors
    /// [`EntryLogError`].
    pub async fn close(mut self) -> Result<(), EntryLogError> {
        self.flush().await?;
        let last = self.vote.vote();
        let marked = Vote { idle_mark: self.end.offset, clean: true, ..last };
        self.vote.store(marked).await.map_err(|error| StoreError::from(error).into())
    }

    fn check(&self) -> Result<(), EntryLogError> {
        if self.failed || self.owner.has_failed() { Err(EntryLogError::Failed) } else { Ok(()) }
    }

    /// Takes nothing any more: this log is another one than that from which its entries come.
    fn refuse(&mut self, other: OtherLog) -> EntryLogError {
        self.failed = true;
        if let Owner::Member { ahead, .. } = &self.owner {
            let dir = ahead.inner.options.dir.clone();
            ahead.inner.fail(StoreError::OtherLog { dir, other });
        }
        EntryLogError::OtherLog(other)
    }

    /// Takes note of a failure: nothing is retried.
    fn note<T, E: Into<StoreError>>(&mut self, done: Result<T, E>) -> Result<T, EntryLogError> {
        let error = match done {
            Ok(value) => return Ok(value),
            Err(error) => error.into(),
        };
        self.failed = true;
        let Owner::Member { ahead, .. } = &self.owner else { return Err(error.into()) };
        let why = error.to_string();
        ahead.inner.fail(error);
        Err(EntryLogError::Member(why))
    }
}

/// Why a batch was not written.
enum Refused {
    Io(IoError),
    Other(OtherLog),
}

impl From<IoError> for Refused {
    fn from(error: IoError) -> Self {
        Self::Io(error)
    }
}

/// Makes sure that the entry that was laid down with this header is the very one that `head` tells of, and so is all before it.
fn check_chain(head: &EntryHead, header: &Replicated) -> Result<(), Refused> {
    match head.chain {
        Some(theirs) if theirs != header.chain => {
            Err(Refused::Other(OtherLog { index: head.index.0, ours: header.chain, theirs }))
        }
        Some(_) | None => Ok(()),
    }
}

/// Index of the oldest entry.
fn first_of(log: &Log) -> LogIndex {
    log.all().first().expect("a log has a segment").header.index
}

/// Lays an entry down at `at` in `buf`, which begins at `base`, behind a log that ends at `end`; its header.
pub(crate) fn lay_down(
    buf: &mut Buffer,
    at: usize,
    base: PhysicalOffset,
    end: Position,
    local: Local,
    (head, payload): (EntryHead, &[u8]),
) -> Replicated {
    assert_eq!(head.index, end.index, "entries follow each other");
    assert!(head.term >= end.term, "terms never fall along a log");
    assert!(head.timestamp >= end.timestamp, "times never fall along a log");
    let EntryHead { index, term, kind, timestamp, records, chain: _ } = head;
    let offset = base.plus(at as u64);
    let payload_len = u32::try_from(payload.len()).expect("an entry fits into a segment");
    let mut header =
        Replicated { chain: 0, payload_len, kind, index, term, offset, timestamp, records };
    let (len, used) = (entry_len(payload.len()), ENTRY_HEADER_LEN + payload.len());
    let bytes = &mut buf[at..at + len];
    bytes[used..].fill(0);
    bytes[ENTRY_HEADER_LEN..used].copy_from_slice(payload);
    let bytes = &mut bytes[..ENTRY_HEADER_LEN];
    header.chain = header.encode(end.chain, bytes, crc32c::crc32c(payload));
    local.encode(bytes);
    header
}
