//! A file that nobody needs is deleted, a step at a time.
//!
//! Freeing blocks is no matter of bookkeeping alone. A file system that is mounted with `discard` tells the device of
//! them, and every flush of the log waits behind that: about 1.5 ms for each MiB where it was measured. So, while
//! messages come, a step is small, it is flushed, so that what it costs is seen, and a rest of [`REST_FACTOR`] times
//! that follows.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use runtime::{File, Instant, IoError, OpenMode, fs};

/// Bytes of a step while messages come and space is not urgent.
const GENTLE_STEP: u64 = 4 * 1024 * 1024;
/// The rest after such a step, in steps: of the device's time deletions take one part in so many.
const REST_FACTOR: u32 = 100;
/// The longest rest. A device that takes longer for a step than a hundredth of it has other troubles.
const LONGEST_REST: Duration = Duration::from_secs(5);
/// The shortest: a file system with a journal may tell the device only after the flush, and what a step took says
/// nothing of it.
const SHORTEST_REST: Duration = Duration::from_millis(250);
/// Time without another attempt after a file could not be deleted.
const PUT_OFF: Duration = Duration::from_secs(1);
/// Time between two steps while messages come and space is urgent.
const URGENT_REST: Duration = Duration::from_millis(20);

/// How fast files are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Messages come, and there is time.
    Gentle,
    /// Messages come, and the space is needed.
    Urgent,
    /// Nobody is disturbed.
    Idle,
}

impl Pace {
    pub(super) fn of(idle: bool, urgent: bool) -> Self {
        match (idle, urgent) {
            (true, _) => Self::Idle,
            (false, true) => Self::Urgent,
            (false, false) => Self::Gentle,
        }
    }

    /// Bytes of a step; `most` otherwise.
    fn step(self, most: u64) -> u64 {
        if self == Self::Gentle { GENTLE_STEP.min(most) } else { most }
    }

    /// Time from the end of a step that took so long to the next one.
    fn rest(self, took: Duration) -> Duration {
        match self {
            Self::Gentle => took.saturating_mul(REST_FACTOR).clamp(SHORTEST_REST, LONGEST_REST),
            Self::Urgent => URGENT_REST,
            Self::Idle => Duration::ZERO,
        }
    }
}

/// A file that is being deleted. Its name tells a start that it may go.
pub(super) struct Deleting {
    file: File,
    len: u64,
}

impl Deleting {
    pub(super) async fn begin(path: &Path) -> Result<Self, IoError> {
        let file = File::open(path, OpenMode::ReadWrite).await?;
        let len = file.len().await?;
        Ok(Self { file, len })
    }

    /// Bytes that it still has.
    pub(super) fn left(&self) -> u64 {
        self.len
    }

    /// Makes it shorter, if anything is left of it.
    async fn shorten(&mut self, pace: Pace, most: u64) -> Result<(), IoError> {
        let len = self.len.saturating_sub(pace.step(most));
        self.file.truncate(len).await?;
        self.len = len;
        if pace == Pace::Gentle {
            self.file.sync().await?;
        }
        Ok(())
    }

    /// Deletes a little more; what is left then, if anything is.
    async fn step(mut self, pace: Pace, most: u64) -> Result<Option<Self>, IoError> {
        self.shorten(pace, most).await?;
        if self.len > 0 {
            return Ok(Some(self));
        }
        let path = self.file.path().to_owned();
        self.file.close().await?;
        fs::remove_file(path).await?;
        Ok(None)
    }
}

/// The deletion that is under way, and the last step of any.
pub(super) struct Deletions {
    /// Files whose deletion an earlier life has begun, or that could not be deleted; the last comes first.
    left: VecDeque<PathBuf>,
    pub(super) under_way: Option<Deleting>,
    /// When it ended, and what it took.
    last: Option<(Instant, Duration)>,
    /// Not before, something could not be deleted.
    from: Option<Instant>,
}

impl Deletions {
    /// None, and those of the files at `left` are to come.
    pub(super) fn of(left: Vec<PathBuf>) -> Self {
        Self { left: left.into(), under_way: None, last: None, from: None }
    }

    /// Whether one is under way, or to come.
    pub(super) fn has_more(&self) -> bool {
        self.under_way.is_some() || !self.left.is_empty()
    }

    /// Begins the next of those to come, where none is under way; whether there was one.
    ///
    /// # Errors
    /// As [`Deletions::begin`].
    pub(super) async fn go_on(&mut self) -> Result<bool, IoError> {
        let Some(path) = self.left.pop_back() else { return Ok(false) };
        self.begin(&path).await?;
        Ok(true)
    }

    /// Begins to delete the file at `path`, where none is under way.
    ///
    /// # Errors
    /// The disk. It is put off, as by [`Deletions::put_off`].
    pub(super) async fn begin(&mut self, path: &Path) -> Result<(), IoError> {
        assert!(self.under_way.is_none(), "one file is deleted at a time");
        match Deleting::begin(path).await {
            Ok(deleting) => self.under_way = Some(deleting),
            Err(error) if error.kind() == ErrorKind::NotFound => {} // it is gone
            Err(error) => {
                self.put_off(path.to_owned());
                return Err(error);
            }
        }
        Ok(())
    }

    /// The file at `path` is deleted after all others, and nothing for a while.
    pub(super) fn put_off(&mut self, path: PathBuf) {
        self.left.push_front(path);
        self.put_off_all();
    }

    /// Nothing is deleted for a while.
    pub(super) fn put_off_all(&mut self) {
        self.from = Some(runtime::now() + PUT_OFF);
    }

    /// Time until the next step may be taken.
    pub(super) fn rest(&self, pace: Pace) -> Duration {
        let after =
            |(ended, took): (Instant, Duration)| pace.rest(took).saturating_sub(ended.elapsed());
        let put_off = self.from.map(|from| from.saturating_since(runtime::now()));
        self.last.map_or(Duration::ZERO, after).max(put_off.unwrap_or_default())
    }

    /// Deletes a little more of the one under way, at most `most` bytes.
    ///
    /// # Errors
    /// The disk. Nothing is under way any more: it is put off.
    pub(super) async fn step(&mut self, pace: Pace, most: u64) -> Result<(), IoError> {
        let file = self.under_way.take().expect("a deletion has been begun");
        let (path, began) = (file.file.path().to_owned(), runtime::now());
        let went = file.step(pace, most).await;
        self.last = Some((runtime::now(), began.elapsed()));
        match went {
            Ok(left) => self.under_way = left,
            Err(error) => {
                self.put_off(path);
                return Err(error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn only_load_that_can_wait_makes_it_slow() {
        assert_eq!(Pace::of(false, false), Pace::Gentle);
        assert_eq!(Pace::of(false, true), Pace::Urgent);
        assert_eq!((Pace::of(true, false), Pace::of(true, true)), (Pace::Idle, Pace::Idle));
        assert_eq!(Pace::Gentle.step(64 * MIB), 4 * MIB);
        assert_eq!(Pace::Gentle.step(MIB), MIB);
        assert_eq!((Pace::Urgent.step(64 * MIB), Pace::Idle.step(64 * MIB)), (64 * MIB, 64 * MIB));
    }

    #[test]
    fn a_rest_is_a_hundred_times_what_the_step_took_and_has_an_end() {
        let took = Duration::from_millis(9);
        assert_eq!(Pace::Gentle.rest(took), Duration::from_millis(900));
        assert_eq!(Pace::Gentle.rest(Duration::from_secs(1)), LONGEST_REST);
        assert_eq!(Pace::Gentle.rest(Duration::MAX), LONGEST_REST);
        assert_eq!(Pace::Gentle.rest(Duration::ZERO), SHORTEST_REST);
        assert_eq!(Pace::Urgent.rest(Duration::from_secs(1)), URGENT_REST);
        assert_eq!(Pace::Idle.rest(took), Duration::ZERO);
    }
}
