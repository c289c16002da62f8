//! What a trim has given up: the files of segments, used again or deleted, and files of the index.
//!
//! Nothing is touched before the trim is durable: a power cut must not take it back when what it gave up
//! is gone. Segments go one after the other, the oldest first, and each has durably lost its name before
//! the next: so what a start finds under the names of segments has no hole, and every file there is whole.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use model::PhysicalOffset;
use runtime::{Instant, IoError, fs};

use super::decide::Next;
use super::deleting::{Deleting, Deletions, Pace};
use super::{Spares, name};
use crate::error::StoreError;
use crate::keeper;
use crate::part::PartFile;
use crate::segment::{self, Segment};
use crate::store::Inner;
use crate::trouble::Trouble;

/// What follows the name of a segment in that of its file once it was trimmed.
const TRIMMED: &str = ".trimmed";
/// The name of a file that was ready to become a segment, and is being deleted.
pub(crate) const SHED: &str = "spare.gone";
/// Time without another attempt after a file could not be renamed.
const REST: Duration = Duration::from_secs(1);

/// Whether a file of this name in the log's directory is that of a segment that was trimmed.
pub(crate) fn is_trimmed(name: &str) -> bool {
    name.strip_suffix(TRIMMED).and_then(segment::base_of).is_some()
}

#[derive(Clone)]
enum What {
    Segment(Rc<Segment>),
    Part(Rc<PartFile>),
}

/// A file that nobody needs once the log is durable up to a point.
#[derive(Clone)]
struct Unneeded {
    once_durable: PhysicalOffset,
    what: What,
}

/// Files that wait to be used again or removed, in the order in which they were given up.
#[derive(Default)]
pub(super) struct GivenUp {
    waiting: RefCell<VecDeque<Unneeded>>,
    rest_until: Cell<Option<Instant>>,
    /// Bytes of the file that has just lost its name, and has no other use yet.
    moving: Cell<u64>,
    /// Bytes that are left of the file that is being deleted.
    deleting: Cell<u64>,
}

impl GivenUp {
    /// Takes over the files of a trim: segments, oldest first, and parts of the index. They are left alone
    /// until the log is durable up to `once_durable`, where the trim is before.
    pub(super) fn add(
        &self,
        once_durable: PhysicalOffset,
        segments: Vec<Rc<Segment>>,
        parts: Vec<Rc<PartFile>>,
    ) {
        // The parts come last: a start that finds some of the segments needs what the index has of them.
        let all = segments.into_iter().map(What::Segment).chain(parts.into_iter().map(What::Part));
        let mut waiting = self.waiting.borrow_mut();
        waiting.extend(all.map(|what| Unneeded { once_durable, what }));
    }

    /// The first of them, if it may be touched now.
    pub(super) fn next(&self) -> Option<Next> {
        let resting = self.rest_until.get().is_some_and(|until| runtime::now() < until);
        let waiting = self.waiting.borrow();
        waiting.front().filter(|_| !resting).map(|next| match &next.what {
            What::Segment(_) => Next::Segment,
            What::Part(_) => Next::Part,
        })
    }

    /// Bytes of segments that wait, or are being deleted. What could not be deleted does not count: nobody knows when it will be.
    pub(super) fn bytes(&self) -> u64 {
        let waiting = self.waiting.borrow();
        let waiting = waiting.iter().map(|next| match &next.what {
            What::Segment(segment) => segment.header.size,
            What::Part(_) => 0,
        });
        waiting.sum::<u64>() + self.moving.get() + self.deleting.get()
    }

    /// Where the oldest segment begins whose file still has its name.
    pub(super) fn oldest(&self) -> Option<PhysicalOffset> {
        let waiting = self.waiting.borrow();
        waiting.iter().find_map(|next| match &next.what {
            What::Segment(segment) => Some(segment.header.base),
            What::Part(_) => None,
        })
    }
}

/// What is to become of the file of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It is a spare, if there is a number for it.
    Again,
    /// Its space is needed more.
    Never,
}

/// Makes the next file a spare, if it is a segment's, or begins to delete it; removes it, if it is an index file.
pub(super) async fn recycle(
    inner: &Inner,
    spares: &Spares,
    deletions: &mut Deletions,
    wanted: Use,
) {
    let next = spares.given_up.waiting.borrow().front().cloned();
    let Some(Unneeded { once_durable, what }) = next else {
        return;
    };
    if let Err(error) = keeper::make_durable(inner, once_durable).await {
        return give_in(inner, spares, error);
    }
    match what {
        What::Part(part) => {
            spares.given_up.waiting.borrow_mut().pop_front();
            let retired = inner.parts.retire(vec![part]).await;
            // What stays behind is found at the next start.
            drop(retired.map_err(|error| inner.survived(error)));
        }
        What::Segment(segment) => {
            let (path, size) = (segment.path(), segment.header.size);
            drop(segment);
            let trimmed = match take_name(&spares.dir, &path).await {
                Ok(trimmed) => trimmed,
                Err(error) => {
                    trouble(inner, error);
                    // Nothing that is newer may go before it.
                    return rest(spares);
                }
            };
            // Under its new name it is in nobody's way.
            spares.given_up.moving.set(size);
            spares.given_up.waiting.borrow_mut().pop_front();
            let went = use_again(inner, spares, &trimmed, deletions, wanted).await;
            note(inner, spares, deletions, went);
        }
    }
}

/// Deletes a little of a file that was given up; the next one, if none is being deleted.
pub(super) async fn delete(inner: &Inner, spares: &Spares, deletions: &mut Deletions, pace: Pace) {
    if deletions.under_way.is_some() {
        let went = deletions.step(pace, inner.options.scale.delete_step).await;
        return note(inner, spares, deletions, went);
    }
    match deletions.go_on().await {
        Ok(false) => recycle(inner, spares, deletions, Use::Never).await,
        begun => {
            let begins = deletions.under_way.as_ref().map_or(u64::MAX, Deleting::left);
            let left = spares.left_bytes.get().saturating_sub(begins);
            // What could not be begun is no more than put off, and nobody knows when it comes back.
            spares.left_bytes.set(if begun.is_ok() { left } else { 0 });
            note(inner, spares, deletions, begun.map(drop));
        }
    }
}

/// Begins to delete a file that is ready, where no deletion is under way.
pub(super) async fn shed(inner: &Inner, spares: &Spares, deletions: &mut Deletions) {
    let Some(number) = spares.shed(inner) else { return };
    let gone = spares.dir.join(SHED);
    spares.given_up.moving.set(spares.size);
    spares.renaming.set(Some(number));
    let renamed = fs::rename(spares.dir.join(name(number)), &gone).await;
    spares.renaming.set(None);
    let went = match renamed {
        Ok(()) => deletions.begin(&gone).await,
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()), // somebody has tidied up
        Err(error) => {
            spares.put(inner, number); // it is a spare as before
            deletions.put_off_all();
            Err(error)
        }
    };
    note(inner, spares, deletions, went);
}

/// Notes how it went with a file, and what is left of the one that is being deleted.
fn note(inner: &Inner, spares: &Spares, deletions: &Deletions, went: Result<(), IoError>) {
    let given_up = &spares.given_up;
    given_up.moving.set(0);
    given_up.deleting.set(deletions.under_way.as_ref().map_or(0, Deleting::left));
    match went {
        Ok(()) => inner.troubles.end(Trouble::GivenUp),
        Err(error) => trouble(inner, error),
    }
}

fn trouble(inner: &Inner, error: IoError) {
    if let Some(error) = inner.survived(error) {
        inner.troubles.begin(Trouble::GivenUp, error);
    }
}

fn rest(spares: &Spares) {
    spares.given_up.rest_until.set(Some(runtime::now() + REST));
}

/// The log could not be flushed: what the flush was to cover may be lost.
fn give_in(inner: &Inner, spares: &Spares, error: StoreError) {
    rest(spares);
    inner.fail(error);
}

/// Takes the name of a segment from the file at `path`, durably; its new path. May be tried again, however
/// far it came.
async fn take_name(dir: &Path, path: &Path) -> Result<PathBuf, IoError> {
    let mut name = path.file_name().expect("a segment has a name").to_owned();
    name.push(TRIMMED);
    let trimmed = path.with_file_name(name);
    if fs::exists(path).await? {
        fs::rename(path, &trimmed).await?;
    }
    fs::sync_dir(dir).await?;
    Ok(trimmed)
}

/// Makes the file a spare, if that is `wanted` and there are not enough; else begins its deletion, where none is under way.
///
/// # Errors
/// The disk. It is deleted later.
async fn use_again(
    inner: &Inner,
    spares: &Spares,
    path: &Path,
    deletions: &mut Deletions,
    wanted: Use,
) -> Result<(), IoError> {
    let Some(number) = spares.free_number().filter(|_| wanted == Use::Again) else {
        return deletions.begin(path).await;
    };
    spares.renaming.set(Some(number));
    let named = give_number(spares, path, number, deletions).await;
    spares.renaming.set(None);
    named?;
    spares.add(inner, number);
    Ok(())
}

async fn give_number(
    spares: &Spares,
    path: &Path,
    number: usize,
    deletions: &mut Deletions,
) -> Result<(), IoError> {
    if let Err(error) = fs::rename(path, spares.dir.join(name(number))).await {
        deletions.put_off(path.to_owned());
        return Err(error);
    }
    fs::sync_dir(&spares.dir).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_trimmed_segments_are_told_by_their_names() {
        assert!(is_trimmed("00000000000004194304.trimmed"));
        for other in ["00000000000004194304", "spare.trimmed", "0.trimmed", ".trimmed"] {
            assert!(!is_trimmed(other), "{other}");
        }
    }
}
