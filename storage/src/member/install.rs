//! A snapshot takes the place of a log that is too far behind: another member has given up what this one lacks.
//!
//! The snapshot is laid down beside the log, durably, and the store is to be closed then: it is put into place by the next
//! start, before anything of the log is read. As long as its file is there that is done again from the beginning, so it may be
//! interrupted anywhere; the file goes last. What is promised, the term and the vote, stays.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use model::PhysicalOffset;
use runtime::{File, IoError, OpenMode, fs};

use super::applier::AppliedState;
use crate::checkpoint::format::{self, Bad};
use crate::checkpoint::{Checkpoint, Checkpoints};
use crate::error::OpenError;
use crate::identity::Identity;
use crate::options::Options;
use crate::provision;
use crate::segment::{self, SEGMENT_HEADER_LEN, Segment, SegmentHeader};
use crate::store::{CHECKPOINTS, INDEX};
use crate::versions;
use crate::vote::{Purged, Vote, VoteFile};

/// The snapshot in the store's directory, and one that is not whole.
const STAGED: &str = "snapshot";
const UNREADY: &str = "snapshot.tmp";
const NOT_OURS: &str =
    "it was whole when it was received. Start this member anew in an empty directory";
/// Bytes written in one go.
const STEP: usize = 1024 * 1024;

/// Lays a snapshot down beside the log in `options`; durable when it returns. The next start puts it into place.
///
/// # Errors
/// It is none for this store; or the disk failed.
pub(super) async fn stage(options: &Options, bytes: &[u8]) -> Result<(), String> {
    read(bytes, options.segment_size)?;
    lay_down(&options.dir, bytes).await.map_err(|error| error.to_string())
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
    format::decode_of_any(bytes).map_err(|bad| match bad {
        Bad::Damaged(why) | Bad::Unknown(why) => format!("the snapshot cannot be read: {why}"),
        Bad::Version(found) => format!(
            "the snapshot is of format version {found}, this broker reads {}: run the same release on all members",
            versions::CHECKPOINT
        ),
        Bad::Store(store) => format!("the snapshot is of store {store}"),
    })
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

/// Space on the disk for a snapshot that may be laid down. It does not hold the store. Dropped, it stays: the next snapshot takes it.
#[derive(Debug)]
pub struct Reserved(PathBuf);

impl Reserved {
    /// Gives it back, where the snapshot was not laid down.
    pub async fn give_back(self) {
        drop(fs::remove_file(self.0).await); // if it is there at all
    }
}

/// Takes the space on the disk for a snapshot of so many bytes that is to be laid down.
///
/// # Errors
/// There is none, or the disk failed; none is taken then.
pub(super) async fn reserve(options: &Options, len: usize) -> Result<Reserved, IoError> {
    let reserved = Reserved(options.dir.join(UNREADY));
    let taken = match unready(&options.dir, len).await {
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
    for (number, part) in (0..).zip(bytes.chunks(STEP)) {
        let mut buffer = file.buffer(part.len());
        buffer.copy_from_slice(part);
        file.write_at(&Rc::new(buffer), number * STEP as u64).await?;
    }
    file.sync().await?;
    file.close().await?;
    fs::rename(dir.join(UNREADY), dir.join(STAGED)).await?;
    fs::sync_dir(dir).await
}

/// Puts a snapshot into place that was laid down before, if there is one.
pub(crate) async fn finish(options: &Options, identity: &Identity) -> Result<(), OpenError> {
    let staged = options.dir.join(STAGED);
    if !fs::exists(&staged).await? {
        return Ok(());
    }
    let bytes = read_whole(&staged).await?;
    let checkpoint = read(&bytes, options.segment_size).map_err(|why| OpenError::Identity {
        file: staged.clone(),
        why,
        remedy: NOT_OURS,
    })?;
    clear(options).await?;
    let segment = first_segment(options, identity, &checkpoint).await?;
    let begin = segment.first_entry();
    segment.file.close().await?;
    promise(options, &checkpoint, begin).await?;
    let checkpoints =
        Checkpoints::new(&options.dir.join(CHECKPOINTS), identity.id, options.segment_size);
    checkpoints.write(&checkpoint).await?;
    fs::remove_file(&staged).await?;
    Ok(fs::sync_dir(&options.dir).await?)
}

/// Removes the log, its index, and the checkpoints of it.
async fn clear(options: &Options) -> Result<(), IoError> {
    for dir in [options.dir.join(CHECKPOINTS), options.dir.join(INDEX)] {
        if fs::exists(&dir).await? {
            remove(&dir, |_| true).await?;
        }
    }
    let of_log = |name: &str| segment::base_of(name).is_some() || provision::is_trimmed(name);
    remove(&options.log_dir, of_log).await
}

async fn remove(dir: &Path, which: impl Fn(&str) -> bool) -> Result<(), IoError> {
    let found = fs::list(dir).await?;
    let files = found.into_iter().filter(|entry| !entry.is_dir && which(&entry.name));
    for entry in files {
        fs::remove_file(dir.join(entry.name)).await?;
    }
    fs::sync_dir(dir).await
}

/// Makes the segment in which the log goes on behind the snapshot.
async fn first_segment(
    options: &Options,
    identity: &Identity,
    checkpoint: &Checkpoint,
) -> Result<Segment, IoError> {
    let (dir, size) = (&options.log_dir, options.segment_size);
    let position = checkpoint.position;
    let name = provision::provision(dir, size).await?;
    let file = File::open(&name, OpenMode::ReadWrite).await?;
    let header = SegmentHeader {
        store: identity.id,
        base: position.offset,
        index: position.index,
        size,
        chain: position.chain,
    };
    Segment::adopt(dir, file, &name, header, options.file_method()).await
}

/// Notes beside the vote where the log begins, and that it is all there.
async fn promise(
    options: &Options,
    checkpoint: &Checkpoint,
    begin: PhysicalOffset,
) -> Result<(), OpenError> {
    let mut file = VoteFile::open(&options.dir).await?;
    let (before, position) = (file.vote(), checkpoint.position);
    let purged = Purged { before: position.index, term: position.term };
    if before.purged.before > purged.before {
        let why = format!(
            "it stands for the entries before {}, and this member has given up those before {}",
            purged.before, before.purged.before
        );
        let (file, remedy) = (options.dir.join(STAGED), NOT_OURS);
        return Err(OpenError::Identity { file, why, remedy });
    }
    let generation = before.generation.max(position.generation) + 1;
    assert_eq!(begin.since(position.offset), SEGMENT_HEADER_LEN, "it is the segment's first entry");
    Ok(file.store(Vote { generation, idle_mark: begin, clean: true, purged, ..before }).await?)
}

async fn read_whole(path: &PathBuf) -> Result<Vec<u8>, IoError> {
    let file = File::open(path, OpenMode::ReadOnly).await?;
    let len = file.len().await?;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < len {
        let part = file.read_at(bytes.len() as u64, STEP).await?;
        if part.is_empty() {
            break; // the format tells
        }
        bytes.extend_from_slice(&part);
    }
    file.close().await?;
    Ok(bytes)
}
