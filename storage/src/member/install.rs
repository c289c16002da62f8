//! A snapshot takes the place of a log that is too far behind: another member has given up what this one lacks.
//!
//! It was laid down by [`super::staging`], and the store closed then: this start puts it into place, before anything of the log is
//! read. The log goes, the segment where it continues is made, the vote says so, and the checkpoint gets its name: that is the last
//! step. It may be interrupted anywhere, and what is left is done by the start after that. What is promised, the term and the vote,
//! stays.

use std::cmp::Ordering;
use std::path::Path;

use model::PhysicalOffset;
use runtime::{File, IoError, OpenMode, fs};

use super::staging::{STAGED, UNREADY, in_words};
use crate::checkpoint::{Checkpoint, format, read_whole};
use crate::error::OpenError;
use crate::identity::Identity;
use crate::options::Options;
use crate::position::Position;
use crate::provision;
use crate::segment::{self, SEGMENT_HEADER_LEN, Segment, SegmentHeader};
use crate::store::{CHECKPOINTS, INDEX};
use crate::vote::{Purged, Vote, VoteFile};

const NOT_OURS: &str =
    "it was whole when it was received. Start this member anew in an empty directory";
const OF_GROUP: &str = "a snapshot of a group is to take the place of its log";
const START_THERE: &str = "start it as the member that it is (enableDLegerCommitLog, dLegerGroup, dLegerPeers and dLegerSelfId as they \
     were), or with an empty directory";

/// Whether one waits to take the place of the log of the store in `dir`.
async fn waits(dir: &Path) -> Result<bool, IoError> {
    fs::exists(dir.join(CHECKPOINTS).join(STAGED)).await
}

/// A store that is opened on its own has nothing that a group is about to replace: what it acknowledged would go with the log when it
/// is a member again.
///
/// # Errors
/// A snapshot waits; nothing is changed.
pub(crate) async fn refuse_waiting(options: &Options) -> Result<(), OpenError> {
    if !waits(&options.dir).await? {
        return Ok(());
    }
    let file = options.dir.join(CHECKPOINTS).join(STAGED);
    Err(OpenError::Identity { file, why: OF_GROUP.to_owned(), remedy: START_THERE })
}

/// How far a snapshot has come that was laid down.
enum Progress {
    /// The log is the old one, or what is left of it.
    ToDo,
    /// The vote says where the log begins now. The checkpoint has yet to get its name.
    Promised,
    /// The log has given up more since: a file system has brought back what was done with.
    LongAgo,
}

/// The vote tells: it is written when the old log is gone and the new one has begun, and never before, as a snapshot stands for more
/// than the member had applied when it came.
fn progress(purged: Purged, snapshot: Position) -> Result<Progress, String> {
    let stands_for = Purged { before: snapshot.index, term: snapshot.term };
    if purged.before == stands_for.before && purged.term != stands_for.term {
        return Err(format!(
            "it ends in {}, and this member has given up as much, which ends in {}",
            stands_for.term, purged.term
        ));
    }
    Ok(match purged.before.cmp(&stands_for.before) {
        Ordering::Less => Progress::ToDo,
        Ordering::Equal => Progress::Promised,
        Ordering::Greater => Progress::LongAgo,
    })
}

/// Puts a snapshot into place that was laid down before, if there is one. Nothing is changed before all is known to go together.
pub(crate) async fn finish(options: &Options, identity: &Identity) -> Result<(), OpenError> {
    let dir = options.dir.join(CHECKPOINTS);
    let (unready, staged) = (dir.join(UNREADY), dir.join(STAGED));
    if fs::exists(&unready).await? {
        fs::remove_file(&unready).await?; // its life ended before it was whole
    }
    if !waits(&options.dir).await? {
        return Ok(());
    }
    let bad = |why: String| OpenError::Identity { file: staged.clone(), why, remedy: NOT_OURS };
    let bytes = read_whole(&staged).await?;
    let checkpoint = format::decode(&bytes, identity.id).map_err(in_words).map_err(bad)?;
    let mut vote = VoteFile::open(&options.dir).await?;
    match progress(vote.vote().purged, checkpoint.position).map_err(bad)? {
        Progress::LongAgo => {
            fs::remove_file(&staged).await?;
            return Ok(fs::sync_dir(&dir).await?);
        }
        Progress::ToDo => {
            clear(options).await?;
            let segment = first_segment(options, identity, &checkpoint).await?;
            let begin = segment.first_entry();
            segment.file.close().await?;
            promise(&mut vote, checkpoint.position, begin).await?;
        }
        Progress::Promised => {}
    }
    fs::rename(&staged, dir.join(segment::name(checkpoint.position.offset))).await?;
    Ok(fs::sync_dir(&dir).await?)
}

/// Removes the log, its index, and the checkpoints of it; not the one that takes their place.
async fn clear(options: &Options) -> Result<(), IoError> {
    remove(&options.dir.join(CHECKPOINTS), |name| name != STAGED).await?;
    let index = options.dir.join(INDEX);
    if fs::exists(&index).await? {
        remove(&index, |_| true).await?;
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
    file: &mut VoteFile,
    snapshot: Position,
    begin: PhysicalOffset,
) -> Result<(), IoError> {
    let before = file.vote();
    let purged = Purged { before: snapshot.index, term: snapshot.term };
    assert!(before.purged.before < purged.before, "what is given up stays so");
    let generation = before.generation.max(snapshot.generation) + 1;
    assert_eq!(begin.since(snapshot.offset), SEGMENT_HEADER_LEN, "it is the segment's first entry");
    file.store(Vote { generation, idle_mark: begin, clean: true, purged, ..before }).await
}
