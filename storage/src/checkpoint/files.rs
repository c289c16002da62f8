//! The directory of the checkpoints.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use model::PhysicalOffset;
use runtime::{BLOCK, File, IoError, OpenMode, fs};
use thiserror::Error;

use super::Checkpoint;
use super::format::{self, Bad};
use crate::identity::StoreId;
use crate::segment;
use crate::versions::{self, VersionError};

/// Bytes of one write or read.
const STEP: usize = 128 * 1024;
/// Checkpoints between two segments' beginnings that are kept: should the newest be damaged, the one
/// before it is read, and a little more of the log.
const KEPT: usize = 2;
/// The name of a file that is not complete.
pub(crate) const UNREADY: &str = "checkpoint.tmp";

/// A damaged checkpoint, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damaged {
    pub offset: PhysicalOffset,
    pub file: PathBuf,
    pub why: String,
}

/// Why a checkpoint was not read, and is left as it is.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The disk; bytes that it does not give count as damaged instead.
    #[error(transparent)]
    Io(#[from] IoError),
    /// Another version wrote it.
    #[error("{0}. Or move it away, and an older checkpoint is read")]
    Version(VersionError),
    /// Its checksums hold, and it says something that this version does not know.
    #[error(
        "the checkpoint {}: {why}, and its checksums hold: another version wrote it. It is left as it is; start that \
         version, or upgrade this one",
        .file.display()
    )]
    Unknown {
        /// The file.
        file: PathBuf,
        /// What is not known.
        why: String,
    },
    /// It is intact and another store's.
    #[error(
        "the checkpoint {} is of store {found}, this is store {expected}. It is left as it is; move it back to where it \
         came from",
        .file.display()
    )]
    Foreign {
        /// The file.
        file: PathBuf,
        /// As the file says.
        found: StoreId,
        /// As it should be.
        expected: StoreId,
    },
}

/// The checkpoints of a store.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoints {
    dir: PathBuf,
    store: StoreId,
    segment_size: u64,
}

impl Checkpoints {
    pub(crate) fn new(dir: &Path, store: StoreId, segment_size: u64) -> Self {
        Self { dir: dir.to_owned(), store, segment_size }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the directory where there is none; durable when it returns.
    pub(crate) async fn make_dir(&self) -> Result<(), IoError> {
        if fs::exists(&self.dir).await? {
            return Ok(());
        }
        fs::create_dir_all(&self.dir).await?;
        fs::sync_dir(self.dir.parent().expect("it lies in the store's directory")).await
    }

    fn path(&self, offset: PhysicalOffset) -> PathBuf {
        self.dir.join(segment::name(offset))
    }

    /// Offsets of all checkpoints, oldest first; whether they are intact is not known.
    pub(crate) async fn list(&self) -> Result<Vec<PhysicalOffset>, IoError> {
        if !fs::exists(&self.dir).await? {
            return Ok(Vec::new());
        }
        let entries = fs::list(&self.dir).await?;
        let mut offsets: Vec<_> =
            entries.iter().filter_map(|entry| segment::base_of(&entry.name)).collect();
        offsets.sort_unstable();
        Ok(offsets)
    }

    /// The checkpoint at `offset`; `Ok(Err(_))`: it is damaged, or the disk does not give it.
    pub(crate) async fn read(
        &self,
        offset: PhysicalOffset,
    ) -> Result<Result<Checkpoint, Damaged>, CheckpointError> {
        let file = self.path(offset);
        let bytes = match read_whole(&file).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_unreadable() => {
                return Ok(Err(Damaged { offset, file, why: error.to_string() }));
            }
            Err(error) => return Err(error.into()),
        };
        let why = match format::decode(&bytes, self.store) {
            Ok(checkpoint) if checkpoint.position.offset == offset => return Ok(Ok(checkpoint)),
            Ok(checkpoint) => format!("it is for offset {}", checkpoint.position.offset),
            Err(Bad::Damaged(why)) => why,
            Err(Bad::Version(found)) => {
                let (what, known) = ("a checkpoint", versions::CHECKPOINT);
                return Err(CheckpointError::Version(VersionError { file, what, found, known }));
            }
            Err(Bad::Unknown(why)) => return Err(CheckpointError::Unknown { file, why }),
            Err(Bad::Store(found)) => {
                let expected = self.store;
                return Err(CheckpointError::Foreign { file, found, expected });
            }
        };
        Ok(Err(Damaged { offset, file, why }))
    }

    /// The bytes of its file.
    pub(crate) async fn encode(&self, checkpoint: &Checkpoint) -> Vec<u8> {
        format::encode(checkpoint, self.store).await
    }

    /// Writes a checkpoint, all or nothing; durable when it returns. The log must be durable up to it.
    pub(crate) async fn write(&self, checkpoint: &Checkpoint) -> Result<(), IoError> {
        let bytes = format::encode(checkpoint, self.store).await;
        self.make_dir().await?;
        let unready = self.dir.join(UNREADY);
        if fs::exists(&unready).await? {
            fs::remove_file(&unready).await?;
        }
        let file = File::open(&unready, OpenMode::CreateNew).await?;
        write_whole(file, &bytes).await?;
        fs::rename(&unready, self.path(checkpoint.position.offset)).await?;
        fs::sync_dir(&self.dir).await
    }

    /// Removes what nobody needs any more, `oldest` being where the log begins. Checkpoints at `damaged`
    /// offsets stay, and keep none of the others from staying.
    ///
    /// # Errors
    /// What could not be removed first. The others are removed all the same.
    pub(crate) async fn prune(
        &self,
        oldest: PhysicalOffset,
        damaged: &[PhysicalOffset],
    ) -> Result<(), IoError> {
        let mut offsets = self.list().await?;
        offsets.retain(|offset| !damaged.contains(offset));
        let mut pruned = Ok(());
        for offset in unneeded(&offsets, self.segment_size, oldest) {
            pruned = pruned.and(fs::remove_file(self.path(offset)).await);
        }
        pruned
    }

    /// Removes the checkpoint at `offset`, which is damaged.
    pub(crate) async fn remove(&self, offset: PhysicalOffset) -> Result<(), IoError> {
        fs::remove_file(self.path(offset)).await
    }
}

/// Writes all bytes of a new file, durably, and closes it.
pub(crate) async fn write_whole(file: File, bytes: &[u8]) -> Result<(), IoError> {
    for (number, part) in (0..).zip(bytes.chunks(STEP)) {
        let mut buffer = file.buffer(part.len());
        buffer.copy_from_slice(part);
        file.write_at(&Rc::new(buffer), number * STEP as u64).await?;
    }
    file.sync().await?;
    file.close().await
}

/// All bytes of a file.
pub(crate) async fn read_whole(path: &Path) -> Result<Vec<u8>, IoError> {
    let file = File::open(path, OpenMode::ReadOnly).await?;
    let len = file.len().await?;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < len {
        let part = file.read_at(bytes.len() as u64, STEP).await?;
        if part.is_empty() {
            break; // shorter than it was a moment ago: the format tells
        }
        bytes.extend_from_slice(&part);
    }
    file.close().await?;
    Ok(bytes)
}

/// Which of the checkpoints at `offsets` (oldest first) nobody needs.
fn unneeded(
    offsets: &[PhysicalOffset],
    segment_size: u64,
    oldest: PhysicalOffset,
) -> Vec<PhysicalOffset> {
    let newest = &offsets[offsets.len().saturating_sub(KEPT)..];
    let needed = |offset: &PhysicalOffset| {
        newest.contains(offset) || offset.0.is_multiple_of(segment_size) && *offset >= oldest
    };
    offsets.iter().copied().filter(|offset| !needed(offset)).collect()
}

const _: () = assert!(STEP.is_multiple_of(BLOCK) && KEPT > 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_of_segments_and_the_newest_two_are_kept() {
        let offsets: Vec<_> = [0, 40, 100, 140, 180, 200, 220, 260, 280].map(PhysicalOffset).into();
        let gone = unneeded(&offsets, 100, PhysicalOffset(100));
        assert_eq!(gone, [0, 40, 140, 180, 220].map(PhysicalOffset));
        assert_eq!(unneeded(&offsets[..1], 100, PhysicalOffset(100)), []);
        assert_eq!(unneeded(&[], 100, PhysicalOffset(100)), []);
    }
}
