//! The parts of a segment become one, once the segment is complete.
//!
//! Which segments are due is seen from the index itself, so that nothing has to be remembered: not over a
//! stop, not after a merge that failed, and not while a long log is read again. Until a segment is merged
//! its parts do as well, only slower.

use std::rc::Rc;
use std::time::Duration;

use model::PhysicalOffset;
use runtime::fs;

use crate::error::StoreError;
use crate::index::Index;
use crate::part::{self, MERGE_MAX_PARTS, PartError, PartFile};
use crate::store::Inner;

/// Time until a merge that failed is tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// Merges the parts of each complete segment into one, one segment after the other, for ever. To be woken
/// by [`Inner::merge_wake`] when a segment has become complete.
pub(crate) async fn run(inner: Rc<Inner>) {
    loop {
        let due = inner.index.borrow().unmerged(inner.checkpointed.get());
        let mut failed = false;
        for base in due {
            // A merge that fails takes nothing from what is there.
            failed |= merge(&inner, base).await.is_err();
        }
        let woken = inner.merge_wake.notified();
        match failed {
            true => drop(runtime::timeout(AGAIN, woken).await),
            false => woken.await,
        }
    }
}

/// Merges the parts of the segment that begins at `base`.
async fn merge(inner: &Inner, base: PhysicalOffset) -> Result<(), StoreError> {
    let mut parts = inner.index.borrow().parts_of(base);
    while parts.len() > MERGE_MAX_PARTS {
        make_one(inner, &parts[..MERGE_MAX_PARTS], None).await?;
        parts = inner.index.borrow().parts_of(base);
    }
    let Some(last) = parts.last() else {
        return Ok(()); // trimmed meanwhile
    };
    let end = last.span().to;
    let checkpoint = match inner.checkpoints.read(end).await? {
        Ok(checkpoint) => checkpoint,
        Err(damaged) => {
            let file = damaged.file.display();
            return Err(StoreError::Index(format!("{file}: {}", damaged.why)));
        }
    };
    let mut queues: Vec<_> = checkpoint.topics.queues().collect();
    drop(checkpoint); // it may be large
    queues.sort_unstable();
    make_one(inner, &parts, Some(&queues)).await
}

/// Makes one part of `parts`, which lets go of theirs. `complete` as for [`part::merge`].
async fn make_one(
    inner: &Inner,
    parts: &[Rc<PartFile>],
    complete: Option<&[(part::QueueKey, model::QueueOffset)]>,
) -> Result<(), StoreError> {
    // Opened again, so that readers keep theirs until the merged one is there.
    let mut sources = Vec::with_capacity(parts.len());
    for part in parts {
        let path = inner.index_dir.join(part.span().name());
        sources.push(PartFile::open(&path, inner.id).await?);
    }
    let complete = complete.map(|queues| queues.iter().copied());
    let merged = part::merge(&inner.index_dir, inner.id, &sources, complete).await?;
    let span = merged.span();
    let replaced = inner.index.borrow_mut().merged(merged);
    for part in replaced {
        // The merged one may have taken the name of the only part there was.
        let old = part.span().name();
        if old != span.name() {
            fs::remove_file(inner.index_dir.join(old)).await?;
        }
    }
    if span.from < inner.index.borrow().trimmed_to() {
        fs::remove_file(inner.index_dir.join(span.name())).await?;
    }
    Ok(())
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

impl From<PartError> for StoreError {
    fn from(error: PartError) -> Self {
        match error {
            PartError::Io(error) => Self::Io(error),
            other => Self::Index(other.to_string()),
        }
    }
}
