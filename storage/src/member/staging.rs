//! Laying a snapshot down that is to take the place of a member's log: as a checkpoint of this store, durably. The next start puts it
//! into place, see [`super::install`].

use std::path::{Path, PathBuf};

use runtime::{File, IoError, OpenMode, fs};

use super::applier::AppliedState;
use crate::checkpoint::format::{self, Bad};
use crate::checkpoint::{Checkpoint, Checkpoints, write_whole};
use crate::options::Options;
use crate::position::Position;
use crate::versions;

/// In the directory of the checkpoints: the one that is to take the place of the log, and one that is not whole.
pub(crate) const STAGED: &str = "snapshot";
pub(crate) const UNREADY: &str = "snapshot.tmp";

/// Why a snapshot was not laid down.
pub(super) enum NotStaged {
    /// It is none for this store; says why.
    Unfit(String),
    Disk(IoError),
}

impl From<IoError> for NotStaged {
    fn from(error: IoError) -> Self {
        Self::Disk(error)
    }
}

/// Lays a snapshot down for the store in `options`, which has applied what is before `applied`; durable when it returns. The next
/// start puts it into place.
///
/// # Errors
/// [`NotStaged`].
pub(super) async fn stage(
    options: &Options,
    checkpoints: &Checkpoints,
    applied: Position,
    bytes: &[u8],
) -> Result<(), NotStaged> {
    let checkpoint = read(bytes, options.segment_size).map_err(NotStaged::Unfit)?;
    let (stands_for, has) = (checkpoint.position.index, applied.index);
    if stands_for <= has {
        // Whether the log has gone already is seen by what it has given up.
        let why = format!(
            "it stands for the entries before {stands_for}, and those before {has} are applied here"
        );
        return Err(NotStaged::Unfit(why));
    }
    checkpoints.make_dir().await?;
    lay_down(checkpoints.dir(), &checkpoints.encode(&checkpoint).await).await?;
    Ok(())
}

/// What a snapshot of any member stands for.
///
/// # Errors
/// It cannot be read; says why.
pub fn snapshot_state(bytes: &[u8]) -> Result<AppliedState, String> {
    let Checkpoint { position, membership, .. } = decode(bytes)?;
    let group = Some(membership.into_entry());
    Ok(AppliedState { next: position.index, term: position.term, group })
}

fn decode(bytes: &[u8]) -> Result<Checkpoint, String> {
    format::decode_of_any(bytes).map_err(in_words)
}

pub(super) fn in_words(bad: Bad) -> String {
    match bad {
        Bad::Damaged(why) | Bad::Unknown(why) => format!("the snapshot cannot be read: {why}"),
        Bad::Version(found) => format!(
            "the snapshot is of format version {found}, this broker reads {}: run the same release on all members",
            versions::CHECKPOINT
        ),
        Bad::Store(store) => format!("the snapshot is of store {store}"),
    }
}

/// What the snapshot says, as this member's own checkpoint.
fn read(bytes: &[u8], segment_size: u64) -> Result<Checkpoint, String> {
    let mut checkpoint = decode(bytes)?;
    let at = checkpoint.position.offset;
    if at.0 == 0 || !at.0.is_multiple_of(segment_size) {
        return Err(format!("the snapshot ends at offset {at}, where no segment begins"));
    }
    // Of what is before nothing is here, as after a trim.
    checkpoint.mins = checkpoint.ends();
    checkpoint.trim = at;
    Ok(checkpoint)
}

/// Space on the disk for a snapshot that may be laid down. Dropped, it stays until the next snapshot takes it, or the next start.
#[derive(Debug)]
#[must_use]
pub struct Reserved(PathBuf);

impl Reserved {
    /// Gives it back, where the snapshot was not laid down. The store is to be held meanwhile: the file is the next life's if it is not.
    pub async fn give_back(self) {
        drop(fs::remove_file(self.0).await); // if it is there at all
    }
}

/// Takes the space on the disk for a snapshot of so many bytes that is to be laid down: putting it into place needs no more.
///
/// # Errors
/// There is none, or the disk failed; none is taken then.
pub(super) async fn reserve(checkpoints: &Checkpoints, len: usize) -> Result<Reserved, IoError> {
    let reserved = Reserved(checkpoints.dir().join(UNREADY));
    checkpoints.make_dir().await?;
    let taken = match unready(checkpoints.dir(), len).await {
        Ok(file) => file.close().await,
        Err(error) => Err(error),
    };
    match taken {
        Ok(()) => Ok(reserved),
        Err(error) => {
            reserved.give_back().await;
            Err(error)
        }
    }
}

/// The file for a snapshot, with the space that it takes.
async fn unready(dir: &Path, len: usize) -> Result<File, IoError> {
    let (path, len) = (dir.join(UNREADY), len as u64);
    if fs::exists(&path).await? {
        let file = File::open(&path, OpenMode::ReadWrite).await?;
        if file.len().await? == len {
            return Ok(file);
        }
        file.close().await?;
        fs::remove_file(&path).await?;
    }
    let file = File::open(&path, OpenMode::CreateNew).await?;
    if len > 0 {
        file.allocate(len).await?;
    }
    Ok(file)
}

async fn lay_down(dir: &Path, bytes: &[u8]) -> Result<(), IoError> {
    let file = unready(dir, bytes.len()).await?;
    write_whole(file, bytes).await?;
    fs::rename(dir.join(UNREADY), dir.join(STAGED)).await?;
    fs::sync_dir(dir).await
}
