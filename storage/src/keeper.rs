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
use crate::warning::Warning;

/// By how much further the log may be ahead while the disk is too full for a checkpoint.
pub(crate) const CRAMPED: u64 = 2;
/// Parts that may be in writing. Their number bounds the memory of the index, see
/// [`crate::part::Growing`].
pub(crate) const MOST_IN_WRITING: usize = 2;
/// Parts that may be in memory while the disk is too full to write them. A start that makes the index anew
/// goes on with so many: for 2 GiB of log, of messages that are not tiny.
pub(crate) const MOST_UNWRITTEN: usize = 64;
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
    checkpoint: Checkpoint,
    state: OneshotReceiver<Vec<u8>>,
}

/// Whether the growing part should end at `end`.
pub(crate) fn is_due(inner: &Inner, end: PhysicalOffset) -> bool {
    let index = inner.index.borrow();
    let long_enough = index.grown(end) >= inner.options.scale.interval || index.is_full();
    long_enough && index.being_written() < most_in_memory(inner)
}

/// Parts that may be in memory and not on the disk.
fn most_in_memory(inner: &Inner) -> usize {
    if inner.cramped.get() { MOST_UNWRITTEN } else { MOST_IN_WRITING }
}

/// In a member of a group: waits until the index has room for another entry. What the group commits meanwhile stays in the
/// log, so waiting costs nothing but time.
///
/// # Errors
/// The store has failed; or it is being stopped while the disk is full.
pub(crate) async fn wait_for_index(inner: &Inner) -> Result<(), StoreError> {
    loop {
        inner.check()?;
        let crowded = {
            let index = inner.index.borrow();
            index.is_full() && index.being_written() >= most_in_memory(inner)
        };
        if !crowded {
            return Ok(());
        }
        wait_for_keeper(inner).await?;
    }
}

/// In a member of a group: waits until the keeper has written something, or has found the disk full.
async fn wait_for_keeper(inner: &Inner) -> Result<(), StoreError> {
    give_up_if_full(inner)?;
    inner.progress.notified().await;
    Ok(())
}

/// In a member of a group: whoever waits for space does so until the member is being stopped.
///
/// # Errors
/// [`StoreError::Full`] then.
pub(crate) fn give_up_if_full(inner: &Inner) -> Result<(), StoreError> {
    let stops = !inner.patient.get() || inner.phase.get() == Phase::Stopping;
    if stops && inner.cramped.get() {
        let why = "and what the group has committed beyond that is applied by the next start";
        return Err(StoreError::Full { dir: inner.options.dir.clone(), why });
    }
    Ok(())
}

/// Ends the growing part at `at` and has a checkpoint made there. Everything before `at` must have been
/// applied, and handed to the owner.
///
/// While the disk is full nothing waits for it: parts stay in memory, and only the checkpoints at the
/// beginnings of segments are made later, as nothing else can stand in for them.
///
/// # Errors
/// [`StoreError::Full`] beyond [`MOST_UNWRITTEN`]: at once, or in a member of a group when it is being stopped.
pub(crate) async fn cut(
    inner: &Inner,
    at: Position,
    events: &Sender<Event>,
    due: &Sender<Due>,
) -> Result<(), StoreError> {
    let committed = inner.committed.get();
    let starting = committed == PhysicalOffset(0);
    assert!(starting || at.last < committed, "a checkpoint is made of what can never be cut");
    let in_memory = || inner.index.borrow().being_written();
    while in_memory() >= MOST_IN_WRITING && !inner.cramped.get() {
        inner.progress.notified().await;
        inner.check()?;
    }
    while inner.held.is_some() && in_memory() >= most_in_memory(inner) {
        wait_for_keeper(inner).await?;
        inner.check()?;
    }
    let crowded = in_memory() >= MOST_IN_WRITING;
    if in_memory() >= MOST_UNWRITTEN {
        let why = "and the index that is made anew of the log does not fit into memory";
        return Err(StoreError::Full { dir: inner.options.dir.clone(), why });
    }
    drop(inner.index.borrow_mut().freeze(at.offset));
    if crowded && !at.offset.0.is_multiple_of(inner.options.segment_size) {
        return Ok(()); // whoever writes the parts before it writes this one as well
    }
    let checkpoint = inner.index.borrow().checkpoint(at);
    let (reply, state) = oneshot();
    drop(events.send(Event::StateWanted(StateWanted { reply })).await);
    // The keeper ends before the writer only when it has failed, which the writer is told, or when the store
    // is being stopped on a full disk.
    drop(due.send(Due { checkpoint, state }).await);
    Ok(())
}

/// Whether the log, which ends at `end`, may grow at once: nothing is in the way of it, see [`wait_for_room`].
pub(crate) fn has_room(inner: &Inner, end: PhysicalOffset) -> bool {
    let ahead = end.0.saturating_sub(inner.newest_checkpoint().0);
    let index = inner.index.borrow();
    let works = inner.phase.get() != Phase::Failed && !inner.cramped.get();
    works && ahead < inner.options.scale.furthest && !index.is_full()
}

/// Waits until the log may grow: not too far ahead of the newest checkpoint, and the index not too large.
pub(crate) async fn wait_for_room(inner: &Inner) -> Result<(), StoreError> {
    loop {
        inner.check()?;
        let ahead = inner.committed.get().0.saturating_sub(inner.newest_checkpoint().0);
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
        if inner.cramped.get() && inner.phase.get() == Phase::Stopping {
            if inner.builder.borrow().queued() == 0 {
                return Ok(());
            }
            let why =
                "and what waited when the store was stopped was neither written nor acknowledged";
            return Err(StoreError::Full { dir: inner.options.dir.clone(), why });
        }
        inner.progress.notified().await;
    }
}

/// Writes what is due until nobody can ask for more, or the store is stopped while the disk is full.
pub(crate) async fn run(inner: Rc<Inner>, mut due: Receiver<Due>, events: Sender<Event>) {
    let mut warned = false;
    while let Some(next) = due.recv().await {
        match keep(&inner, next).await {
            Ok(Some(Kept::Whole)) => warned = false,
            Ok(Some(Kept::Leftover(error))) => {
                if !std::mem::replace(&mut warned, true) {
                    drop(events.send(Event::Warned(Warning::Leftover(error))).await);
                }
            }
            Ok(Some(Kept::Nothing)) => {}
            Ok(None) => break,
            Err(error) => return inner.fail(error),
        }
        inner.progress.notify_all();
    }
    inner.progress.notify_all();
}

/// What came of something that was due.
enum Kept {
    /// It is there, and what it replaces is gone.
    Whole,
    /// It is there, and something that it replaces as well.
    Leftover(IoError),
    /// It was not needed.
    Nothing,
}

/// `None`: the store is being stopped, and the disk is full.
async fn keep(inner: &Rc<Inner>, due: Due) -> Result<Option<Kept>, StoreError> {
    let Due { mut checkpoint, state } = due;
    if write_parts(inner).await?.is_none() {
        return Ok(None);
    }
    let at = checkpoint.position.offset;
    let Some(owner) = state.await.ok().filter(|_| at >= inner.index.borrow().trimmed_to()) else {
        return Ok(Some(Kept::Nothing)); // the owner is giving up the store, or the log before it
    };
    checkpoint.owner = owner;
    make_durable(inner, at).await?;
    let written = insist(inner, async || inner.checkpoints.write(&checkpoint).await).await?;
    if written.is_none() {
        return Ok(None);
    }
    assert!(at >= inner.checkpointed.get(), "checkpoints go forward");
    inner.checkpointed.set(at);
    inner.cramped.set(false);
    // A trim that was committed since then is read again at a start, with the checkpoint that it needs.
    let removed = remove_damaged(inner, at).await;
    let damaged = inner.damaged.borrow().clone();
    // A segment that is still there keeps its checkpoint: a start may find it, and read on from there.
    let oldest = inner.spares.oldest_given_up().unwrap_or_else(|| inner.log.oldest_base());
    let pruned = inner.checkpoints.prune(checkpoint.trim.min(oldest), &damaged).await;
    if at.0.is_multiple_of(inner.options.segment_size) {
        inner.merge_wake.notify_one();
    }
    Ok(Some(removed.and(pruned).map_or_else(Kept::Leftover, |()| Kept::Whole)))
}

/// Writes all parts that are to be written. `None` as for [`keep`].
async fn write_parts(inner: &Inner) -> Result<Option<()>, StoreError> {
    loop {
        let Some(frozen) = inner.index.borrow().next_to_write() else {
            return Ok(Some(()));
        };
        if frozen.span().to <= inner.index.borrow().trimmed_to() {
            inner.index.borrow_mut().forget_oldest();
        } else {
            let Some(file) = insist(inner, async || write_part(inner, &frozen).await).await? else {
                return Ok(None);
            };
            drop(inner.index.borrow_mut().written(file));
        }
        inner.progress.notify_all();
        if let Ok(frozen) = Rc::try_unwrap(frozen) {
            frozen.discard().await;
        }
    }
}

/// Removes the damaged checkpoints that a start has found before `at`, where there is a whole one now. One
/// further on stays: a later start must see that there was one.
async fn remove_damaged(inner: &Inner, at: PhysicalOffset) -> Result<(), IoError> {
    let before: Vec<_> =
        inner.damaged.borrow_mut().extract_if(.., |offset| *offset <= at).collect();
    let mut removed = Ok(());
    for offset in before {
        if offset != at {
            removed = removed.and(inner.checkpoints.remove(offset).await);
        }
    }
    removed
}

async fn write_part(inner: &Inner, frozen: &Frozen) -> Result<PartFile, IoError> {
    match part::write(&inner.parts, inner.id, frozen).await {
        Ok(file) => Ok(file),
        Err(PartError::Io(error)) => Err(error),
        Err(error) => {
            let file = inner.parts.of(frozen.span());
            Err(IoError::path(IoOp::Write, file, std::io::Error::other(error.to_string())))
        }
    }
}

/// Tries again while the disk is full, when the store takes no messages, and while too many files are open. `None`: it is
/// being stopped, and the disk is full.
async fn insist<T>(
    inner: &Inner,
    mut write: impl AsyncFnMut() -> Result<T, IoError>,
) -> Result<Option<T>, StoreError> {
    loop {
        // Messages are taken while too many files are open, as far as the log may be ahead.
        match inner.troubles.opening(&mut write).await {
            Ok(written) => return Ok(Some(written)),
            // Not tried again even where the device says that it is full: what it has dropped may be the log's.
            Err(error) if error.is_failed_flush() => return Err(error.into()),
            Err(error) if error.is_storage_full() => {
                if inner.parts.remove_old().await {
                    continue; // that may be all that it takes
                }
                inner.cramped.set(true);
                inner.progress.notify_all();
                if inner.phase.get() == Phase::Stopping {
                    return Ok(None);
                }
                runtime::sleep(RETRY).await;
                inner.check()?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Makes the log durable up to `at`.
pub(crate) async fn make_durable(inner: &Inner, at: PhysicalOffset) -> Result<(), StoreError> {
    if inner.durable.get() >= at {
        return Ok(());
    }
    let written = inner.committed.get();
    inner.log.flush().await?;
    let durable = inner.durable.get().max(written);
    inner.durable.set(durable);
    Ok(())
}
