//! The parts of a segment become one, once the segment is complete.
//!
//! Which segments are due is seen from the index itself, so that nothing has to be remembered: not over a
//! stop, not after a merge that failed, and not while a long log is read again. Until a segment is merged
//! its parts do as well, only slower.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use model::PhysicalOffset;
use runtime::IoError;
use runtime::channel::Sender;
use thiserror::Error;

use crate::checkpoint::CheckpointError;
use crate::index::{Index, Merged};
use crate::part::{self, MERGE_MAX_PARTS, PartError, PartFile};
use crate::store::{Event, Inner};
use crate::warning::Warning;

/// Time until a merge that failed is tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// Merges the parts of each complete segment into one, one segment after the other, for ever. To be woken
/// by [`Inner::merge_wake`] when a segment has become complete.
pub(crate) async fn run(inner: Rc<Inner>, events: Sender<Event>) {
    let mut told = BTreeSet::new();
    loop {
        let due = inner.index.borrow().unmerged(inner.checkpointed.get());
        let mut failed = BTreeSet::new();
        for base in due {
            let Err(error) = merge(&inner, base).await else { continue };
            let Some(error) = survived(&inner, error) else { return };
            // It takes nothing from what is there. What was trimmed meanwhile is no failure.
            if base < inner.index.borrow().trimmed_to() {
                continue;
            }
            failed.insert(base);
            if !told.contains(&base) {
                let (why, remedy) = (error.to_string(), error.remedy());
                let warning = Warning::Unmerged { base, why, remedy };
                drop(events.send(Event::Warned(warning)).await);
            }
        }
        told = failed;
        let woken = inner.merge_wake.notified();
        match told.is_empty() {
            true => woken.await,
            false => drop(runtime::timeout(AGAIN, woken).await),
        }
    }
}

/// Why the parts of a segment were not merged. They are as they were.
#[derive(Debug, Error)]
enum MergeError {
    #[error(transparent)]
    Io(#[from] IoError),
    #[error(transparent)]
    Part(#[from] PartError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Which queues there were at the end of the segment is not known.
    #[error("the checkpoint {} is damaged: {why}", .file.display())]
    Queues { file: PathBuf, why: String },
}

impl MergeError {
    /// What an operator can do about it.
    fn remedy(&self) -> &'static str {
        match self {
            Self::Io(error)
            | Self::Part(PartError::Io(error))
            | Self::Checkpoint(CheckpointError::Io(error)) => remedy_of(error),
            Self::Part(_) | Self::Checkpoint(_) | Self::Queues { .. } => {
                "`mqstore check` tells what is damaged when the broker is stopped"
            }
        }
    }
}

fn remedy_of(error: &IoError) -> &'static str {
    if error.is_storage_full() {
        "Nothing is damaged: free some space"
    } else if error.is_unreadable() {
        "Look at the disk; `mqstore check` tells what is damaged when the broker is stopped"
    } else {
        "Nothing is known to be damaged: look at the disk, and at the rights of the directory"
    }
}

/// The error, unless no store survives it.
fn survived(inner: &Inner, error: MergeError) -> Option<MergeError> {
    match error {
        MergeError::Io(error)
        | MergeError::Part(PartError::Io(error))
        | MergeError::Checkpoint(CheckpointError::Io(error)) => {
            inner.survived(error).map(MergeError::Io)
        }
        other => Some(other),
    }
}

/// Merges the parts of the segment that begins at `base`.
async fn merge(inner: &Inner, base: PhysicalOffset) -> Result<(), MergeError> {
    let mut parts = inner.index.borrow().parts_of(base);
    while parts.len() > MERGE_MAX_PARTS {
        parts.truncate(MERGE_MAX_PARTS);
        make_one(inner, parts, None).await?;
        parts = inner.index.borrow().parts_of(base);
    }
    let Some(last) = parts.last() else {
        return Ok(()); // trimmed meanwhile
    };
    let end = last.span().to;
    let checkpoint = match inner.checkpoints.read(end).await? {
        Ok(checkpoint) => checkpoint,
        Err(damaged) => {
            let (file, why) = (damaged.file, damaged.why);
            return Err(MergeError::Queues { file, why });
        }
    };
    let mut queues: Vec<_> = checkpoint.topics.queues().collect();
    drop(checkpoint); // it may be large
    queues.sort_unstable();
    make_one(inner, parts, Some(&queues)).await
}

/// Makes one part of `parts`, which lets go of theirs. `complete` as for [`part::merge`].
async fn make_one(
    inner: &Inner,
    parts: Vec<Rc<PartFile>>,
    complete: Option<&[(part::QueueKey, model::QueueOffset)]>,
) -> Result<(), MergeError> {
    // Opened again, so that readers keep theirs until the merged one is there.
    let mut sources = Vec::with_capacity(parts.len());
    for part in &parts {
        sources.push(PartFile::open(&inner.parts.of(part.span()), inner.id).await?);
    }
    let complete = complete.map(|queues| queues.iter().copied());
    let merged = part::merge(&inner.parts, inner.id, &sources, complete).await?;
    drop((parts, sources)); // what nobody holds can be written over
    let span = merged.span();
    let Merged { mut replaced, late } = inner.index.borrow_mut().merged(merged);
    // As what the trim gave up, it is left alone until that is durable: a start may need it.
    inner.spares.give_up(inner.committed.get(), Vec::new(), late.into_iter().collect());
    // The merged one may have taken the name of the only part there was.
    replaced.retain(|part| part.span() != span);
    Ok(inner.parts.retire(replaced).await?)
}

impl Index {
    /// The segments before `end`, oldest first, whose parts are all on the disk and not merged.
    pub(crate) fn unmerged(&self, end: PhysicalOffset) -> Vec<PhysicalOffset> {
        let mut bases: Vec<_> = self.files().map(|part| part.base()).collect();
        bases.dedup();
        bases.retain(|base| {
            let parts = self.parts_of(*base);
            let (first, last) = (parts[0].span(), parts[parts.len() - 1].span());
            let whole = first.from == *base && last.to == base.plus(self.segment_size());
            let joined = parts.windows(2).all(|pair| pair[0].span().to == pair[1].span().from);
            whole && joined && last.to <= end && !parts.iter().any(|part| part.is_complete())
        });
        bases
    }

    /// The parts on the disk of the segment that begins at `base`, oldest first.
    fn parts_of(&self, base: PhysicalOffset) -> Vec<Rc<PartFile>> {
        let end = base.plus(self.segment_size());
        self.files_in(base..end).cloned().collect()
    }
}
