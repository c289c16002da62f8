//! Files for segments to come.
//!
//! A durable write into blocks that have been written before costs about half of one into fresh
//! extents, so a segment's file is zeroed when the store is made, or while the shard is idle. Under
//! load nothing is zeroed: a segment that is due before its file is ready gets an allocated one.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use runtime::{Buffer, File, IoError, OpenMode, fs};

/// A zeroed file, ready to become a segment.
pub(crate) const SPARE: &str = "spare";
/// A file that is not ready.
pub(crate) const UNREADY: &str = "spare.tmp";
/// Bytes zeroed in one write: about a millisecond of the disk's time.
const STEP: u64 = 1024 * 1024;

/// A file on its way to become [`SPARE`].
pub(crate) struct Zeroing {
    dir: PathBuf,
    file: File,
    zeros: Rc<Buffer>,
    done: u64,
    size: u64,
}

impl Zeroing {
    /// Makes the file; its blocks are allocated and not written yet.
    pub(crate) async fn start(dir: &Path, size: u64) -> Result<Self, IoError> {
        let file = fresh(dir, size).await?;
        let step = usize::try_from(STEP.min(size)).expect("a step fits into memory");
        let mut zeros = file.buffer(step);
        zeros.fill(0);
        Ok(Self { dir: dir.to_owned(), file, zeros: Rc::new(zeros), done: 0, size })
    }

    /// Zeroes a little more. `Ok(None)`: the spare is ready, flushed and under its name.
    pub(crate) async fn step(self) -> Result<Option<Self>, IoError> {
        let Self { dir, file, zeros, done, size } = self;
        let left = size - done;
        if left == 0 {
            file.sync().await?;
            file.close().await?;
            fs::rename(dir.join(UNREADY), dir.join(SPARE)).await?;
            fs::sync_dir(&dir).await?;
            return Ok(None);
        }
        let zeros = if left < zeros.len() as u64 {
            let mut rest = file.buffer(usize::try_from(left).expect("less than a step"));
            rest.fill(0);
            Rc::new(rest)
        } else {
            zeros
        };
        file.write_at(&zeros, done).await?;
        let done = done + zeros.len() as u64;
        Ok(Some(Self { dir, file, zeros, done, size }))
    }
}

/// A new file of `size` bytes under [`UNREADY`]; an older one of that name is a leftover.
async fn fresh(dir: &Path, size: u64) -> Result<File, IoError> {
    let path = dir.join(UNREADY);
    if fs::exists(&path).await? {
        fs::remove_file(&path).await?;
    }
    let file = File::open(&path, OpenMode::CreateNew).await?;
    file.allocate(size).await?;
    Ok(file)
}

/// Zeroes a whole spare now.
pub(crate) async fn provision(dir: &Path, size: u64) -> Result<(), IoError> {
    let mut zeroing = Some(Zeroing::start(dir, size).await?);
    while let Some(under_way) = zeroing {
        zeroing = under_way.step().await?;
    }
    Ok(())
}

/// Whether a spare of the right size is there; one of another size is removed.
pub(crate) async fn has_spare(dir: &Path, size: u64) -> Result<bool, IoError> {
    let path = dir.join(SPARE);
    if !fs::exists(&path).await? {
        return Ok(false);
    }
    let file = File::open(&path, OpenMode::ReadOnly).await?;
    let len = file.len().await?;
    file.close().await?;
    if len != size {
        fs::remove_file(&path).await?;
    }
    Ok(len == size)
}

/// A file for the next segment, and its present name: the spare, or else one that is allocated only.
pub(crate) async fn take(dir: &Path, size: u64, spare: bool) -> Result<(File, PathBuf), IoError> {
    if spare {
        let path = dir.join(SPARE);
        let file = File::open(&path, OpenMode::ReadWrite).await?;
        return Ok((file, path));
    }
    let file = fresh(dir, size).await?;
    Ok((file, dir.join(UNREADY)))
}
