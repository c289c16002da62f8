//! The writer of a store: recovery first, then batch after batch.

use std::rc::Rc;
use std::time::Duration;

use futures::future::join;
use model::PhysicalOffset;
use runtime::channel::{Flag, Sender, mpsc};
use runtime::{IoError, Slice};

use crate::apply::{Origin, apply};
use crate::batch::Batch;
use crate::entry::{ENTRY_HEADER_LEN, Kind};
use crate::error::StoreError;
use crate::keeper::{self, Due, MOST_UNWRITTEN};
use crate::merging;
use crate::options::Flush;
use crate::position::Position;
use crate::provision;
use crate::recover::recover;
use crate::replicate::{Committed, Replicator, Standalone};
use crate::store::{Event, Inner, Phase};
use crate::tail::Part;
use crate::tip;
use crate::vote::{Vote, VoteFile};

/// Without an append for so long the shard counts as idle, and what else there is to do is done at full speed.
const IDLE: Duration = Duration::from_millis(500);

/// Runs a store from recovery to its end, and tells its owner how it ended.
pub(crate) async fn run(inner: Rc<Inner>, vote: VoteFile, events: Sender<Event>) {
    let end = match work(&inner, vote, &events).await {
        Ok(()) => Event::Stopped,
        Err(error) => {
            inner.phase.set(Phase::Failed);
            inner.builder.borrow_mut().clear();
            Event::Failed(error)
        }
    };
    // An owner that has gone needs no last word.
    drop(events.send(end).await);
    inner.ended.raise();
}

async fn work(
    inner: &Rc<Inner>,
    mut vote: VoteFile,
    events: &Sender<Event>,
) -> Result<(), StoreError> {
    let (due, is_due) = mpsc(MOST_UNWRITTEN);
    let keeping = runtime::spawn(keeper::run(Rc::clone(inner), is_due, events.clone()));
    let mut replicator = recover(inner, &mut vote, events, &due).await?;
    let over = Flag::new();
    let merging = runtime::spawn(merging::run(Rc::clone(inner), events.clone()));
    let providing = provision::run(Rc::clone(inner), Rc::clone(&inner.spares), over.clone());
    let providing = runtime::spawn(providing);
    let flusher = match inner.options.flush {
        Flush::Sync => None,
        Flush::Async { interval } => {
            Some(runtime::spawn(flush_regularly(Rc::clone(inner), interval, over.clone())))
        }
    };
    let written = write(inner, &mut replicator, &mut vote, events, &due).await;
    over.raise();
    inner.spares.wake();
    // What is under way is heard out: nobody else would be told of its failure.
    drop((due, merging));
    if written.is_ok() {
        keeping.await;
        providing.await;
    }
    if let Some(flusher) = flusher {
        flusher.await;
    }
    written?;
    inner.check()?;
    inner.log.flush().await?;
    inner.durable.set(replicator.end.offset);
    let last = vote.vote();
    vote.store(Vote { idle_mark: replicator.end.offset, clean: true, ..last }).await?;
    Ok(())
}

/// Writes batches until the store is stopped and nothing waits any more. While more waits, the disk is given the next
/// batch before the one that it has written is entered: it would be idle meanwhile.
async fn write(
    inner: &Rc<Inner>,
    replicator: &mut Standalone,
    vote: &mut VoteFile,
    events: &Sender<Event>,
    due: &Sender<Due>,
) -> Result<(), StoreError> {
    assert!(replicator.accepts(), "appends are taken only where they can be proposed");
    loop {
        keeper::wait_for_room(inner).await?;
        let next = inner.builder.borrow_mut().take();
        if let Some(batch) = next {
            inner.idle.set(false);
            let mut written = propose(inner, replicator, batch).await?;
            inner.check()?; // what is written next says that this is committed
            while let Some(batch) = next_behind(inner, &written) {
                let entered = async {
                    runtime::yield_now().await; // the write goes out before this
                    enter(inner, vote, written, events, due).await
                };
                // This half first: as it has something to do, the executor does not make the write itself, and the
                // producers of what was written do not wait for that.
                let (entered, next) = join(entered, propose(inner, replicator, batch)).await;
                entered?;
                written = next?;
                inner.check()?;
            }
            enter(inner, vote, written, events, due).await?;
        } else if inner.phase.get() == Phase::Stopping {
            return Ok(());
        } else if runtime::timeout(IDLE, inner.drafted.notified()).await.is_err() {
            inner.idle.set(true);
            inner.spares.wake();
        }
    }
}

/// A batch that the disk has, and that nobody has been told of.
struct Written {
    committed: Committed,
    /// The log's end before it, and after it.
    before: Position,
    end: Position,
    took: Duration,
}

async fn propose(
    inner: &Inner,
    replicator: &mut Standalone,
    batch: Batch,
) -> Result<Written, IoError> {
    let (began, before) = (runtime::now(), replicator.position());
    let writing = inner.cache.log_writes();
    let committed = replicator.propose(batch).await?;
    drop(writing);
    Ok(Written { committed, before, end: replicator.position(), took: began.elapsed() })
}

/// The next batch, where it may be written while `written` is being entered: there is room for it, it goes to the
/// same segment, and nothing is entered that changes what segments there are.
fn next_behind(inner: &Inner, written: &Written) -> Option<Batch> {
    let mut entries = written.committed.entries.iter();
    let only_messages = entries.all(|placed| placed.header.kind == Kind::Messages);
    if !only_messages || !keeper::has_room(inner, written.end.offset) {
        return None;
    }
    inner.builder.borrow_mut().take_within(inner.log.active().end())
}

/// Enters a batch that the disk has, and whatever is due behind it.
async fn enter(
    inner: &Rc<Inner>,
    vote: &mut VoteFile,
    written: Written,
    events: &Sender<Event>,
    due: &Sender<Due>,
) -> Result<(), StoreError> {
    let Written { committed, before, end, took } = written;
    inner.check()?;
    count(inner, &committed, took);
    enter_segment(inner, vote, before, committed.start, events, due).await?;
    publish(inner, committed, events).await?;
    // A new store has a checkpoint from its first entry on.
    if before.index.0 == 0 || keeper::is_due(inner, end.offset) {
        keeper::cut(inner, end, events, due).await?;
    }
    if inner.builder.borrow().wants_room() {
        inner.spares.wake();
    }
    Ok(())
}

/// Where a batch, which begins at `start`, is the first one of its segment: notes that, and ends the part of
/// the index that the segment before has.
async fn enter_segment(
    inner: &Inner,
    vote: &mut VoteFile,
    before: Position,
    start: PhysicalOffset,
    events: &Sender<Event>,
    due: &Sender<Due>,
) -> Result<(), StoreError> {
    let size = inner.options.segment_size;
    tip::note_segment(vote, start, size).await?;
    let base = PhysicalOffset(start.0 / size * size);
    if inner.index.borrow().segment() != base {
        keeper::cut(inner, Position { offset: base, ..before }, events, due).await?;
    }
    Ok(())
}

fn count(inner: &Inner, committed: &Committed, took: Duration) {
    let records = committed.entries.iter().map(|entry| u64::from(entry.header.records)).sum();
    inner.counters.count(committed.end.since(committed.start), records, took);
}

/// Makes a committed batch visible: to readers at the tail, in the index, and to the owner.
async fn publish(
    inner: &Rc<Inner>,
    committed: Committed,
    events: &Sender<Event>,
) -> Result<(), StoreError> {
    let Committed { buf, memory, base, start, end, entries } = committed;
    inner.tail.borrow_mut().push(Part { buf: Rc::clone(&buf), memory, base, start, end });
    assert!(inner.committed.get() <= start, "what is committed stays committed");
    inner.committed.set(end);
    for placed in entries {
        let from = placed.at + ENTRY_HEADER_LEN;
        let payload = Slice::new(Rc::clone(&buf), from..from + placed.header.payload_len as usize);
        let applied =
            apply(inner, &placed.header, payload, Origin::Written(&placed.records)).await?;
        drop(events.send(Event::Committed(applied)).await);
    }
    Ok(())
}

/// Flushes what was written and not flushed, every `interval` until `over`.
async fn flush_regularly(inner: Rc<Inner>, interval: Duration, over: Flag) {
    while runtime::timeout(interval, over.raised()).await.is_err() {
        let written = inner.committed.get();
        if inner.durable.get() >= written {
            continue;
        }
        if let Err(error) = inner.log.flush().await {
            return inner.fail(error.into());
        }
        let durable = inner.durable.get().max(written);
        inner.durable.set(durable);
    }
}
