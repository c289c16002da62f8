//! Files for segments to come, and what becomes of segments that were given up.
//!
//! A durable write into blocks that have been written before costs about half of one into fresh
//! extents, so a segment's file is zeroed before the log comes to it, and the
//! file of a segment that was given up is used again, or deleted if there are enough. Under load both go in
//! small steps; a segment that is due before its file is ready gets it as it is.
//!
//! A batch never waits for its segment: what would need a file that is not there is refused before it
//! is drafted, so that on a full disk nothing that was taken is stuck.

mod decide;
mod deleting;
mod given_up;
mod keep;
mod zeroing;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use runtime::channel::{Flag, Notify};
use runtime::{File, Instant, IoError, IoOp, OpenMode, fs};

use decide::{Sight, Step, decide};
use deleting::{Deletions, Pace};
use given_up::{GivenUp, Use};
pub(crate) use given_up::{SHED, is_trimmed};
pub use keep::Keep;
use model::PhysicalOffset;
pub(crate) use zeroing::UNREADY;
use zeroing::{Haste, Zeroing};

use crate::options::Options;
use crate::part::PartFile;
use crate::segment::Segment;
use crate::store::Inner;
use crate::trouble::{Trouble, Troubles};

/// Files that are kept ready, however large they are: one for the next segment, and one for the one after it.
const LEAST: usize = 2;
/// Files that are kept ready, however small they are: names are looked for one after the other.
const MOST: usize = 8;
/// All shards together keep no more than one part of the disk in so many ready, but for [`LEAST`] files each: the file
/// system counts them as in use, and for want of space messages are given up.
const DISK_PART: u64 = 32;
const _: () = assert!(WANTED <= LEAST && LEAST <= MOST);
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
    [UNREADY, LAST_MOMENT, SHED].contains(&name) || number_of(name).is_some()
}

/// The name of a file that was made in the last moment.
const LAST_MOMENT: &str = "spare.now";

/// Files of `size` bytes that are kept ready, where `bytes` of them may be. Beyond that a segment that is given up is
/// deleted.
fn most(size: u64, bytes: u64) -> usize {
    usize::try_from(bytes / size).unwrap_or(MOST).clamp(LEAST, MOST)
}

fn number_of(found: &str) -> Option<usize> {
    (0..MOST).find(|number| name(*number) == found)
}

/// Zeroes a whole file now; its path.
pub(crate) async fn provision(dir: &Path, size: u64) -> Result<PathBuf, IoError> {
    let mut zeroing = Zeroing::start(dir, size, 0, 1).await?;
    while zeroing.step(Haste::Idle).await? {}
    let path = dir.join(name(0));
    zeroing.finish(&path).await?;
    Ok(path)
}

/// What an earlier life has left.
pub(crate) struct Found {
    /// Numbers of the files that are ready.
    ready: Vec<usize>,
    /// Segments that were given up, and of which something is left.
    trimmed: Vec<PathBuf>,
    /// Bytes that are left of them.
    trimmed_bytes: u64,
}

/// Looks for files that are ready, and for those of segments that were trimmed. Files of another size, and what was
/// not finished, are removed.
pub(crate) async fn found(dir: &Path, size: u64) -> Result<Found, IoError> {
    let (mut ready, mut trimmed, mut trimmed_bytes) = (Vec::new(), Vec::new(), 0);
    for entry in fs::list(dir).await? {
        match number_of(&entry.name) {
            Some(number) if entry.len == size => ready.push(number),
            _ if is_spare(&entry.name) => fs::remove_file(dir.join(&entry.name)).await?,
            _ if is_trimmed(&entry.name) => {
                trimmed.push(dir.join(&entry.name));
                trimmed_bytes += entry.len;
            }
            _ => {}
        }
    }
    ready.sort_unstable();
    Ok(Found { ready, trimmed, trimmed_bytes })
}

/// The files for segments to come.
pub(crate) struct Spares {
    dir: PathBuf,
    size: u64,
    /// Files that are kept ready.
    most: usize,
    ready: RefCell<VecDeque<usize>>,
    /// The file that is becoming a segment, and still has the name of this number.
    taken: Cell<Option<usize>>,
    /// The number that a file is to get which is being zeroed.
    zeroing: Cell<Option<usize>>,
    /// The number that one is being given which was a segment.
    renaming: Cell<Option<usize>>,
    /// Bytes of files that were made ready, or taken, before they were written.
    unwritten: Cell<u64>,
    given_up: GivenUp,
    /// What an earlier life did not come to delete.
    left: RefCell<Vec<PathBuf>>,
    /// Bytes of that whose deletion has not been begun again.
    left_bytes: Cell<u64>,
    /// The disk has no room for another segment.
    full: Cell<bool>,
    /// What the owner wants kept.
    keep: Cell<Keep>,
    /// Bytes of the disk that are not taken ahead of time.
    leave: Cell<u64>,
    wake: Notify,
}

impl Spares {
    /// For the log of a store with these options; `found`: as [`found`] said.
    pub(crate) async fn new(options: &Options, found: Found) -> Self {
        // Where nobody knows how large the disk is, it is taken for a small one.
        let disk = fs::space(&options.log_dir).await.map_or(0, |space| space.total);
        let share = disk / DISK_PART / u64::from(options.shards.max(1));
        Self {
            dir: options.log_dir.clone(),
            size: options.segment_size,
            most: most(options.segment_size, options.scale.spare_bytes.min(share)),
            ready: RefCell::new(found.ready.into()),
            taken: Cell::new(None),
            zeroing: Cell::new(None),
            renaming: Cell::new(None),
            unwritten: Cell::new(0),
            given_up: GivenUp::default(),
            left: RefCell::new(found.trimmed),
            left_bytes: Cell::new(found.trimmed_bytes),
            full: Cell::new(false),
            keep: Cell::new(Keep::default()),
            leave: Cell::new(0),
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

    /// Bytes of files that were made ready, or taken, before their blocks had been written.
    pub(crate) fn unwritten(&self) -> u64 {
        self.unwritten.get()
    }

    fn count_unwritten(&self, bytes: u64) {
        self.unwritten.set(self.unwritten.get() + bytes);
    }

    /// Bytes of segments that were given up and are neither used again nor deleted yet, and of files that are not kept.
    pub(crate) fn freeing(&self, inner: &Inner) -> u64 {
        self.given_up.bytes() + self.left_bytes.get() + self.surplus(inner) as u64 * self.size
    }

    /// Whether only what is needed next is kept.
    pub(crate) fn is_short(&self) -> bool {
        self.keep.get() == Keep::Next
    }

    pub(crate) fn keep(&self, keep: Keep, leave: u64) {
        self.leave.set(leave);
        if self.keep.replace(keep) != keep {
            self.wake();
        }
    }

    /// Bytes of the file of a log's next segment, if there is none and it is not being made. Early in a segment there is time.
    pub(crate) fn missing(&self, inner: &Inner) -> u64 {
        let full = inner.full_of_segment();
        let is_missing = self.held(inner) == 0 && keep::needs_next(full, self.size);
        if is_missing { self.size } else { 0 }
    }

    /// Files that are ready and that nothing was drafted for, and the one that is being made.
    fn held(&self, inner: &Inner) -> usize {
        inner.rooms() + usize::from(self.zeroing.get().is_some())
    }

    /// Files that are ready or being made, and are not kept: on a disk too full for what has to be written beside the log
    /// only one that is due is.
    fn surplus(&self, inner: &Inner) -> usize {
        let held = self.held(inner);
        match inner.cramped.get() {
            true => held.saturating_sub(usize::from(inner.is_late())),
            false => self.keep.get().surplus(held),
        }
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
        self.count_unwritten(self.size);
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
                // Another file may be made ready at the same time.
                self.taken.set(Some(number));
                let renamed = fs::rename(path, self.dir.join(name(number))).await;
                self.taken.set(None);
                renamed?;
                self.ready.borrow_mut().push_back(number);
            }
            None => fs::remove_file(path).await?,
        }
        fs::sync_dir(&self.dir).await
    }

    /// The number of a file that is ready and that nothing was drafted for: it is a spare no more.
    fn shed(&self, inner: &Inner) -> Option<usize> {
        if inner.take_room() { self.ready.borrow_mut().pop_back() } else { None }
    }

    /// A number that no file has, nor is to get.
    fn free_number(&self) -> Option<usize> {
        let ready = self.ready.borrow();
        let reserved = [self.taken.get(), self.zeroing.get(), self.renaming.get()];
        (0..self.most).find(|number| !ready.contains(number) && !reserved.contains(&Some(*number)))
    }

    fn add(&self, inner: &Inner, number: usize) {
        self.full.set(false);
        inner.troubles.end(Trouble::SegmentFile);
        inner.troubles.end(Trouble::Ahead);
        self.put(inner, number);
    }

    fn put(&self, inner: &Inner, number: usize) {
        self.ready.borrow_mut().push_back(number);
        inner.builder.borrow_mut().add_room();
    }
}

/// What is under way, and what has to wait.
struct Work {
    zeroing: Option<Zeroing>,
    deletions: Deletions,
    /// Not before, a file could not be zeroed.
    zero_from: Instant,
    /// Not before, there was no file to be had.
    allocate_from: Instant,
}

impl Work {
    /// Nothing, but that what is `left` of files is to be deleted.
    fn begin(left: Vec<PathBuf>) -> Self {
        let now = runtime::now();
        let (zeroing, deletions) = (None, Deletions::of(left));
        Self { zeroing, deletions, zero_from: now, allocate_from: now }
    }

    fn look(&self, inner: &Inner, spares: &Spares, pace: Pace, haste: Haste) -> Sight {
        let (now, keep) = (runtime::now(), spares.keep.get());
        let (full, held) = (inner.full_of_segment(), spares.held(inner));
        Sight {
            ready: spares.ready(),
            free: spares.free_number().is_some(),
            zeroing: self.zeroing.is_some(),
            given_up: spares.given_up.next(),
            cramped: inner.cramped.get(),
            recycles: keep.recycles(held, full, spares.size),
            ahead: keep.zeroes(full, spares.size),
            surplus: spares.surplus(inner) > 0,
            deleting: self.deletions.has_more(),
            pausing: !self.deletions.rest(pace).is_zero(),
            due: inner.wants_room(),
            refused: now < self.allocate_from,
            resting: now < self.zero_from || !self.until_zeroing(haste).is_zero(),
        }
    }

    /// Time until the next step of the file that is being zeroed.
    fn until_zeroing(&self, haste: Haste) -> Duration {
        self.zeroing.as_ref().map_or(Duration::ZERO, |zeroing| zeroing.rest(haste))
    }
}

fn haste(inner: &Inner) -> Haste {
    match inner.idle.get() {
        true => Haste::Idle,
        false => Haste::Beside { full: inner.full_of_segment() },
    }
}

fn pace(inner: &Inner, spares: &Spares) -> Pace {
    let urgent = spares.full() || inner.cramped.get() || spares.keep.get() != Keep::Many;
    Pace::of(inner.idle.get(), urgent)
}

/// Provides files until `over` is raised. To be begun once a start has found the log right, and made it durable:
/// what was given up before is removed from now on. What is being deleted then is left to the next start.
pub(crate) async fn run(inner: Rc<Inner>, spares: Rc<Spares>, over: Flag) {
    let mut work = Work::begin(spares.left.take());
    while !over.is_raised() {
        let (pace, haste) = (pace(&inner, &spares), haste(&inner));
        match decide(work.look(&inner, &spares, pace, haste)) {
            Step::Recycle => {
                given_up::recycle(&inner, &spares, &mut work.deletions, Use::Again).await;
            }
            Step::Shed => {
                given_up::shed(&inner, &spares, &mut work.deletions).await;
                // What needed the space comes first.
                work.zero_from = runtime::now() + REST;
            }
            Step::Allocate => allocate(&inner, &spares, &mut work).await,
            Step::Delete => given_up::delete(&inner, &spares, &mut work.deletions, pace).await,
            Step::Zero => {
                if let Err(error) = zero(&inner, &spares, &mut work, haste).await {
                    // The log can do without: the file is given up, so that a full disk gets the space
                    // back, and tried again later.
                    let told = inner.survived(error).filter(|error| !error.is_storage_full());
                    if let Some(error) = told {
                        inner.troubles.begin(Trouble::Ahead, error);
                    }
                    abandon(&inner, &spares, &mut work).await;
                }
            }
            Step::Abandon => abandon(&inner, &spares, &mut work).await,
            Step::Rest => {
                let until = [work.deletions.rest(pace), work.until_zeroing(haste)];
                rest(&spares, until).await;
            }
        }
    }
}

/// Waits until there may be something to do, woken or not; `until`: the times until something that can wait.
async fn rest(spares: &Spares, until: [Duration; 2]) {
    let soonest = until.into_iter().filter(|time| !time.is_zero()).fold(LOOK, Duration::min);
    runtime::timeout(soonest, spares.wake.notified()).await.unwrap_or(());
}

async fn zero(
    inner: &Inner,
    spares: &Spares,
    work: &mut Work,
    haste: Haste,
) -> Result<(), IoError> {
    let mut under_way = match work.zeroing.take() {
        Some(under_way) => under_way,
        None if !has_room(inner, spares).await? => {
            inner.troubles.end(Trouble::Ahead); // it is not tried any more
            work.zero_from = runtime::now() + REST;
            return Ok(());
        }
        None => {
            // What was cut off the log meanwhile may have got the last one.
            let Some(number) = spares.free_number() else { return Ok(()) };
            start(inner, spares, number).await?
        }
    };
    if under_way.step(haste).await? {
        work.zeroing = Some(under_way);
        return Ok(());
    }
    finish(inner, spares, under_way).await
}

/// Whether the disk has room for a file that is not due yet, and for as much again, which others may need before; and for
/// what the owner wants left, whatever the other shards make at the same time.
async fn has_room(inner: &Inner, spares: &Spares) -> Result<bool, IoError> {
    let space = fs::space(&spares.dir).await?;
    let all = spares.size.saturating_mul(inner.options.shards.max(1).into());
    let leaves = |bytes: u64| space.available.saturating_sub(bytes);
    // A file system may have no size to tell.
    let room = leaves(spares.size) >= spares.size && leaves(all) >= spares.leave.get();
    Ok(space.total == 0 || room)
}

/// `number`: what the file is to be called when it is ready.
async fn start(inner: &Inner, spares: &Spares, number: usize) -> Result<Zeroing, IoError> {
    assert!(spares.zeroing.replace(Some(number)).is_none(), "one file is made at a time");
    let (full, shards) = (inner.full_of_segment(), inner.options.shards.max(1));
    let started = Zeroing::start(&spares.dir, spares.size, full, shards).await;
    if started.is_err() {
        spares.zeroing.set(None);
    }
    started
}

async fn finish(inner: &Inner, spares: &Spares, zeroing: Zeroing) -> Result<(), IoError> {
    let number = spares.zeroing.get().expect("it was reserved when the file was begun");
    let left = zeroing.left();
    let made = zeroing.finish(&spares.dir.join(name(number))).await;
    spares.zeroing.set(None);
    made?;
    spares.count_unwritten(left);
    spares.add(inner, number);
    Ok(())
}

/// Gives the file up that is being zeroed, if there is one, for a while.
async fn abandon(inner: &Inner, spares: &Spares, work: &mut Work) {
    work.zeroing = None;
    work.zero_from = runtime::now() + REST;
    drop(fs::remove_file(spares.dir.join(UNREADY)).await); // if it is there at all
    spares.zeroing.set(None); // until here it is on its way back
    inner.progress.notify_all(); // who waits for space may have it now
}

/// Makes the file that is due, where the disk has room for all of it: what else is written beside the log must not find
/// its last blocks taken for nothing.
async fn start_due(inner: &Inner, spares: &Spares, number: usize) -> Result<Zeroing, IoError> {
    let space = fs::space(&spares.dir).await;
    if space.is_ok_and(|space| space.total > 0 && space.free < spares.size) {
        let (path, full) = (spares.dir.join(UNREADY), io::Error::from(ErrorKind::StorageFull));
        return Err(IoError::path(IoOp::Allocate, path, full));
    }
    start(inner, spares, number).await
}

/// Gets a file now: the one that is half zeroed as it is, or an allocated one.
async fn allocate(inner: &Inner, spares: &Spares, work: &mut Work) {
    let started = match work.zeroing.take() {
        Some(under_way) => Ok(under_way),
        None => {
            let number = spares.free_number().expect("it was seen to be free just now");
            start_due(inner, spares, number).await
        }
    };
    let got = match started {
        Ok(under_way) => finish(inner, spares, under_way).await,
        Err(error) => Err(error),
    };
    if let Some(error) = got.err().and_then(|error| inner.survived(error)) {
        let full = error.is_storage_full();
        spares.zeroing.set(None);
        drop(fs::remove_file(spares.dir.join(UNREADY)).await); // what was allocated of it is needed
        if full && inner.parts.remove_old().await {
            return; // that may be all that it takes: it is tried again at once
        }
        // Only a full disk is one for which older messages may have to go.
        spares.full.set(full);
        match full {
            true => inner.troubles.end(Trouble::SegmentFile),
            false => inner.troubles.begin(Trouble::SegmentFile, error),
        }
        // Meanwhile a deletion may make room.
        work.allocate_from = runtime::now() + RETRY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_kept_as_the_bytes_allow() {
        const MIB: u64 = 1024 * 1024;
        let kept = |size| most(size, 256 * MIB);
        assert_eq!((kept(4096), kept(32 * MIB), kept(64 * MIB)), (8, 8, 4));
        assert_eq!((kept(100 * MIB), kept(200 * MIB), kept(1024 * MIB)), (2, 2, 2));
        assert_eq!(most(4096, 0), 2);
    }

    #[test]
    fn spares_are_told_by_their_names() {
        assert!(is_spare("spare.0") && is_spare("spare.7") && is_spare(UNREADY));
        assert!(!is_spare("spare.8") && !is_spare("spare") && !is_spare("00000000000000000000"));
    }
}
