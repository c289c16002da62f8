//! The store of a shard, as its owner sees it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use model::{Draft, LogIndex, PhysicalOffset, QueueId, QueueOffset, Term, UnixMillis};
use runtime::channel::{Flag, Notify, Receiver, mpsc};
use runtime::{IoError, Slice, Task};

use crate::builder::{Builder, Limits};
use crate::cache::{Cache, CacheStats};
use crate::checkpoint::Checkpoints;
use crate::command::{CommandKind, TopicCommand};
use crate::error::{AppendError, OpenError, StoreError};
use crate::identity::StoreId;
use crate::index::{Index, QueueRange};
use crate::keeper::StateWanted;
use crate::log::Log;
use crate::lookup::Places;
use crate::member::held::Held;
use crate::open::{self, FirstVote, Locks};
use crate::options::Options;
use crate::part::PartDir;
use crate::provision::{Keep, Spares};
use crate::repair::Spots;
use crate::tail::Tail;
use crate::topics::Topics;
use crate::trim::Prepared;
use crate::trouble::{Trouble, Troubles};
use crate::vote::VoteFile;
use crate::warning::Warning;
use crate::writer;

/// Committed entries that may wait for the store's owner. Beyond it the writer waits.
pub(crate) const MAX_EVENTS: usize = 1024;
/// Names in the store's directory.
pub(crate) const CHECKPOINTS: &str = "checkpoints";
pub(crate) const INDEX: &str = "index";
/// Old files of the index that are kept have at most a segment's size divided by this.
const OLD_PARTS: u64 = 8;

/// The log of one shard and the index of its queues. A cheap handle; the store belongs to the executor
/// that opened it and is not `Send`.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Rc<Inner>,
}

/// Whether the store takes appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Recovering,
    Open,
    /// The group takes appends in another member, or nowhere at the moment.
    Elsewhere,
    Stopping,
    Failed,
}

pub(crate) struct Inner {
    pub id: StoreId,
    pub options: Options,
    pub log: Rc<Log>,
    pub builder: RefCell<Builder>,
    pub index: RefCell<Index>,
    pub tail: RefCell<Tail>,
    pub cache: Cache,
    pub phase: Cell<Phase>,
    /// End of the committed log.
    pub committed: Cell<PhysicalOffset>,
    /// Up to here the log is known to be durable.
    pub durable: Rc<Cell<PhysicalOffset>>,
    pub counters: Counters,
    /// What does not work at the moment and is tried again.
    pub troubles: Rc<Troubles>,
    /// Something was drafted, or the one who writes it has another reason to look.
    pub drafted: Notify,
    /// Something has failed, or the store is being stopped.
    pub alarm: Notify,
    /// End of the log, committed or not; only in a member of a group.
    pub written: Cell<PhysicalOffset>,
    /// In a member of a group: how often more was written, or applied.
    pub moves: Cell<u64>,
    pub moved: Notify,
    /// What comes from the group waits for space on a full disk; not any more once the member is being stopped.
    pub patient: Rc<Cell<bool>>,
    /// Something has failed for good.
    pub failed: Flag,
    /// What trims have given up and the group may need; only in a member of one.
    pub held: Option<Held>,
    /// The writer has ended.
    pub ended: Flag,
    /// Why something in the background failed, for the writer to tell.
    failure: RefCell<Option<StoreError>>,
    pub checkpoints: Checkpoints,
    pub parts: PartDir,
    /// Where the newest checkpoint is that goes with the index.
    pub checkpointed: Cell<PhysicalOffset>,
    /// Where the newest checkpoint's file was at the start, whether it could be used or not: how far the log
    /// may get is counted from there.
    pub newest_found: Cell<PhysicalOffset>,
    /// Checkpoints that the start found damaged, and that are still there.
    pub damaged: RefCell<Vec<PhysicalOffset>>,
    /// The keeper has written something, or failed.
    pub progress: Notify,
    /// The disk is too full for what the keeper has to write.
    pub cramped: Cell<bool>,
    /// A segment is complete, and its parts are on the disk.
    pub merge_wake: Notify,
    pub prepared: RefCell<Prepared>,
    /// The furthest trim that a start could not follow yet, and why.
    pub passed_over: RefCell<Option<(PhysicalOffset, StoreError)>>,
    pub places: Places,
    /// Where the log was found damaged.
    pub spots: Rc<Spots>,
    pub spares: Rc<Spares>,
    /// Nothing was appended for a while.
    pub idle: Cell<bool>,
    _locks: Locks,
}

impl Inner {
    /// Opens the store in `options.dir`, or makes one if there is nothing. The log is not read.
    pub(crate) async fn open(
        options: Options,
        first: FirstVote,
    ) -> Result<(Rc<Self>, VoteFile), OpenError> {
        let opened = open::open(&options, first).await?;
        let log = Rc::new(opened.log);
        let (id, size, zero) = (opened.identity.id, options.segment_size, PhysicalOffset(0));
        let builder = Builder::new(Limits::from(&options), zero, Topics::default(), 0);
        let spares = Rc::new(Spares::new(&options, opened.spares).await);
        let inner = Self {
            id,
            log,
            builder: RefCell::new(builder),
            index: RefCell::new(Index::new(size, zero)),
            tail: RefCell::new(Tail::new(options.tail_budget)),
            cache: Cache::new(options.cache_size),
            phase: Cell::new(Phase::Recovering),
            committed: Cell::new(PhysicalOffset(0)),
            durable: Rc::new(Cell::new(PhysicalOffset(0))),
            counters: Counters::default(),
            troubles: Rc::default(),
            drafted: Notify::new(),
            alarm: Notify::new(),
            written: Cell::new(zero),
            moves: Cell::new(0),
            moved: Notify::new(),
            patient: Rc::new(Cell::new(true)),
            failed: Flag::new(),
            held: (first == FirstVote::Nobody).then(Held::default),
            ended: Flag::new(),
            failure: RefCell::new(None),
            checkpoints: Checkpoints::new(&options.dir.join(CHECKPOINTS), id, size),
            parts: PartDir::new(options.dir.join(INDEX), options.segment_size / OLD_PARTS),
            checkpointed: Cell::new(zero),
            newest_found: Cell::new(zero),
            damaged: RefCell::default(),
            progress: Notify::new(),
            cramped: Cell::new(false),
            merge_wake: Notify::new(),
            prepared: RefCell::default(),
            passed_over: RefCell::default(),
            places: Places::default(),
            spots: Rc::default(),
            spares,
            idle: Cell::new(false),
            _locks: opened.locks,
            options,
        };
        Ok((Rc::new(inner), opened.vote))
    }

    /// Where the log begins for readers.
    pub(crate) fn oldest(&self) -> PhysicalOffset {
        self.log.oldest().max(self.index.borrow().trimmed_to())
    }

    /// Where the newest checkpoint's file is.
    pub(crate) fn newest_checkpoint(&self) -> PhysicalOffset {
        self.checkpointed.get().max(self.newest_found.get())
    }

    /// Lets the store fail, from the background: the writer tells its owner.
    pub(crate) fn fail(&self, error: StoreError) {
        self.phase.set(Phase::Failed);
        self.failure.borrow_mut().get_or_insert(error);
        self.failed.raise();
        self.look();
        self.progress.notify_all();
    }

    /// Lets those look who write, and who watch.
    fn look(&self) {
        self.drafted.notify_one();
        self.alarm.notify_one();
    }

    /// Whether the next segment's file must be there soon, and is not.
    pub(crate) fn wants_room(&self) -> bool {
        if self.phase.get() != Phase::Elsewhere {
            return self.builder.borrow().wants_room();
        }
        self.spares.ready() == 0 && self.is_late()
    }

    /// Whether the next segment's file must be there soon.
    pub(crate) fn is_late(&self) -> bool {
        if self.phase.get() != Phase::Elsewhere {
            return self.builder.borrow().is_late();
        }
        let into = self.full_of_segment();
        into > self.options.segment_size / 4 * 3 || into == 0
    }

    /// Files that are ready for segments to come and that nothing was drafted for.
    pub(crate) fn rooms(&self) -> usize {
        match self.phase.get() {
            Phase::Elsewhere => self.spares.ready(),
            _ => self.builder.borrow().rooms().min(self.spares.ready()),
        }
    }

    /// One of these files is to go. False if there is none.
    pub(crate) fn take_room(&self) -> bool {
        let has_one = self.rooms() > 0;
        if has_one && self.phase.get() != Phase::Elsewhere {
            assert!(self.builder.borrow_mut().take_room(), "it was counted");
        }
        has_one
    }

    /// Bytes of its segment before where the log will end.
    pub(crate) fn full_of_segment(&self) -> u64 {
        match self.phase.get() {
            Phase::Elsewhere => self.written.get().0 % self.options.segment_size,
            _ => self.builder.borrow().full_of_segment(),
        }
    }

    /// The error, for the caller to live with; not a flush that failed, which no store lives with, whatever it was
    /// for: it had to empty the device's cache, in which the log's newest writes may lie as well, and a later flush
    /// of the log may succeed all the same. Then the store fails.
    pub(crate) fn survived(&self, error: IoError) -> Option<IoError> {
        if error.is_failed_flush() {
            self.fail(error.into());
            return None;
        }
        Some(error)
    }

    /// As [`Inner::survived`], for whoever wants to know what the error says.
    pub(crate) fn told(&self, error: IoError) -> String {
        let why = error.to_string();
        drop(self.survived(error));
        why
    }

    /// Tells of a failure in the background. To be asked before anything that was written meanwhile
    /// counts as committed: a later flush may succeed although what the failed one was to cover is lost.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.failure.take().map_or(Ok(()), Err)
    }
}

/// Counted by the writer.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub batches: Cell<u64>,
    pub bytes: Cell<u64>,
    pub records: Cell<u64>,
    pub write_time: Cell<Duration>,
    pub slowest_write: Cell<Duration>,
}

impl Counters {
    /// One batch more: its bytes, its messages, and how long it took.
    pub(crate) fn count(&self, bytes: u64, records: u64, took: Duration) {
        self.batches.set(self.batches.get() + 1);
        self.bytes.set(self.bytes.get() + bytes);
        self.records.set(self.records.get() + records);
        self.write_time.set(self.write_time.get() + took);
        self.slowest_write.set(self.slowest_write.get().max(took));
    }
}

/// What a store has done since it was opened, and how much waits.
#[derive(Clone, Copy, Debug)]
pub struct Stats {
    /// Offset of the oldest entry.
    pub min: PhysicalOffset,
    /// End of the committed log.
    pub max: PhysicalOffset,
    /// Committed bytes that a power cut could take (`ASYNC_FLUSH` only).
    pub unflushed: u64,
    /// The disk has no room for what the log needs next, and messages may be refused.
    pub full: bool,
    /// Bytes of segments' files that were given up and are neither used again nor deleted yet, and of files for segments to
    /// come that are not kept ([`Store::keep`], or because the disk has no room for a checkpoint): their space is still to come back.
    pub freeing: u64,
    /// Bytes of a file that the log needs for its next segment, once a quarter of the one before is full: until it is ready,
    /// or being made. What is given up becomes one, and does not come back.
    pub missing: u64,
    /// Bytes of files that were made ready for the log in this life before their blocks had been written: a durable
    /// write into them costs about twice as much.
    pub unwritten: u64,
    /// Bytes that wait for the writer.
    pub queued: usize,
    /// Bytes that may wait for the writer.
    pub max_queued: usize,
    /// Batches written.
    pub batches: u64,
    /// Bytes of entries written.
    pub bytes: u64,
    /// Messages written.
    pub records: u64,
    /// Time spent writing and flushing batches.
    pub write_time: Duration,
    /// The slowest batch.
    pub slowest_write: Duration,
    /// What was read from the disk, and kept.
    pub cache: CacheStats,
}

/// How a start went.
#[derive(Clone, Copy, Debug)]
pub struct Recovery {
    /// The store was stopped in order before.
    pub clean: bool,
    /// The store was made just now.
    pub new: bool,
    /// Entries read.
    pub entries: u64,
    /// Messages read.
    pub records: u64,
    /// Offset of the oldest entry.
    pub start: PhysicalOffset,
    /// End of the log.
    pub end: PhysicalOffset,
    /// A write that was never finished followed the log's end, and was cut. Nothing in it was committed
    /// with [`crate::Flush::Sync`]; with `Async` it may have been, before a power cut.
    pub torn: bool,
    /// Time it took.
    pub took: Duration,
}

/// What comes back from the log, in log order.
#[derive(Debug)]
pub enum Event {
    /// An entry is committed, and in the index.
    Committed(Applied),
    /// The state that the owner gave for the checkpoint from which this start reads on. At most once, and
    /// before anything else.
    Restored(Vec<u8>),
    /// The owner's state is wanted, for a checkpoint: as it is after all events before this one.
    StateWanted(StateWanted),
    /// Everything the log held has been handed out; appends are taken from now on.
    Recovered(Recovery),
    /// Something that an operator should know of. At any time, also while the log is read.
    Warned(Warning),
    /// The store takes no appends any more. Appends that were not committed before this event never
    /// will be answered otherwise: whether they are on the disk is unknown.
    Failed(StoreError),
    /// The store was stopped in order; everything appended was committed before.
    Stopped,
}

/// A committed entry.
#[derive(Debug)]
pub struct Applied {
    /// It was read at start, nobody waits for it.
    pub replayed: bool,
    /// It was appended here since the start, and not by another member of the group: somebody may wait for it.
    pub here: bool,
    /// Its place in the log.
    pub index: LogIndex,
    /// The term in which it was appended.
    pub term: Term,
    /// When the leader placed it.
    pub timestamp: UnixMillis,
    /// What it holds.
    pub what: What,
}

/// What an entry holds.
#[derive(Debug)]
pub enum What {
    /// Messages, in the order in which they were appended.
    Messages(Vec<AppliedRecord>),
    /// A topic was created or changed.
    TopicPut {
        /// Its name.
        name: String,
        /// Queues it was given.
        queues: u32,
        /// The owner's payload.
        payload: Vec<u8>,
    },
    /// A topic was deleted, and its messages with it.
    TopicDeleted {
        /// Its name.
        name: String,
    },
    /// A command of the owner's.
    Command {
        /// As given to [`Store::append_command`].
        kind: CommandKind,
        /// As given to [`Store::append_command`].
        payload: Slice,
    },
    /// An entry of the group itself.
    Membership,
    /// The log before this offset is given up.
    Trimmed {
        /// Where it begins now.
        to: PhysicalOffset,
    },
}

/// A committed message.
#[derive(Clone, Debug)]
pub struct AppliedRecord {
    /// Its topic.
    pub topic: Rc<str>,
    /// Its queue.
    pub queue: QueueId,
    /// Its position in the queue.
    pub queue_offset: QueueOffset,
    /// Its place in the log.
    pub physical: PhysicalOffset,
    /// Bytes of its record.
    pub size: u32,
    /// See [`model::tag::tag_hash`].
    pub tag_hash: i64,
    /// When the leader stored it.
    pub store_time: UnixMillis,
}

/// Where committed entries come back. Must be read until [`Event::Stopped`] or [`Event::Failed`]: the
/// writer waits for a reader that is too far behind. Dropping them before that abandons the store as a
/// crash would: what was not committed may or may not be in the log.
pub struct Events {
    receiver: Receiver<Event>,
    over: bool,
    _writer: Task<()>,
}

impl Events {
    pub(crate) fn new(receiver: Receiver<Event>, writer: Task<()>) -> Self {
        Self { receiver, over: false, _writer: writer }
    }

    /// The next event; after [`Event::Stopped`] or [`Event::Failed`] it never resolves again. Cancel
    /// safe.
    pub async fn next(&mut self) -> Event {
        if self.over {
            return std::future::pending().await;
        }
        let event =
            self.receiver.recv().await.expect("the writer's last event is Stopped or Failed");
        self.over = matches!(event, Event::Stopped | Event::Failed(_));
        event
    }
}

impl Store {
    /// Opens the store in `options.dir`, or makes one if there is nothing. The log is read after
    /// this returns: its entries come through [`Events`], then [`Event::Recovered`].
    ///
    /// # Errors
    /// [`OpenError`] says what stands in the way and what to do; the directory is left as it is.
    pub async fn open(options: Options) -> Result<(Self, Events), OpenError> {
        let (inner, vote) = Inner::open(options, FirstVote::Itself).await?;
        let (sender, receiver) = mpsc(MAX_EVENTS);
        let writer = runtime::spawn(writer::run(Rc::clone(&inner), vote, sender));
        Ok((Self { inner }, Events::new(receiver, writer)))
    }

    /// The id drawn when the store was made.
    #[must_use]
    pub fn id(&self) -> StoreId {
        self.inner.id
    }

    /// Appends a message. It is encoded at once into the batch that fills; its offsets come back
    /// through [`Events`], in the order of appends. Never waits.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was appended then.
    pub fn append_message(&self, draft: &Draft<'_>) -> Result<(), AppendError> {
        self.append_messages(std::slice::from_ref(draft))
    }

    /// Appends messages one behind the other: all of them, or none. Each comes back on its own.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was appended then.
    pub fn append_messages(&self, drafts: &[Draft<'_>]) -> Result<(), AppendError> {
        if self.inner.cramped.get() {
            return Err(AppendError::Full);
        }
        self.append(|builder| builder.push_messages(drafts))
    }

    /// Creates a topic, or changes the one there is: queues are added, never taken away. Appends that
    /// follow may use it at once.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was appended then.
    pub fn append_create_topic(
        &self,
        name: &str,
        queues: u32,
        payload: &[u8],
    ) -> Result<(), AppendError> {
        let (name, payload) = (name.to_owned(), payload.to_vec());
        self.append(|builder| builder.push_topic(TopicCommand::Put { name, queues, payload }))
    }

    /// Deletes a topic; a topic of that name that is made later starts clean.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was appended then.
    pub fn append_delete_topic(&self, name: &str) -> Result<(), AppendError> {
        let name = name.to_owned();
        self.append(|builder| builder.push_topic(TopicCommand::Delete { name }))
    }

    /// Appends a command that only the store's owner understands.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was appended then.
    pub fn append_command(&self, kind: CommandKind, payload: &[u8]) -> Result<(), AppendError> {
        self.append(|builder| builder.push_command(kind, payload))
    }

    pub(crate) fn append(
        &self,
        push: impl FnOnce(&mut Builder) -> Result<(), AppendError>,
    ) -> Result<(), AppendError> {
        match self.inner.phase.get() {
            Phase::Open => {}
            Phase::Recovering => return Err(AppendError::Recovering),
            Phase::Elsewhere => return Err(AppendError::Elsewhere),
            Phase::Stopping => return Err(AppendError::Stopped),
            Phase::Failed => return Err(AppendError::Failed),
        }
        let pushed = push(&mut self.inner.builder.borrow_mut());
        self.inner.drafted.notify_one();
        if pushed == Err(AppendError::NoSegment) {
            self.inner.spares.wake();
            if self.inner.spares.full() {
                return Err(AppendError::Full);
            }
            if let Some(error) = self.inner.troubles.why(Trouble::SegmentFile) {
                return Err(AppendError::NoFile { why: error.to_string() });
            }
        }
        pushed
    }

    /// Where the log was found damaged, for whoever repairs it.
    #[must_use]
    pub fn spots(&self) -> Rc<Spots> {
        Rc::clone(&self.inner.spots)
    }

    /// What does not work at the moment and is tried again, each with the latest error, which names the file and the
    /// reason. Empty when all is well.
    #[must_use]
    pub fn troubles(&self) -> Vec<(Trouble, Rc<IoError>)> {
        self.inner.troubles.all()
    }

    /// Whether the topic is there: appended topics count, committed or not. Where appends are taken elsewhere those that
    /// are committed.
    #[must_use]
    pub fn has_topic(&self, name: &str) -> bool {
        match self.inner.phase.get() {
            Phase::Elsewhere => self.inner.index.borrow().topics().find(name).is_some(),
            _ => self.inner.builder.borrow().topics().find(name).is_some(),
        }
    }

    /// The committed messages of a queue; `None` when there is no such queue.
    #[must_use]
    pub fn queue(&self, topic: &str, queue: QueueId) -> Option<QueueRange> {
        self.inner.index.borrow().range(topic, queue)
    }

    /// Where the first message of the queue is or was; `None` when it has had none.
    #[must_use]
    pub fn queue_began(&self, topic: &str, queue: QueueId) -> Option<PhysicalOffset> {
        let (_, _, counter) = self.inner.index.borrow().queue(topic, queue)?;
        (counter.next > QueueOffset(0)).then_some(counter.began)
    }

    /// What the store has done, and how much waits.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (inner, counters) = (&self.inner, &self.inner.counters);
        let (max, builder) = (inner.committed.get(), inner.builder.borrow());
        Stats {
            min: inner.oldest(),
            full: inner.cramped.get() || inner.spares.full(),
            freeing: inner.spares.freeing(inner)
                + inner.held.as_ref().map_or(0, |held| held.bytes(inner)),
            missing: inner.spares.missing(inner),
            unwritten: inner.spares.unwritten(),
            max,
            unflushed: max.0.saturating_sub(inner.durable.get().0),
            queued: builder.queued(),
            max_queued: inner.options.max_queued,
            batches: counters.batches.get(),
            bytes: counters.bytes.get(),
            records: counters.records.get(),
            write_time: counters.write_time.get(),
            slowest_write: counters.slowest_write.get(),
            cache: inner.cache.stats(),
        }
    }

    /// Whether so many bytes of entries could be written behind the log, in a member of a group: not where they reach into the next
    /// segment, there is no file for that, and the disk had no room for one when it was last asked for.
    #[must_use]
    pub fn has_room(&self, bytes: u64) -> bool {
        let inner = &self.inner;
        let left = match inner.written.get().0 % inner.options.segment_size {
            0 => 0,
            into => inner.options.segment_size - into,
        };
        let has_room = bytes <= left || inner.spares.ready() > 0 || !inner.spares.full();
        if !has_room {
            inner.spares.wake();
        }
        has_room
    }

    /// Says how many files are kept for segments to come, [`Keep::Many`] at first. None is made ahead of time that would not
    /// `leave` so many bytes of the disk available, nor one that would not leave as much as it takes.
    pub fn keep(&self, keep: Keep, leave: u64) {
        self.inner.spares.keep(keep, leave);
    }

    /// Whether space is so short that only what is needed next is kept ([`Keep::Next`]), or gone.
    #[must_use]
    pub fn is_short_of_space(&self) -> bool {
        self.inner.spares.is_short() || self.stats().full
    }

    /// Stops in order: takes no more appends, writes and flushes what waits, and marks the store as
    /// cleanly stopped. [`Event::Stopped`] is the last event. Does not wait for a full disk: what could not be
    /// written for the next start to be short is left out, and what cannot be written without it ends in
    /// [`StoreError::Full`]. Resolves when the writer has ended, also
    /// when it failed; [`Events`] must be read meanwhile.
    pub async fn stop(&self) {
        if self.inner.phase.get() != Phase::Failed {
            self.inner.phase.set(Phase::Stopping);
        }
        self.inner.look();
        self.inner.progress.notify_all(); // who waits for room may not have to
        self.inner.ended.raised().await;
    }
}
