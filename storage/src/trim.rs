//! Giving up the beginning of the log.
//!
//! A trim is an entry of the log, so that every replica gives up the same. It ends where a segment
//! begins; what the queues had counted to at that point, where their messages begin from then on, is in
//! the checkpoint that was made there.

use std::rc::Rc;

use model::{PhysicalOffset, UnixMillis};

use crate::checkpoint::{Checkpoint, Mins};
use crate::error::{DamageError, StoreError, TrimError};
use crate::part::PartFile;
use crate::store::{Inner, Store};

/// The newest trim that was prepared: where the queues begin behind it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prepared {
    to: PhysicalOffset,
    mins: Mins,
}

/// A segment of the log, and when its messages were stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentTimes {
    /// Its first byte.
    pub from: PhysicalOffset,
    /// The first byte behind.
    pub to: PhysicalOffset,
    /// The oldest and the newest store time of its messages, those of topics that were deleted since among
    /// them; `None` if it has none.
    pub times: Option<(UnixMillis, UnixMillis)>,
}

impl Store {
    /// Gives up the log before `to`, which must be where a segment begins. It is appended like a message;
    /// once it is committed, offsets below are gone and the segments' files are used again.
    ///
    /// # Errors
    /// [`TrimError`]; nothing was appended then.
    pub async fn append_trim(&self, to: PhysicalOffset) -> Result<(), TrimError> {
        self.prepare_trim(to).await?;
        self.append_prepared_trim(to)
    }

    /// The same without the append, which [`Store::append_prepared_trim`] is: for owners who must not wait right before they
    /// append.
    ///
    /// # Errors
    /// [`TrimError::Where`].
    pub async fn prepare_trim(&self, to: PhysicalOffset) -> Result<(), TrimError> {
        let inner = &self.inner;
        let refuse = |why| Err(TrimError::Where { to, why });
        if !to.0.is_multiple_of(inner.options.segment_size) {
            return refuse("no segment begins there");
        }
        if to <= inner.index.borrow().trimmed_to() || to <= inner.log.oldest_base() {
            return refuse("it was trimmed there or further before");
        }
        if to > inner.newest_checkpoint() || to > inner.log.active().header.base {
            return refuse("what is before it is not on the disk in full yet");
        }
        // Read here and not when it is committed, because then the writer would wait for it.
        if let Ok(mins) = read_mins(inner, to).await {
            *inner.prepared.borrow_mut() = Prepared { to, mins };
        } else {
            return refuse("its checkpoint cannot be read");
        }
        Ok(())
    }

    /// Appends the trim that was prepared.
    ///
    /// # Errors
    /// [`TrimError::Append`]; nothing was appended then.
    pub fn append_prepared_trim(&self, to: PhysicalOffset) -> Result<(), TrimError> {
        Ok(self.append(|builder| builder.push_trim(to))?)
    }

    /// The segments of the log, oldest first: offsets of the first byte, and of the first byte behind.
    #[must_use]
    pub fn segments(&self) -> Vec<(PhysicalOffset, PhysicalOffset)> {
        let all = self.inner.log.all();
        all.iter().map(|segment| (segment.header.base, segment.end())).collect()
    }

    /// The segments of the log, oldest first, with the times of their committed messages. Reads nothing from
    /// the disk.
    #[must_use]
    pub fn segment_times(&self) -> Vec<SegmentTimes> {
        let segments = self.segments().into_iter();
        let mut found: Vec<_> =
            segments.map(|(from, to)| SegmentTimes { from, to, times: None }).collect();
        let index = self.inner.index.borrow();
        let files = index.files().map(|part| (part.base(), part.times()));
        let in_memory = index.in_memory().map(|part| (part.base(), part.times()));
        for (base, times) in files.chain(in_memory) {
            let Some(times) = times else { continue };
            if let Ok(at) = found.binary_search_by_key(&base, |segment| segment.from) {
                let (oldest, newest) = found[at].times.unwrap_or(times);
                found[at].times = Some((oldest.min(times.0), newest.max(times.1)));
            }
        }
        found
    }
}

async fn read_mins(inner: &Inner, to: PhysicalOffset) -> Result<Mins, StoreError> {
    Ok(read_checkpoint(inner, to).await?.ends())
}

/// The checkpoint that the log begins with once it is trimmed to `to`.
pub(crate) async fn read_checkpoint(
    inner: &Inner,
    to: PhysicalOffset,
) -> Result<Checkpoint, StoreError> {
    match inner.checkpoints.read(to).await? {
        Ok(checkpoint) => Ok(checkpoint),
        Err(damaged) => Err(DamageError {
            segment: damaged.file,
            offset: to,
            why: damaged.why,
            evidence: "the log is trimmed to there".into(),
            of_group: inner.index.borrow().is_of_group(),
        }
        .into()),
    }
}

/// The oldest checkpoint that can be read of those at which a trimmed log could begin: where it was trimmed to, or where a later
/// segment begins. All that any of them stands for is applied here.
///
/// # Errors
/// There is none; what is wrong with the one where the log was trimmed to.
pub(crate) async fn oldest_beginning(inner: &Inner) -> Result<Checkpoint, StoreError> {
    let trimmed = inner.index.borrow().trimmed_to();
    let first = match read_checkpoint(inner, trimmed).await {
        Ok(checkpoint) => return Ok(checkpoint),
        Err(error) => error,
    };
    let applied = inner.committed.get();
    let size = inner.options.segment_size;
    for offset in inner.checkpoints.list().await? {
        let is_beginning = offset > trimmed && offset <= applied && offset.0.is_multiple_of(size);
        if is_beginning && let Ok(checkpoint) = read_checkpoint(inner, offset).await {
            return Ok(checkpoint);
        }
    }
    Err(first)
}

/// A trim is committed: offsets below are gone from now on, the files follow.
///
/// The checkpoint that tells where the queues begin then goes once a later trim is in a checkpoint. A start that
/// reads the log from further before meets the trim all the same: it passes it over, and
/// [`check_passed_over`] makes sure that a later one has followed.
pub(crate) async fn applied(
    inner: &Rc<Inner>,
    to: PhysicalOffset,
    replayed: bool,
) -> Result<(), StoreError> {
    if to <= inner.index.borrow().trimmed_to() {
        return Ok(());
    }
    let prepared = inner.prepared.borrow().clone();
    let read = match prepared.to == to {
        true => Ok(prepared.mins),
        false => read_mins(inner, to).await,
    };
    let mins = match read {
        Ok(mins) => mins,
        Err(error) if replayed => {
            let mut passed_over = inner.passed_over.borrow_mut();
            if passed_over.as_ref().is_none_or(|(before, _)| *before <= to) {
                *passed_over = Some((to, error));
            }
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let parts = inner.index.borrow_mut().trim(to, mins);
    let_go(inner, to, parts);
    Ok(())
}

/// The log before `to` is not needed any more: at once, or in a member once its group says so.
pub(crate) fn let_go(inner: &Inner, to: PhysicalOffset, parts: Vec<Rc<PartFile>>) {
    match &inner.held {
        Some(held) => held.hold(inner, to, parts),
        None => give_up(inner, to, parts),
    }
}

/// Makes sure that every trim that was passed over was followed by one that gave up as much.
pub(crate) fn check_passed_over(inner: &Inner) -> Result<(), StoreError> {
    match inner.passed_over.take() {
        Some((to, error)) if to > inner.index.borrow().trimmed_to() => Err(error),
        _ => Ok(()),
    }
}

/// Leaves what lies before `to` to those who use it again, or remove it, once all that is committed now is
/// durable.
pub(crate) fn give_up(inner: &Inner, to: PhysicalOffset, parts: Vec<Rc<PartFile>>) {
    let segments = inner.log.take_before(to);
    for segment in &segments {
        inner.cache.forget(segment.cache_id(), 0);
    }
    inner.spares.give_up(inner.committed.get(), segments, parts);
}
