//! A file that is made ready to become a segment.
//!
//! While messages come it is zeroed in small steps: as fast as the log fills the segment before it, and a little even where
//! the log takes days for one: a step beside the log's writes costs them little, a segment without written blocks half their pace.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use runtime::{BLOCK, Buffer, File, Instant, IoError, OpenMode, fs};

/// The name of a file that is not ready.
pub(crate) const UNREADY: &str = "spare.tmp";
/// Bytes zeroed in one write: about a millisecond of the disk's time.
const STEP: u64 = 1024 * 1024;
/// While messages come: they may have to wait behind it.
const GENTLE_STEP: u64 = 128 * 1024;
/// The rest after such a step, where the file is not behind the log; of all shards together.
const GENTLE_REST: Duration = Duration::from_millis(50);
/// Eighths of a segment that are full when the file for the next one is to be ready. Later than that one is allocated
/// if there is none ([`crate::builder::Builder::wants_room`]).
const READY_AT: u64 = 5;

/// How fast a file is zeroed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Haste {
    /// Messages come, and so many bytes of their segment are full.
    Beside { full: u64 },
    /// Nobody is disturbed.
    Idle,
}

impl Haste {
    fn step(self) -> u64 {
        if self == Self::Idle { STEP } else { GENTLE_STEP }
    }
}

/// A file of `size` bytes that was begun when `from` bytes of the segment before it were full.
#[derive(Clone, Copy, Debug)]
struct Course {
    from: u64,
    size: u64,
}

impl Course {
    /// Whether less than `done` bytes of it should be zeroed when `full` bytes of the segment before it are full.
    fn is_ahead(self, done: u64, full: u64) -> bool {
        assert!(done <= self.size && self.size < 1 << 32, "{done} bytes of {self:?} are zeroed");
        // Begun late, as after a start, it gets an eighth of a segment's time.
        let ready_at = (self.size / 8 * READY_AT).max(self.from + self.size / 8);
        done * (ready_at - self.from) >= self.size * full.saturating_sub(self.from)
    }
}

/// A file whose blocks are allocated, and written up to a point.
pub(super) struct Zeroing {
    dir: PathBuf,
    file: File,
    /// As many as the last step wrote, if there was one.
    zeros: Rc<Buffer>,
    done: u64,
    course: Course,
    /// When the last step ended.
    last: Instant,
    /// The rest after a step where there is time.
    rest: Duration,
}

impl Zeroing {
    /// Makes the file of `size` bytes; its blocks are allocated and not written yet. `full` bytes of the segment before
    /// it are full, and so many `shards` share the device.
    pub(super) async fn start(
        dir: &Path,
        size: u64,
        full: u64,
        shards: u32,
    ) -> Result<Self, IoError> {
        let file = allocated(&dir.join(UNREADY), size).await?;
        Ok(Self {
            dir: dir.to_owned(),
            zeros: Rc::new(file.buffer(BLOCK)), // the first step finds out how many it needs
            file,
            done: 0,
            course: Course { from: full, size },
            last: runtime::now(),
            rest: GENTLE_REST.saturating_mul(shards),
        })
    }

    /// Bytes that are not zeroed yet.
    pub(super) fn left(&self) -> u64 {
        self.course.size - self.done
    }

    /// Time until the next step.
    pub(super) fn rest(&self, haste: Haste) -> Duration {
        match haste {
            Haste::Beside { full } if self.course.is_ahead(self.done, full) => {
                self.rest.saturating_sub(self.last.elapsed())
            }
            _ => Duration::ZERO,
        }
    }

    /// Zeroes a little more; false when nothing was left to do.
    pub(super) async fn step(&mut self, haste: Haste) -> Result<bool, IoError> {
        let left = self.left();
        if left == 0 {
            return Ok(false);
        }
        let step = usize::try_from(haste.step().min(left)).expect("a step fits into memory");
        if self.zeros.len() != step {
            self.zeros = Rc::new(self.file.buffer(step));
        }
        self.file.write_at(&self.zeros, self.done).await?;
        self.done += step as u64;
        self.last = runtime::now();
        Ok(true)
    }

    /// Ends it as it is, flushed and durable under the name `path`.
    pub(super) async fn finish(self, path: &Path) -> Result<(), IoError> {
        self.file.sync().await?;
        self.file.close().await?;
        fs::rename(self.dir.join(UNREADY), path).await?;
        fs::sync_dir(&self.dir).await
    }
}

/// A new file of `size` bytes at `path`; an older one of that name is a leftover.
pub(super) async fn allocated(path: &Path, size: u64) -> Result<File, IoError> {
    if fs::exists(path).await? {
        fs::remove_file(path).await?;
    }
    let file = File::open(path, OpenMode::CreateNew).await?;
    file.allocate(size).await?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_file_is_ready_before_one_would_be_allocated() {
        let course = Course { from: 0, size: GIB };
        assert!(course.is_ahead(0, 0) && !course.is_ahead(0, GENTLE_STEP));
        assert!(!course.is_ahead(GIB / 2, GIB / 2) && course.is_ahead(GIB / 8 * 7, GIB / 2));
        assert!(!course.is_ahead(GIB - GENTLE_STEP, GIB / 8 * READY_AT));
    }

    #[test]
    fn a_file_that_is_begun_late_takes_its_time_all_the_same() {
        let late = Course { from: GIB / 10 * 6, size: GIB };
        assert!(late.is_ahead(0, late.from) && !late.is_ahead(0, late.from + 4096));
        assert!(late.is_ahead(GIB / 2, late.from + GIB / 16));
        assert!(!late.is_ahead(GIB - GENTLE_STEP, late.from + GIB / 8));
        // The log has gone on in the next segment meanwhile.
        assert!(late.is_ahead(0, 4096));
    }
}
