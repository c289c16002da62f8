//! What a trim has given up: the files of segments, used again or deleted, and files of the index.
//!
//! Nothing is touched before the trim is durable: a power cut must not take it back when what it gave up
//! is gone. Segments go one after the other, the oldest first, and each has durably lost its name before
//! the next: so what a start finds under the names of segments has no hole, and every file there is whole.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use model::PhysicalOffset;
use runtime::{File, Instant, IoError, OpenMode, fs};

use super::{Spares, name};
use crate::error::StoreError;
use crate::keeper;
use crate::part::PartFile;
use crate::segment::{self, Segment};
use crate::store::Inner;
use crate::trouble::Trouble;

/// What follows the name of a segment in that of its file once it was trimmed.
const TRIMMED: &str = ".trimmed";
/// Time without another attempt after a file could not be renamed.
const REST: Duration = Duration::from_secs(1);
/// Time between two steps of a deletion: freeing blocks takes the file system milliseconds.
const DELETE_PAUSE: Duration = Duration::from_millis(20);

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
    /// A file that has lost its name is being used again or deleted.
    under_way: Cell<bool>,
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

    /// Whether there is something to do now.
    pub(super) fn is_due(&self) -> bool {
        let resting = self.rest_until.get().is_some_and(|until| runtime::now() < until);
        !resting && !self.waiting.borrow().is_empty()
    }

    /// Whether nothing waits, or is being done.
    pub(super) fn is_empty(&self) -> bool {
        !self.under_way.get() && self.waiting.borrow().is_empty()
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

/// Gives the next file another use, or removes it.
pub(super) async fn recycle(inner: &Inner, spares: &Spares) {
    let next = spares.given_up.waiting.borrow().front().cloned();
    let Some(Unneeded { once_durable, what }) = next else {
        return;
    };
    if let Err(error) = keeper::make_durable(inner, once_durable).await {
        return give_in(inner, spares, error);
    }
    match what {
        What::Part(part) => {
            // What stays behind is found at the next start.
            drop(fs::remove_file(inner.index_dir.join(part.span().name())).await);
            spares.given_up.waiting.borrow_mut().pop_front();
        }
        What::Segment(segment) => {
            let path = segment.path();
            drop(segment);
            let trimmed = match take_name(&spares.dir, &path).await {
                Ok(trimmed) => trimmed,
                Err(error) => {
                    inner.troubles.begin(Trouble::GivenUp, error);
                    // Nothing that is newer may go before it.
                    return rest(spares);
                }
            };
            spares.given_up.under_way.set(true);
            spares.given_up.waiting.borrow_mut().pop_front();
            // Under its new name it is in nobody's way: the next start removes it.
            match use_again(inner, spares, &trimmed).await {
                Ok(()) => inner.troubles.end(Trouble::GivenUp),
                Err(error) => inner.troubles.begin(Trouble::GivenUp, error),
            }
            spares.given_up.under_way.set(false);
        }
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
async fn take_name(dir: &Path, path: &Path) -> Result<std::path::PathBuf, IoError> {
    let mut name = path.file_name().expect("a segment has a name").to_owned();
    name.push(TRIMMED);
    let trimmed = path.with_file_name(name);
    if fs::exists(path).await? {
        fs::rename(path, &trimmed).await?;
    }
    fs::sync_dir(dir).await?;
    Ok(trimmed)
}

/// Makes the file a spare. It is deleted if there are enough, or if the disk is too full for what has to be
/// written beside the log, which a spare would not help.
async fn use_again(inner: &Inner, spares: &Spares, path: &Path) -> Result<(), IoError> {
    let number = spares.free_number().filter(|_| !inner.cramped.get());
    let Some(number) = number else {
        return delete(inner, path).await;
    };
    fs::rename(path, spares.dir.join(name(number))).await?;
    fs::sync_dir(&spares.dir).await?;
    spares.add(inner, number);
    Ok(())
}

/// Deletes a file in steps that do not hold up the file system.
async fn delete(inner: &Inner, path: &Path) -> Result<(), IoError> {
    let step = inner.options.scale.delete_step;
    let file = File::open(path, OpenMode::ReadWrite).await?;
    let mut len = file.len().await?;
    while len > step {
        len -= step;
        file.truncate(len).await?;
        if !inner.idle.get() {
            runtime::sleep(DELETE_PAUSE).await;
        }
    }
    file.close().await?;
    fs::remove_file(path).await
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
