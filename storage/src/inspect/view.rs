//! A store that is open for reading only.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use model::PhysicalOffset;
use runtime::fs::LockError;
use runtime::{BLOCK, File, IoError, OpenMode, Slice, fs};
use thiserror::Error;

use super::walk::{Step, Walk};
use crate::checkpoint::Checkpoints;
use crate::command::Trim;
use crate::entry::Kind;
use crate::error::OpenError;
use crate::identity::{self, Identity, StoreId};
use crate::log::Log;
use crate::open::{self, Locks};
use crate::segment::{self, BadSegment, Segment, SegmentHeader};
use crate::store::{CHECKPOINTS, INDEX};
use crate::versions::VersionError;
use crate::vote::{self, Vote};

/// The log's place in a store's directory, unless the configuration says otherwise.
const LOG: &str = "log";
/// A segment is not read unless it has room for its header and something behind it.
const LEAST: u64 = 2 * BLOCK as u64;

/// Where a store lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its directory.
    pub dir: PathBuf,
    /// Where its segments are, if not in `log` below.
    pub log_dir: Option<PathBuf>,
}

/// Why a store cannot be looked into. Nothing was changed.
#[derive(Debug, Error)]
pub enum InspectError {
    /// There is none.
    #[error(
        "{} holds no store: there is neither `{}` nor a segment. Name the directory that storePathRootDir names, and \
         with --log-dir the one of storePathCommitLog if that is set",
        .dir.display(), identity::FILE
    )]
    NoStore {
        /// The directory.
        dir: PathBuf,
    },
    /// A file was named, or something below one.
    #[error(
        "{} is a file. Give the directory of the store, the one that storePathRootDir names{}", .file.display(),
        .store.as_ref().map(|dir| format!("; the file lies in the store {}", dir.display())).unwrap_or_default()
    )]
    NoDirectory {
        /// The file.
        file: PathBuf,
        /// The store in which it lies, as far as that can be seen.
        store: Option<PathBuf>,
    },
    /// Neither the identity nor a segment tells whose store this is.
    #[error(
        "{}: {why}, and no segment is intact that would tell whose store this is. Restore the file from a copy",
        .file.display()
    )]
    Unknown {
        /// The identity file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Another version made it, and no segment is of this one.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// Somebody has it.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// The disk.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// The stores in `dir`: the directory itself, or one directory for each shard below it.
///
/// # Errors
/// [`InspectError::NoDirectory`], or the disk.
pub async fn stores_below(dir: &Path) -> Result<Vec<PathBuf>, InspectError> {
    let has_identity = match fs::exists(dir.join(identity::FILE)).await {
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(no_directory(dir).await);
        }
        looked => looked?,
    };
    if has_identity || !fs::exists(dir).await? {
        return Ok(vec![dir.to_owned()]);
    }
    let number = |name: &str| name.strip_prefix("shard-")?.parse::<u32>().ok();
    let names = fs::list(dir).await?;
    let mut shards: Vec<_> = names
        .iter()
        .filter(|entry| entry.is_dir)
        .filter_map(|entry| Some((number(&entry.name)?, dir.join(&entry.name))))
        .collect();
    shards.sort_unstable();
    if shards.is_empty() {
        return Ok(vec![dir.to_owned()]);
    }
    Ok(shards.into_iter().map(|(_, dir)| dir).collect())
}

/// That `path` is a file, or leads through one.
async fn no_directory(path: &Path) -> InspectError {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut above = path.ancestors();
    let mut file = path.as_path();
    for part in above.by_ref() {
        file = part;
        // Below a file nothing can be looked for.
        if fs::exists(part).await.unwrap_or(false) {
            break;
        }
    }
    for dir in above {
        let names = fs::list(dir).await.unwrap_or_default();
        if names.iter().any(|entry| entry.name == identity::FILE && !entry.is_dir) {
            return InspectError::NoDirectory {
                file: file.to_owned(),
                store: Some(dir.to_owned()),
            };
        }
    }
    InspectError::NoDirectory { file: file.to_owned(), store: None }
}

/// A segment's file as it was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub base: PhysicalOffset,
    pub path: PathBuf,
    /// Bytes of the file.
    pub len: u64,
    /// Its header, or why it is not that of this segment of this store.
    pub header: Result<SegmentHeader, NoHeader>,
}

/// Why a segment has no header that can be used.
#[derive(Clone, Debug)]
pub(super) struct NoHeader {
    pub why: String,
    /// Another version wrote it, as it says.
    pub is_of_another_version: bool,
}

impl NoHeader {
    fn damaged(why: impl ToString) -> Self {
        Self { why: why.to_string(), is_of_another_version: false }
    }
}

impl From<BadSegment> for NoHeader {
    fn from(bad: BadSegment) -> Self {
        let is_of_another_version = matches!(bad, BadSegment::Version(_));
        Self { is_of_another_version, ..Self::damaged(bad) }
    }
}

/// A store, open for reading only. It has the store's lock.
pub struct View {
    pub(super) dir: PathBuf,
    pub(super) log_dir: PathBuf,
    /// The identity file; the error says what is wrong with it.
    pub(super) identity: Result<Identity, String>,
    pub(super) id: StoreId,
    pub(super) segment_size: u64,
    /// Oldest first.
    pub(super) found: Vec<Found>,
    /// Segments that the log was trimmed of, and that a hole cuts off from it.
    pub(super) cut_off: Vec<Found>,
    /// The vote's slots; empty if there is no file.
    pub(super) slots: Vec<Slice>,
    _locks: Locks,
}

impl View {
    /// Opens the store at `place`, if nobody else has it. Changes nothing but the lock files.
    ///
    /// # Errors
    /// [`InspectError`].
    pub async fn open(place: &Place) -> Result<Self, InspectError> {
        let dir = place.dir.clone();
        let log_dir = place.log_dir.clone().unwrap_or_else(|| dir.join(LOG));
        let names = segment_names(&log_dir).await?;
        let file = dir.join(identity::FILE);
        if !fs::exists(&file).await? && (names.is_empty() || !fs::exists(&dir).await?) {
            return Err(InspectError::NoStore { dir });
        }
        let locks = open::lock(&dir, &log_dir).await?;
        let mut version = None;
        let identity = match Identity::load(&dir).await {
            Ok(Some(identity)) => Ok(identity),
            Ok(None) => Err("it is missing".to_owned()),
            Err(OpenError::Identity { why, .. }) => Err(why),
            Err(OpenError::Version(error)) => {
                version = Some(error.clone());
                Err(error.to_string())
            }
            Err(other) => Err(other.to_string()),
        };
        let mut found = Vec::new();
        // Listed again, now that nobody can change it.
        for (base, len) in segment_names(&log_dir).await? {
            let path = log_dir.join(segment::name(base));
            let header = read_header(&path, base).await;
            found.push(Found { base, path, len, header });
        }
        let first = found.iter().find_map(|found| found.header.as_ref().ok());
        let known = match (&identity, first) {
            (Ok(identity), _) => Some((identity.id, identity.segment_size)),
            (Err(_), first) => first.map(|header| (header.store, header.size)),
        };
        let Some((id, segment_size)) = known else {
            let why = identity.expect_err("it would be known otherwise");
            if let Some(error) = version {
                return Err(error.into());
            }
            return Err(InspectError::Unknown { file, why });
        };
        for found in &mut found {
            refuse_others(found, id, segment_size);
        }
        let slots = read_slots(&dir).await?;
        let cut_off = Vec::new();
        let mut view =
            Self { dir, log_dir, identity, id, segment_size, found, cut_off, slots, _locks: locks };
        view.cut_off = view.trimmed_before_a_hole().await?;
        view.found.drain(..view.cut_off.len());
        Ok(view)
    }

    /// The segments that a hole cuts off from the newest ones, if the log says that they were trimmed: a start
    /// leaves them out then, and removes them.
    async fn trimmed_before_a_hole(&self) -> Result<Vec<Found>, IoError> {
        let follows = |pair: &[Found]| pair[0].base.plus(self.segment_size) == pair[1].base;
        let Some(last) = self.found.windows(2).rposition(|pair| !follows(pair)) else {
            return Ok(Vec::new());
        };
        let (older, base) = (&self.found[..=last], self.found[last + 1].base);
        for offset in self.checkpoints().list().await? {
            let read = self.checkpoints().read(offset).await;
            if read.is_ok_and(|read| read.is_ok_and(|checkpoint| checkpoint.trim >= base)) {
                return Ok(older.to_vec());
            }
        }
        let mut walk = Walk::new(self, base, PhysicalOffset(0), PhysicalOffset(u64::MAX));
        while let Step::Entry { entry, .. } = walk.next().await? {
            let trim = (entry.header.kind == Kind::Trim).then(|| Trim::from_bytes(&entry.payload));
            if trim.is_some_and(|trim| trim.is_ok_and(|trim| trim.to >= base.0)) {
                return Ok(older.to_vec());
            }
        }
        Ok(Vec::new())
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The id drawn when it was made.
    #[must_use]
    pub fn id(&self) -> StoreId {
        self.id
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        self.found.iter().map(|found| found.len).sum()
    }

    pub(super) fn vote(&self) -> Option<Vote> {
        vote::newest(&self.slots).map(|(_, vote)| vote)
    }

    pub(super) fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(&self.dir.join(CHECKPOINTS), self.id, self.segment_size)
    }

    pub(super) fn index_dir(&self) -> PathBuf {
        self.dir.join(INDEX)
    }

    /// Where the log begins.
    pub(super) fn oldest(&self) -> Option<PhysicalOffset> {
        self.found.first().map(|found| found.base)
    }

    /// Where the newest segment ends.
    pub(super) fn end(&self) -> Option<PhysicalOffset> {
        self.found.last().map(|found| found.base.plus(found.len))
    }

    /// The segments `found` as a log, each with its own header, or with the one given for the first.
    /// Those without a header, or too short to hold anything, are left out.
    pub(super) async fn log_of(
        &self,
        found: &[Found],
        first: Option<SegmentHeader>,
    ) -> Result<Log, IoError> {
        let mut segments = Vec::new();
        for (number, found) in found.iter().enumerate() {
            let own = found.header.as_ref().ok().copied();
            let header = if number == 0 { first.or(own) } else { own };
            let Some(header) = header.filter(|_| self.readable(found) >= LEAST) else { continue };
            let file = File::open(&found.path, OpenMode::ReadOnly).await?;
            let size = self.readable(found);
            segments.push(Segment { header: SegmentHeader { size, ..header }, file });
        }
        Ok(Log::new(self.log_dir.clone(), self.segment_size, segments))
    }

    /// Bytes of a segment that can be read as such: whole blocks, and no more than a segment has.
    pub(super) fn readable(&self, found: &Found) -> u64 {
        let blocks = found.len / BLOCK as u64 * BLOCK as u64;
        let whole = blocks.min(self.segment_size);
        if whole < LEAST { 0 } else { whole }
    }
}

/// The segments in `dir` by name, with the bytes of their files.
async fn segment_names(dir: &Path) -> Result<Vec<(PhysicalOffset, u64)>, IoError> {
    if !fs::exists(dir).await? {
        return Ok(Vec::new());
    }
    let entries = fs::list(dir).await?;
    // No segment reaches beyond what a client can read as a signed number.
    let possible = |base: &PhysicalOffset| {
        base.0.checked_add(u64::from(u32::MAX)).is_some_and(|end| i64::try_from(end).is_ok())
    };
    let base = |name: &str| segment::base_of(name).filter(possible);
    let mut found: Vec<_> = entries
        .iter()
        .filter(|entry| !entry.is_dir)
        .filter_map(|entry| Some((base(&entry.name)?, entry.len)))
        .collect();
    found.sort_unstable();
    Ok(found)
}

async fn read_header(path: &Path, base: PhysicalOffset) -> Result<SegmentHeader, NoHeader> {
    let file = File::open(path, OpenMode::ReadOnly).await.map_err(NoHeader::damaged)?;
    let block = file.read_at(0, BLOCK).await.map_err(NoHeader::damaged)?;
    file.close().await.map_err(NoHeader::damaged)?;
    let header = SegmentHeader::decode(&block)?;
    match header.base == base {
        true => Ok(header),
        false => {
            let why = format!("its header says that it begins at offset {}", header.base);
            Err(NoHeader::damaged(why))
        }
    }
}

fn refuse_others(found: &mut Found, id: StoreId, segment_size: u64) {
    let Ok(header) = &found.header else { return };
    if header.store != id {
        let why = format!("it belongs to store {}, this is {id}", header.store);
        found.header = Err(NoHeader::damaged(why));
    } else if header.size != segment_size {
        let size = header.size;
        let why = format!("its header says {size} bytes, segments here have {segment_size}");
        found.header = Err(NoHeader::damaged(why));
    }
}

async fn read_slots(dir: &Path) -> Result<Vec<Slice>, IoError> {
    let path = dir.join(vote::FILE);
    if !fs::exists(&path).await? {
        return Ok(Vec::new());
    }
    let file = File::open(&path, OpenMode::ReadOnly).await?;
    let mut slots = Vec::new();
    for slot in 0..vote::SLOTS {
        // A slot that cannot be read counts as one that is not there.
        let read = file.read_at(slot * BLOCK as u64, BLOCK).await;
        slots.push(read.unwrap_or_else(|_| Slice::empty()));
    }
    file.close().await?;
    Ok(slots)
}
