//! Files for segments to come.
//!
//! A durable write into blocks that have been written before costs about half of one into fresh
//! extents, so a segment's file is zeroed when the store is made, or while the shard is idle. Under
//! load nothing is zeroed: a segment that is due before its file is ready gets an allocated one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use runtime::{Buffer, File, Instant, IoError, OpenMode, fs};

/// A zeroed file, ready to become a segment.
pub(crate) const SPARE: &str = "spare";
/// A file that is not ready.
pub(crate) const UNREADY: &str = "spare.tmp";
/// Bytes zeroed in one write: about a millisecond of the disk's time.
const STEP: u64 = 1024 * 1024;
/// Time without another attempt after a spare could not be made.
const REST: Duration = Duration::from_secs(60);

/// A file on its way to become [`SPARE`].
struct Zeroing {
    dir: PathBuf,
    file: File,
    zeros: Rc<Buffer>,
    done: u64,
    size: u64,
}

impl Zeroing {
    /// Makes the file; its blocks are allocated and not written yet.
    async fn start(dir: &Path, size: u64) -> Result<Self, IoError> {
        let file = fresh(dir, size).await?;
        let step = usize::try_from(STEP.min(size)).expect("a step fits into memory");
        let mut zeros = file.buffer(step);
        zeros.fill(0);
        Ok(Self { dir: dir.to_owned(), file, zeros: Rc::new(zeros), done: 0, size })
    }

    /// Zeroes a little more. `Ok(None)`: the spare is ready, flushed and under its name.
    async fn step(self) -> Result<Option<Self>, IoError> {
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

/// The files for segments to come.
pub(crate) struct Spares {
    dir: PathBuf,
    size: u64,
    state: State,
    /// After a failure nothing is tried before this.
    rest_until: Option<Instant>,
}

enum State {
    Missing,
    Zeroing(Zeroing),
    Ready,
}

impl Spares {
    /// For segments of `size` bytes in `dir`; `ready`: as [`has_spare`] said.
    pub(crate) fn new(dir: &Path, size: u64, ready: bool) -> Self {
        let state = if ready { State::Ready } else { State::Missing };
        Self { dir: dir.to_owned(), size, state, rest_until: None }
    }

    /// A file for the next segment, and its present name: the spare, or else one that is allocated only.
    pub(crate) async fn take(&mut self) -> Result<(File, PathBuf), IoError> {
        // A file that is half zeroed is given up with its name: finishing it would take too long now.
        if let State::Ready = std::mem::replace(&mut self.state, State::Missing) {
            let path = self.dir.join(SPARE);
            match File::open(&path, OpenMode::ReadWrite).await {
                Ok(file) => return Ok((file, path)),
                Err(error) if error.kind() == ErrorKind::NotFound => {} // somebody has tidied up
                Err(error) => return Err(error),
            }
        }
        let file = fresh(&self.dir, self.size).await?;
        Ok((file, self.dir.join(UNREADY)))
    }

    /// Works on the spare until it is ready or the shard is `busy`, which is asked after every step.
    ///
    /// A failure is no failure of the log, which can do without a spare: its file is given up, so that
    /// a full disk gets the space back, and tried again later.
    pub(crate) async fn prepare(&mut self, busy: impl Fn() -> bool) {
        if self.rest_until.is_some_and(|until| runtime::now() < until) {
            return;
        }
        if self.zero(busy).await.is_err() {
            self.state = State::Missing;
            self.rest_until = Some(runtime::now() + REST);
            drop(fs::remove_file(self.dir.join(UNREADY)).await); // if it is there at all
        }
    }

    async fn zero(&mut self, busy: impl Fn() -> bool) -> Result<(), IoError> {
        loop {
            let under_way = match std::mem::replace(&mut self.state, State::Missing) {
                State::Missing => Zeroing::start(&self.dir, self.size).await?,
                State::Zeroing(under_way) => under_way,
                State::Ready => {
                    self.state = State::Ready;
                    return Ok(());
                }
            };
            self.state = under_way.step().await?.map_or(State::Ready, State::Zeroing);
            if busy() {
                return Ok(());
            }
        }
    }
}
