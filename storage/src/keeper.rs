//! Keeping starts short: parts of the index and checkpoints are written while the log goes on.
//!
//! Every [`Scale::interval`] of log, and where a segment begins, the writer ends the growing part of the index,
//! asks the owner for its state at that point, and leaves both to the keeper. Once the part is on the
//! disk and the log is durable up to the point, a checkpoint says so, and a start reads only what
//! follows it. The writer waits before the log is [`Scale::furthest`] ahead of the newest checkpoint, so that
//! a start never reads more than that.

use std::rc::Rc;
use std::time::Duration;

use model::PhysicalOffset;
use runtime::channel::{OneshotReceiver, OneshotSender, Receiver, Sender, oneshot};
use runtime::{IoError, IoOp};

use crate::checkpoint::Checkpoint;
use crate::error::StoreError;
#[cfg(doc)]
use crate::options::Scale;
use crate::part::{self, Frozen, PartError, PartFile};
use crate::position::Position;
use crate::store::{Event, Inner, Phase};

/// By how much further the log may be ahead while the disk is too full for a checkpoint.
pub(crate) const CRAMPED: u64 = 2;
/// Parts that may be in writing. Their number bounds the memory of the index, see
/// [`crate::part::Growing`].
pub(crate) const MOST_IN_WRITING: usize = 2;
/// Time between two attempts to write on a full disk.
const RETRY: Duration = Duration::from_millis(500);

/// The owner's part of a checkpoint is due: its state after everything that came back before this, and
/// nothing else.
#[derive(Debug)]
pub struct StateWanted {
    reply: OneshotSender<Vec<u8>>,
}

impl StateWanted {
    /// Gives the state, in whatever format; it comes back as [`Event::Restored`]. Dropping this instead
    /// of giving a state means that the owner is about to give up the store.
    pub fn give(self, state: Vec<u8>) {
        drop(self.reply.send(state)); // a store that has failed meanwhile needs none
    }
}

/// What the keeper is to write.
pub(crate) struct Due {
    /// `None` when no part ends here.
    part: Option<Rc<Frozen>>,
    checkpoint: Checkpoint,
    state: OneshotReceiver<Vec<u8>>,
}

/// Whether the growing part should end at `end`.
pub(crate) fn is_due(inner: &Inner, end: PhysicalOffset) -> bool {
    let index = inner.index.borrow();
    let long_enough = index.grown(end) >= inner.options.scale.interval || index.is_full();
    long_enough && index.being_written() < MOST_IN_WRITING
}

/// Ends the growing part at `at` and has a checkpoint made there. Everything before `at` must have been
/// applied, and handed to the owner.
pub(crate) async fn cut(
    inner: &Inner,
    at: Position,
    events: &Sender<Event>,
    due: &Sender<Due>,
) -> Result<(), StoreError> {
    let committed = inner.committed.get();
    let starting = committed == PhysicalOffset(0);
    assert!(starting || at.last < committed, "a checkpoint is made of what can never be cut");
    while inner.index.borrow().being_written() >= MOST_IN_WRITING && !inner.unkept.get() {
        inner.progress.notified().await;
        inner.check()?;
    }
    let part = inner.index.borrow_mut().freeze(at.offset);
    if inner.unkept.get() {
        return Ok(());
    }
    let checkpoint = inner.index.borrow().checkpoint(at);
    let (reply, state) = oneshot();
    drop(events.send(Event::StateWanted(StateWanted { reply })).await);
    // The keeper ends before the writer only when it has failed, which the writer is told.
    drop(due.send(Due { part, checkpoint, state }).await);
    Ok(())
}

/// Waits until the log may grow: not too far ahead of the newest checkpoint, and the index not too large.
pub(crate) async fn wait_for_room(inner: &Inner) -> Result<(), StoreError> {
    loop {
        inner.check()?;
        let ahead = inner.committed.get().since(inner.checkpointed.get());
        let crowded = {
            let index = inner.index.borrow();
            index.is_full() && index.being_written() >= MOST_IN_WRITING
        };
        // On a full disk messages are refused. What was appended before, and what may free some space,
        // must not wait for that space.
        let furthest = inner.options.scale.furthest;
        let (furthest, crowded) = match inner.cramped.get() {
            true => (CRAMPED * furthest, false),
            false => (furthest, crowded),
        };
        if ahead < furthest && !crowded {
            return Ok(());
        }
        if inner.unkept.get() {
            // A stop in which there will be no checkpoint: what waits was never acknowledged.
            let full = std::io::ErrorKind::StorageFull.into();
            return Err(IoError::path(IoOp::Write, inner.checkpoints.dir(), full).into());
        }
        inner.progress.notified().await;
    }
}

/// Writes what is due until nobody can ask for more. A stop does not wait for room on a full disk: what is due
/// then is left to the next start, which makes it anew from the log.
pub(crate) async fn run(inner: Rc<Inner>, mut due: Receiver<Due>) {
    while let Some(next) = due.recv().await {
        if let Err(error) = keep(&inner, next).await {
            inner.fail(error);
            return;
        }
        inner.progress.notify_all();
        if inner.unkept.get() {
            return;
        }
    }
}

async fn keep(inner: &Rc<Inner>, due: Due) -> Result<(), StoreError> {
    let Due { part, mut checkpoint, state } = due;
    if let Some(frozen) = part {
        let written = insist(inner, async || write_part(inner, &frozen).await).await?;
        let Some(file) = written else {
            return Ok(());
        };
        drop(frozen);
        let frozen = inner.index.borrow_mut().written(file);
        if let Ok(frozen) = Rc::try_unwrap(frozen) {
            frozen.discard().await;
        }
    }
    let Some(owner) = state.await.ok() else {
        return Ok(()); // the owner is giving up the store
    };
    checkpoint.owner = owner;
    let at = checkpoint.position.offset;
    make_durable(inner, at).await?;
    if insist(inner, async || inner.checkpoints.write(&checkpoint).await).await?.is_none() {
        return Ok(());
    }
    assert!(at >= inner.checkpointed.get(), "checkpoints go forward");
    inner.checkpointed.set(at);
    inner.cramped.set(false);
    // A trim that was committed since then is read again at a start, with the checkpoint that it needs.
    remove_damaged(inner, at).await?;
    let damaged = inner.damaged.borrow().clone();
    // A segment that is still there keeps its checkpoint: a start may find it, and read on from there.
    let oldest = inner.spares.oldest_given_up().unwrap_or_else(|| inner.log.oldest_base());
    let trim = checkpoint.trim.min(oldest);
    insist(inner, async || inner.checkpoints.prune(trim, &damaged).await).await?;
    if at.0.is_multiple_of(inner.options.segment_size) {
        inner.merge_wake.notify_one();
    }
    Ok(())
}

/// Removes the damaged checkpoints that a start has found before `at`, where there is a whole one now. One
/// further on stays: a later start must see that there was one.
async fn remove_damaged(inner: &Inner, at: PhysicalOffset) -> Result<(), StoreError> {
    let before: Vec<_> =
        inner.damaged.borrow_mut().extract_if(.., |offset| *offset <= at).collect();
    for offset in before {
        if offset != at {
            inner.checkpoints.remove(offset).await?;
        }
    }
    Ok(())
}

async fn write_part(inner: &Inner, frozen: &Frozen) -> Result<PartFile, IoError> {
    match part::write(&inner.index_dir, inner.id, frozen).await {
        Ok(file) => Ok(file),
        Err(PartError::Io(error)) => Err(error),
        Err(error) => {
            let file = inner.index_dir.join(frozen.span().name());
            Err(IoError::path(IoOp::Write, file, std::io::Error::other(error.to_string())))
        }
    }
}

/// Tries again while the disk is full, when the store takes no messages, and while too many files are open. `None`: it is
/// being stopped, and nothing is kept any more.
async fn insist<T>(
    inner: &Inner,
    mut write: impl AsyncFnMut() -> Result<T, IoError>,
) -> Result<Option<T>, StoreError> {
    loop {
        // Messages are taken while too many files are open, as far as the log may be ahead.
        match inner.troubles.opening(&mut write).await {
            Ok(written) => return Ok(Some(written)),
            Err(error) if error.is_storage_full() => {
                inner.cramped.set(true);
                inner.progress.notify_all();
                if inner.phase.get() == Phase::Stopping {
                    inner.unkept.set(true);
                    return Ok(None);
                }
                runtime::sleep(RETRY).await;
                inner.check()?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Makes the log durable up to `at`. A segment that is not active any more was flushed before its
/// successor was made.
pub(crate) async fn make_durable(inner: &Inner, at: PhysicalOffset) -> Result<(), StoreError> {
    if inner.durable.get() >= at {
        return Ok(());
    }
    let written = inner.committed.get();
    inner.log.active().file.sync().await?;
    let durable = inner.durable.get().max(written);
    inner.durable.set(durable);
    Ok(())
}
