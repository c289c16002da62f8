//! Files for segments to come, and what becomes of segments that were given up.
//!
//! A durable write into blocks that have been written before costs about half of one into fresh
//! extents, so a segment's file is zeroed when the store is made or while the shard is idle, and the
//! file of a segment that was given up is used again. Under load nothing is zeroed and nothing is
//! deleted: a segment that is due before its file is ready gets an allocated one.
//!
//! A batch never waits for its segment: what would need a file that is not there is refused before it
//! is drafted, so that on a full disk nothing that was taken is stuck.

mod given_up;
mod zeroing;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use runtime::channel::{Flag, Notify};
use runtime::{File, IoError, OpenMode, fs};

use given_up::GivenUp;
pub(crate) use given_up::is_trimmed;
use model::PhysicalOffset;
pub(crate) use zeroing::UNREADY;
use zeroing::Zeroing;

use crate::part::PartFile;
use crate::segment::Segment;
use crate::store::Inner;
use crate::trouble::{Trouble, Troubles};

/// Files that are kept ready. Beyond that a segment that is given up is deleted.
const MOST: usize = 2;
/// Files that are zeroed ahead; more come only from segments that are given up.
const WANTED: usize = 1;
/// Time without another attempt after a file could not be zeroed.
const REST: Duration = Duration::from_secs(60);
/// Time between two attempts to get a file on a full disk.
const RETRY: Duration = Duration::from_millis(500);
/// Time between two looks at whether the shard is idle.
const LOOK: Duration = Duration::from_millis(500);

/// The name of a file that is ready to become a segment.
fn name(number: usize) -> String {
    format!("spare.{number}")
}

/// Whether a file of this name in the log's directory is one that no segment has become of yet.
pub(crate) fn is_spare(name: &str) -> bool {
    [UNREADY, LAST_MOMENT].contains(&name) || number_of(name).is_some()
}

/// The name of a file that was made in the last moment.
const LAST_MOMENT: &str = "spare.now";

fn number_of(found: &str) -> Option<usize> {
    (0..MOST).find(|number| name(*number) == found)
}

/// Zeroes a whole file now; its path.
pub(crate) async fn provision(dir: &Path, size: u64) -> Result<PathBuf, IoError> {
    let mut zeroing = Zeroing::start(dir, size).await?;
    while zeroing.step().await? {}
    let path = dir.join(name(0));
    zeroing.finish(&path).await?;
    Ok(path)
}

/// Numbers of the files that are ready. Those of another size, and what was not finished, are removed, and so
/// are the files of segments that were trimmed.
pub(crate) async fn found(dir: &Path, size: u64) -> Result<Vec<usize>, IoError> {
    let mut numbers = Vec::new();
    for entry in fs::list(dir).await? {
        match number_of(&entry.name) {
            Some(number) if entry.len == size => numbers.push(number),
            _ if is_spare(&entry.name) || is_trimmed(&entry.name) => {
                fs::remove_file(dir.join(&entry.name)).await?;
            }
            _ => {}
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The files for segments to come.
pub(crate) struct Spares {
    dir: PathBuf,
    size: u64,
    ready: RefCell<VecDeque<usize>>,
    /// The file that is becoming a segment, and still has the name of this number.
    taken: Cell<Option<usize>>,
    given_up: GivenUp,
    /// The disk has no room for another segment.
    full: Cell<bool>,
    wake: Notify,
}

impl Spares {
    /// For segments of `size` bytes in `dir`; `ready`: as [`found`] said.
    pub(crate) fn new(dir: &Path, size: u64, ready: Vec<usize>) -> Self {
        Self {
            dir: dir.to_owned(),
            size,
            ready: RefCell::new(ready.into()),
            taken: Cell::new(None),
            given_up: GivenUp::default(),
            full: Cell::new(false),
            wake: Notify::new(),
        }
    }

    /// Files that are ready.
    pub(crate) fn ready(&self) -> usize {
        self.ready.borrow().len()
    }

    /// Whether the disk had no room for another segment when it was last asked for.
    pub(crate) fn full(&self) -> bool {
        self.full.get()
    }

    /// Whether files that were given up wait to be used again or deleted.
    pub(crate) fn is_freeing(&self) -> bool {
        !self.given_up.is_empty()
    }

    /// Somebody waits for a file, or the shard is idle.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// A file for the next segment, and its present name, which is free again after
    /// [`Spares::adopted`].
    pub(crate) async fn take(&self, troubles: &Troubles) -> Result<(File, PathBuf), IoError> {
        assert!(self.taken.get().is_none(), "one segment is made at a time");
        let taken = self.ready.borrow_mut().pop_front();
        self.taken.set(taken);
        if let Some(number) = taken {
            let path = self.dir.join(name(number));
            match troubles.opening(async || File::open(&path, OpenMode::ReadWrite).await).await {
                Ok(file) => return Ok((file, path)),
                Err(error) if error.kind() == ErrorKind::NotFound => {} // somebody has tidied up
                Err(error) => return Err(error),
            }
        }
        let path = self.dir.join(LAST_MOMENT);
        let made = troubles.opening(async || zeroing::allocated(&path, self.size).await).await?;
        Ok((made, path))
    }

    /// The file that was taken has the name of its segment now.
    pub(crate) fn adopted(&self) {
        self.taken.set(None);
        self.wake();
    }

    /// Takes over the files of a trim: segments, oldest first, and parts of the index. They are left alone
    /// until [`run`] has found the log durable up to `once_durable`, where the trim is before.
    pub(crate) fn give_up(
        &self,
        once_durable: PhysicalOffset,
        segments: Vec<Rc<Segment>>,
        parts: Vec<Rc<PartFile>>,
    ) {
        self.given_up.add(once_durable, segments, parts);
        self.wake();
    }

    /// Where the oldest segment begins that was given up, and whose file still has its name.
    pub(crate) fn oldest_given_up(&self) -> Option<PhysicalOffset> {
        self.given_up.oldest()
    }

    /// Takes the file at `path`, a segment's that was cut off the log's end, for a segment to come, or
    /// deletes it. Durable when it returns: until then a start would go on in it. Not while files are being
    /// provided.
    pub(crate) async fn take_back(&self, path: &Path) -> Result<(), IoError> {
        assert!(self.taken.get().is_none(), "one segment is made at a time");
        match self.free_number() {
            Some(number) => {
                fs::rename(path, self.dir.join(name(number))).await?;
                self.ready.borrow_mut().push_back(number);
            }
            None => fs::remove_file(path).await?,
        }
        fs::sync_dir(&self.dir).await
    }

    /// A number that no file has.
    fn free_number(&self) -> Option<usize> {
        let ready = self.ready.borrow();
        (0..MOST).find(|number| !ready.contains(number) && self.taken.get() != Some(*number))
    }

    fn add(&self, inner: &Inner, number: usize) {
        self.ready.borrow_mut().push_back(number);
        self.full.set(false);
        inner.troubles.end(Trouble::SegmentFile);
        inner.builder.borrow_mut().add_room();
    }
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Use a file that was given up again, or delete it.
    Recycle,
    /// Get a file at once: one is due.
    Allocate,
    /// Zero a little.
    Zero,
    /// Nothing.
    Rest,
}

/// The shard as the provisioner sees it.
#[derive(Clone, Copy, Debug)]
struct Sight {
    ready: usize,
    /// A name is free for another file.
    free: bool,
    given_up: bool,
    /// The log reaches into the last part of its segment, or something was refused for want of a file.
    due: bool,
    idle: bool,
    resting: bool,
}

fn decide(sight: Sight) -> Step {
    if sight.given_up {
        Step::Recycle
    } else if sight.ready == 0 && sight.due && sight.free {
        Step::Allocate
    } else if sight.ready < WANTED && sight.idle && sight.free && !sight.resting {
        Step::Zero
    } else {
        Step::Rest
    }
}

/// Provides files until `over` is raised. To be begun once a start has found the log right, and made it durable:
/// what was given up before is removed from now on.
pub(crate) async fn run(inner: Rc<Inner>, spares: Rc<Spares>, over: Flag) {
    let mut zeroing = None;
    let mut rest_until = runtime::now();
    while !over.is_raised() {
        let sight = Sight {
            ready: spares.ready(),
            free: spares.free_number().is_some(),
            given_up: spares.given_up.is_due(),
            due: inner.builder.borrow().wants_room(),
            idle: inner.idle.get(),
            resting: runtime::now() < rest_until,
        };
        match decide(sight) {
            Step::Recycle => given_up::recycle(&inner, &spares).await,
            Step::Allocate => allocate(&inner, &spares, &mut zeroing).await,
            Step::Zero => {
                if zero(&inner, &spares, &mut zeroing).await.is_err() {
                    // No failure of the log, which can do without: the file is given up, so that a full
                    // disk gets the space back, and tried again later.
                    zeroing = None;
                    rest_until = runtime::now() + REST;
                    drop(fs::remove_file(spares.dir.join(UNREADY)).await); // if it is there at all
                }
            }
            // Woken or not, there may be something to do.
            Step::Rest => runtime::timeout(LOOK, spares.wake.notified()).await.unwrap_or(()),
        }
    }
}

async fn zero(
    inner: &Inner,
    spares: &Spares,
    zeroing: &mut Option<Zeroing>,
) -> Result<(), IoError> {
    let mut under_way = match zeroing.take() {
        Some(under_way) => under_way,
        None => Zeroing::start(&spares.dir, spares.size).await?,
    };
    if under_way.step().await? {
        *zeroing = Some(under_way);
        return Ok(());
    }
    finish(inner, spares, under_way).await
}

async fn finish(inner: &Inner, spares: &Spares, zeroing: Zeroing) -> Result<(), IoError> {
    let number = spares.free_number().expect("a file is made only where one is missing");
    zeroing.finish(&spares.dir.join(name(number))).await?;
    spares.add(inner, number);
    Ok(())
}

/// Gets a file now: the one that is half zeroed as it is, or an allocated one.
async fn allocate(inner: &Inner, spares: &Spares, zeroing: &mut Option<Zeroing>) {
    let started = match zeroing.take() {
        Some(under_way) => Ok(under_way),
        None => Zeroing::start(&spares.dir, spares.size).await,
    };
    let got = match started {
        Ok(under_way) => finish(inner, spares, under_way).await,
        Err(error) => Err(error),
    };
    if let Err(error) = got {
        // Only a full disk is one for which older messages may have to go.
        spares.full.set(error.is_storage_full());
        match error.is_storage_full() {
            true => inner.troubles.end(Trouble::SegmentFile),
            false => inner.troubles.begin(Trouble::SegmentFile, error),
        }
        drop(fs::remove_file(spares.dir.join(UNREADY)).await); // what was allocated of it is needed
        runtime::sleep(RETRY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_before_what_is_for_idle_times() {
        let quiet =
            Sight { ready: 0, free: true, given_up: false, due: false, idle: true, resting: false };
        assert_eq!(decide(quiet), Step::Zero);
        assert_eq!(decide(Sight { ready: WANTED, ..quiet }), Step::Rest);
        assert_eq!(decide(Sight { resting: true, ..quiet }), Step::Rest);
        assert_eq!(decide(Sight { due: true, ..quiet }), Step::Allocate);
        assert_eq!(decide(Sight { due: true, given_up: true, ..quiet }), Step::Recycle);
        let busy = Sight { idle: false, ..quiet };
        assert_eq!(decide(busy), Step::Rest);
        assert_eq!(decide(Sight { due: true, ..busy }), Step::Allocate);
    }

    #[test]
    fn spares_are_told_by_their_names() {
        assert!(is_spare("spare.0") && is_spare("spare.1") && is_spare(UNREADY));
        assert!(!is_spare("spare.2") && !is_spare("spare") && !is_spare("00000000000000000000"));
    }
}
