//! A file that is made ready to become a segment.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use runtime::{Buffer, File, IoError, OpenMode, fs};

/// The name of a file that is not ready.
pub(crate) const UNREADY: &str = "spare.tmp";
/// Bytes zeroed in one write: about a millisecond of the disk's time.
const STEP: u64 = 1024 * 1024;

/// A file whose blocks are allocated, and written up to a point.
pub(super) struct Zeroing {
    dir: PathBuf,
    file: File,
    zeros: Rc<Buffer>,
    done: u64,
    size: u64,
}

impl Zeroing {
    /// Makes the file; its blocks are allocated and not written yet.
    pub(super) async fn start(dir: &Path, size: u64) -> Result<Self, IoError> {
        let file = allocated(&dir.join(UNREADY), size).await?;
        let step = usize::try_from(STEP.min(size)).expect("a step fits into memory");
        let mut zeros = file.buffer(step);
        zeros.fill(0);
        Ok(Self { dir: dir.to_owned(), file, zeros: Rc::new(zeros), done: 0, size })
    }

    /// Zeroes a little more; false when nothing was left to do.
    pub(super) async fn step(&mut self) -> Result<bool, IoError> {
        let left = self.size - self.done;
        if left == 0 {
            return Ok(false);
        }
        let zeros = if left < self.zeros.len() as u64 {
            let mut rest = self.file.buffer(usize::try_from(left).expect("less than a step"));
            rest.fill(0);
            Rc::new(rest)
        } else {
            Rc::clone(&self.zeros)
        };
        self.file.write_at(&zeros, self.done).await?;
        self.done += zeros.len() as u64;
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
