//! A store that is one of a group: what is committed is decided by the group.
//!
//! The log is written by [`EntryLog`], ahead of what is committed; [`Applier`] enters what is committed, in the order of
//! the log. Both belong to whoever binds the group together, and share [`ahead::Ahead`]. All else is the same as in a store that is
//! a group of its own: the index, checkpoints, the files for segments to come, reads, and what the owner is told.
//!
//! Where the group takes appends, messages are appended as ever ([`Store::append_message`]); what waits is taken by
//! [`Store::next_unplaced`], and placed when the group's log accepts it.

pub(crate) mod ahead;
mod appending;
mod applier;
pub(crate) mod held;
pub(crate) mod install;
mod recover;
pub(crate) mod staging;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::time::Duration;

use runtime::channel::{Flag, OneshotReceiver, OneshotSender, Sender, mpsc, oneshot};

pub use applier::{AppliedState, Applier, NotApplied};
pub use held::StoreSnapshot;
pub use staging::{Reserved, snapshot_state};

use crate::entry_log::EntryLog;
use crate::error::{OpenError, StoreError};
use crate::keeper::{self, MOST_UNWRITTEN};
use crate::merging;
use crate::open::FirstVote;
use crate::options::Options;
use crate::provision;
use crate::store::{Event, Events, Inner, MAX_EVENTS, Phase, Store};
use crate::vote::VoteFile;

/// Without an append for so long the shard counts as idle.
const IDLE: Duration = Duration::from_millis(500);

/// The log of a member and the one who applies it, once the log is read.
pub struct Opening {
    ready: OneshotReceiver<(EntryLog, Applier)>,
}

impl Opening {
    /// Waits until the log is read: after [`Event::Recovered`]. `None` when that failed, of which [`Event::Failed`] tells.
    /// [`Events`] must be read meanwhile.
    pub async fn ready(self) -> Option<(EntryLog, Applier)> {
        self.ready.await.ok()
    }
}

impl Store {
    /// Opens the store in `options.dir` as a member of a group, or makes an empty one if there is nothing. A store that was
    /// a group of its own is a member as it is. The log is read after this returns: what is known to be committed
    /// comes through [`Events`], then [`Event::Recovered`].
    ///
    /// The store takes no appends before [`EntryLog::take_placer`].
    ///
    /// # Errors
    /// [`OpenError`] says what stands in the way and what to do; the directory is left as it is.
    pub async fn open_member(options: Options) -> Result<(Self, Events, Opening), OpenError> {
        let (inner, vote) = Inner::open(options, FirstVote::Nobody).await?;
        let (sender, receiver) = mpsc(MAX_EVENTS);
        let (tell, ready) = oneshot();
        let run = runtime::spawn(run(Rc::clone(&inner), vote, sender, tell));
        Ok((Self { inner }, Events::new(receiver, run), Opening { ready }))
    }
}

/// Runs a member's store from recovery to its end, and tells its owner how it ended.
async fn run(
    inner: Rc<Inner>,
    vote: VoteFile,
    events: Sender<Event>,
    ready: OneshotSender<(EntryLog, Applier)>,
) {
    let end = match work(&inner, vote, &events, ready).await {
        Ok(()) => Event::Stopped,
        Err(StoreError::Damage(mut damage)) => {
            damage.of_group |= inner.index.borrow().is_of_group();
            Event::Failed(damage.into())
        }
        Err(error) => Event::Failed(error),
    };
    if matches!(end, Event::Failed(_)) {
        inner.phase.set(Phase::Failed);
        inner.builder.borrow_mut().clear();
    }
    drop(events.send(end).await);
    inner.ended.raise();
}

async fn work(
    inner: &Rc<Inner>,
    vote: VoteFile,
    events: &Sender<Event>,
    ready: OneshotSender<(EntryLog, Applier)>,
) -> Result<(), StoreError> {
    let (due, is_due) = mpsc(MOST_UNWRITTEN);
    let keeping = runtime::spawn(keeper::run(Rc::clone(inner), is_due, events.clone()));
    let (log, applier, closed) = recover::recover(inner, vote, events, due).await?;
    let over = Flag::new();
    let merging = runtime::spawn(merging::run(Rc::clone(inner), events.clone()));
    let providing = provision::run(Rc::clone(inner), Rc::clone(&inner.spares), over.clone());
    let providing = runtime::spawn(providing);
    drop(ready.send((log, applier)));
    let watched = watch(inner, &closed).await;
    over.raise();
    inner.spares.wake();
    drop(merging);
    watched?;
    keeping.await; // it ends with the applier
    providing.await;
    inner.check()
}

/// Watches over the store until its log is closed, or something has failed.
async fn watch(inner: &Rc<Inner>, closed: &Flag) -> Result<(), StoreError> {
    loop {
        inner.check()?;
        if closed.is_raised() {
            return Ok(());
        }
        let before = inner.written.get();
        let woken = runtime::timeout(IDLE, inner.alarm.notified()).await.is_ok();
        let idle = !woken && inner.written.get() == before;
        if inner.idle.replace(idle) != idle && idle {
            inner.spares.wake();
        }
    }
}
