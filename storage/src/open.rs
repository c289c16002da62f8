//! Opening a directory as a store: everything that is settled before the log is read.

use std::io::ErrorKind;
use std::path::Path;

use model::{LogIndex, PhysicalOffset, Term};
use runtime::fs::{DirLock, LockError};
use runtime::{BLOCK, File, OpenMode, fs};

use crate::error::OpenError;
use crate::identity::{self, Identity, StoreId};
use crate::log::Log;
use crate::member::install;
use crate::membership::ALONE;
use crate::options::{LARGEST_REQUEST, Options};
use crate::provision;
use crate::segment::{self, BadSegment, Segment, SegmentHeader};
use crate::store::{CHECKPOINTS, INDEX};
use crate::versions::{self, VersionError};
use crate::vote::{self, Purged, Vote, VoteFile};

pub(crate) const LOCK: &str = "lock";
/// What to do about a store without its identity.
const LOST_IDENTITY: &str = "restore it from a copy of the directory (`mqstore check` tells what else is there and intact), \
     set storePathRootDir to where the store is, or start with an empty directory and without these messages";
/// What a file system keeps for itself in its uppermost directory.
const LOST_AND_FOUND: &str = "lost+found";
/// Directories that a store makes once it is in use.
const OURS: [&str; 2] = [CHECKPOINTS, INDEX];

/// A store whose log has not been read yet.
pub(crate) struct Opened {
    pub identity: Identity,
    pub log: Log,
    pub vote: VoteFile,
    /// Numbers of the files that are ready for segments.
    pub spares: provision::Found,
    pub locks: Locks,
}

/// What keeps others out. The log's directory has a lock of its own where it lies elsewhere: another
/// store may name the same one.
pub(crate) struct Locks {
    _store: DirLock,
    _log: Option<DirLock>,
}

/// The chain that the first entry of a store continues: another store's entries never fit.
pub(crate) fn first_chain(store: StoreId) -> u32 {
    crc32c::crc32c(&store.0.to_le_bytes())
}

/// Whom the vote of a new store is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstVote {
    /// Itself: it is a group of one from its first entry on.
    Itself,
    /// Nobody: its entries come from elsewhere.
    Nobody,
}

/// Opens the store in `options.dir`, or makes one if there is nothing.
pub(crate) async fn open(options: &Options, first: FirstVote) -> Result<Opened, OpenError> {
    check_sizes(options)?;
    refuse_foreign(options).await?;
    make_dir(&options.dir).await?;
    make_dir(&options.log_dir).await?;
    let locks = lock(&options.dir, &options.log_dir).await?;
    keep_names(options).await?;
    let identity = match Identity::load(&options.dir).await? {
        Some(identity) => identity,
        None => create(options, first).await?,
    };
    identity.check(options)?;
    match first {
        FirstVote::Nobody => install::finish(options, &identity).await?,
        FirstVote::Itself => install::refuse_waiting(options).await?,
    }
    let (cut_off, segments) = open_segments(options, &identity).await?;
    let vote = VoteFile::open(&options.dir).await?;
    let spares = provision::found(&options.log_dir, options.segment_size).await?;
    let log = Log::new(options.log_dir.clone(), options.segment_size, segments);
    let log = log.with_cut_off(cut_off);
    Ok(Opened { identity, log, vote, spares, locks })
}

/// Locks the store in `dir`, whose segments are in `log_dir`.
pub(crate) async fn lock(dir: &Path, log_dir: &Path) -> Result<Locks, LockError> {
    let store = fs::lock_exclusive(dir.join(LOCK)).await?;
    let elsewhere = !log_dir.starts_with(dir);
    let log = match elsewhere {
        true => Some(fs::lock_exclusive(log_dir.join(LOCK)).await?),
        false => None,
    };
    Ok(Locks { _store: store, _log: log })
}

/// The directory that names `path`.
fn parent_of(path: &Path) -> Option<&Path> {
    let parent = path.parent()?;
    Some(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// Creates a directory and its missing parents, durably: a power cut must not take the names on the
/// way to a store that has acknowledged messages.
async fn make_dir(path: &Path) -> Result<(), OpenError> {
    let mut missing = Vec::new();
    let mut next = Some(path);
    while let Some(dir) = next.filter(|dir| !dir.as_os_str().is_empty()) {
        if fs::exists(dir).await? {
            break;
        }
        missing.push(dir);
        next = dir.parent();
    }
    fs::create_dir_all(path).await?;
    for dir in missing {
        if let Some(parent) = parent_of(dir) {
            fs::sync_dir(parent).await?;
        }
    }
    Ok(())
}

/// Makes the names durable that are found: a process that died may have renamed a file and not synced the
/// directory, and a power cut could take back from under the log what it goes on in.
async fn keep_names(options: &Options) -> Result<(), OpenError> {
    let inside = OURS.map(|name| options.dir.join(name));
    for dir in [&options.dir, &options.log_dir].into_iter().chain(&inside) {
        if fs::exists(dir).await? {
            fs::sync_dir(dir).await?;
        }
    }
    Ok(())
}

fn check_sizes(options: &Options) -> Result<(), OpenError> {
    if options.max_request > LARGEST_REQUEST {
        return Err(OpenError::RequestSize { request: options.max_request, max: LARGEST_REQUEST });
    }
    let (size, smallest) = (options.segment_size, options.smallest_segment());
    let possible =
        size >= smallest && size.is_multiple_of(BLOCK as u64) && u32::try_from(size).is_ok();
    if possible {
        return Ok(());
    }
    Err(OpenError::SegmentSize { size, request: options.max_request, smallest })
}

/// A directory without an identity must be empty, or hold only what a creation that did not finish
/// has left.
async fn refuse_foreign(options: &Options) -> Result<(), OpenError> {
    if fs::exists(options.dir.join(identity::FILE)).await? {
        return Ok(());
    }
    let inside = options.log_dir.strip_prefix(&options.dir).ok();
    let log_name = inside.and_then(|path| path.iter().next());
    let ours = |name: &str| {
        name == LOCK
            || name == vote::FILE
            || OURS.contains(&name)
            || identity::is_leftover(name)
            || log_name.is_some_and(|log| log == name)
    };
    if fs::exists(&options.dir).await? {
        refuse_others(&options.dir, ours).await?;
    }
    if fs::exists(&options.log_dir).await? {
        refuse_segments(options).await?;
        let ours = |name: &str| {
            name == LOCK
                || provision::is_spare(name)
                || provision::is_trimmed(name)
                || segment::base_of(name) == Some(PhysicalOffset(0))
        };
        refuse_others(&options.log_dir, ours).await?;
    }
    Ok(())
}

/// Segments of ours that are not the first belong to a store that was in use and whose identity was lost: to call its
/// directory foreign would send its operator to an empty one.
async fn refuse_segments(options: &Options) -> Result<(), OpenError> {
    let names = fs::list(&options.log_dir).await?.into_iter().map(|entry| entry.name);
    let mut bases: Vec<PhysicalOffset> = names.filter_map(|name| segment::base_of(&name)).collect();
    bases.sort_unstable();
    let Some(last) = bases.pop().filter(|base| *base > PhysicalOffset(0)) else { return Ok(()) };
    let path = options.log_dir.join(segment::name(last));
    let file = File::open(&path, OpenMode::ReadOnly).await?;
    let block = file.read_at(0, BLOCK).await?;
    file.close().await?;
    match SegmentHeader::decode(&block) {
        Ok(_) | Err(BadSegment::Version(_)) => Err(lost_identity(options, &path)),
        Err(_) => Ok(()),
    }
}

fn lost_identity(options: &Options, found: &Path) -> OpenError {
    OpenError::Identity {
        file: options.dir.join(identity::FILE),
        why: format!("it is missing, but {} belongs to a store that was in use", found.display()),
        remedy: LOST_IDENTITY,
    }
}

async fn refuse_others(dir: &Path, ours: impl Fn(&str) -> bool) -> Result<(), OpenError> {
    let entries = fs::list(dir).await?;
    let of_the_disk = |entry: &fs::Entry| entry.is_dir && entry.name == LOST_AND_FOUND;
    let Some(other) = entries.iter().find(|entry| !of_the_disk(entry) && !ours(&entry.name)) else {
        return Ok(());
    };
    let apache = ["abort", "commitlog", "consumequeue", "config", "index", "checkpoint"];
    let rocketmq = entries.iter().filter(|entry| apache.contains(&entry.name.as_str())).count() > 1;
    let hint = if rocketmq { ", it looks like a store of Apache RocketMQ" } else { "" };
    Err(OpenError::Foreign { dir: dir.to_owned(), found: other.name.clone(), hint })
}

/// Without an identity a first segment may be replaced only if a creation that did not finish left it.
/// One with anything behind its header is somebody's log: of another store, of Apache RocketMQ, or of
/// this one, whose identity was lost.
async fn refuse_log_of_others(options: &Options) -> Result<(), OpenError> {
    let refuse = |found: &Path| lost_identity(options, found);
    let vote = options.dir.join(vote::FILE);
    if fs::exists(&vote).await? {
        let left = VoteFile::open(&options.dir).await;
        if left.is_ok_and(|left| left.vote().generation > 0) {
            return Err(refuse(&vote));
        }
    }
    let first = options.log_dir.join(segment::name(PhysicalOffset(0)));
    if fs::exists(&first).await? {
        let file = File::open(&first, OpenMode::ReadOnly).await?;
        let bytes = file.read_at(0, 2 * BLOCK).await?;
        file.close().await?;
        let blank = bytes.len() == 2 * BLOCK && bytes[BLOCK..].iter().all(|byte| *byte == 0);
        if !blank || SegmentHeader::decode(&bytes).is_err() {
            return Err(refuse(&first));
        }
    }
    for dir in OURS.map(|name| options.dir.join(name)) {
        if fs::exists(&dir).await? && !fs::list(&dir).await?.is_empty() {
            return Err(refuse(&dir));
        }
    }
    Ok(())
}

/// Makes a store. The identity comes last: until it is there the directory counts as empty.
async fn create(options: &Options, first_vote: FirstVote) -> Result<Identity, OpenError> {
    refuse_log_of_others(options).await?;
    for dir in [&options.dir, &options.log_dir] {
        sync_names(dir).await?;
    }
    let identity = Identity::new(options);
    let first = options.log_dir.join(segment::name(PhysicalOffset(0)));
    if fs::exists(&first).await? {
        fs::remove_file(&first).await?;
    }
    let size = options.segment_size;
    provision::found(&options.log_dir, size).await?; // tidies up
    let name = provision::provision(&options.log_dir, size).await?;
    let file = File::open(&name, OpenMode::ReadWrite).await?;
    let header = SegmentHeader {
        store: identity.id,
        base: PhysicalOffset(0),
        index: LogIndex(0),
        size,
        chain: first_chain(identity.id),
    };
    let method = options.file_method();
    let segment = Segment::adopt(&options.log_dir, file, &name, header, method).await?;
    let idle_mark = segment.first_entry();
    segment.file.close().await?;
    let (term, voted_for) = match first_vote {
        FirstVote::Itself => (ALONE, identity.id),
        FirstVote::Nobody => (Term(0), StoreId(0)),
    };
    let elected = first_vote == FirstVote::Itself;
    let purged = Purged::default();
    let vote = Vote {
        term,
        voted_for,
        elected,
        generation: 0,
        idle_mark,
        clean: true,
        purged,
        given_up: 0,
    };
    VoteFile::create(&options.dir, vote).await?;
    // The identity says that all of the store is there, so its name must not be durable before the vote's is.
    fs::sync_dir(&options.dir).await?;
    identity.create(&options.dir).await?;
    Ok(identity)
}

/// Makes the names on the way to a directory durable: an earlier creation, which did not finish, may have
/// made any of them.
async fn sync_names(dir: &Path) -> Result<(), OpenError> {
    let mut next = parent_of(dir);
    while let Some(parent) = next {
        match fs::sync_dir(parent).await {
            // Where we may not even look, or nobody may write, we have made no names.
            Err(error) if makes_no_names(error.kind()) => {}
            synced => synced?,
        }
        next = parent_of(parent).filter(|above| *above != parent);
    }
    Ok(())
}

/// Whether a directory that is synced with this error takes no names from us.
fn makes_no_names(error: ErrorKind) -> bool {
    matches!(error, ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
}

/// Opens the segments, oldest first, and checks that they are this store's. Those that follow each other up to
/// the newest are the log; the ones before it come first in what is returned. Whether some may be missing between
/// them, because a trim has given them up, is for the log to tell.
async fn open_segments(
    options: &Options,
    identity: &Identity,
) -> Result<(Vec<Segment>, Vec<Segment>), OpenError> {
    let mut bases: Vec<_> = fs::list(&options.log_dir)
        .await?
        .iter()
        .filter_map(|entry| segment::base_of(&entry.name))
        .collect();
    bases.sort_unstable();
    let (mut cut_off, mut segments): (Vec<Segment>, Vec<Segment>) = Default::default();
    for base in bases {
        let path = options.log_dir.join(segment::name(base));
        let refuse = |why: String| OpenError::Identity {
            file: path.clone(),
            why,
            remedy: "`mqstore check` tells what is intact; restore the segment from a copy; a store on its own may give up \
                     the log from there (`mqstore repair --cut`); or start with an empty directory (one of a group is then taken in \
                     anew, with `mqadmin replaceMember`)",
        };
        let file = Segment::open_file(&path, options.file_method()).await?;
        let block = match file.read_at(0, BLOCK).await {
            Err(error) if error.is_unreadable() => {
                return Err(refuse(format!("its header is not read: {error}")));
            }
            read => read?,
        };
        let header = match SegmentHeader::decode(&block) {
            Ok(header) => header,
            Err(BadSegment::Version(found)) => {
                let (what, known) = ("a segment", versions::SEGMENT);
                return Err(VersionError { file: path, what, found, known }.into());
            }
            Err(bad) => return Err(refuse(bad.to_string())),
        };
        if header.store != identity.id {
            return Err(refuse(format!(
                "it belongs to store {}, this is {}",
                header.store, identity.id
            )));
        }
        let size = identity.segment_size;
        let expected = segments.last().map_or(base, Segment::end);
        let possible = base >= expected && base.0.is_multiple_of(size);
        if header.base != base || !possible || file.len().await? != size {
            return Err(refuse(format!(
                "the segment at offset {expected} with {size} bytes was due"
            )));
        }
        if base > expected {
            cut_off.append(&mut segments);
        }
        segments.push(Segment { header, file });
    }
    if segments.is_empty() {
        return Err(OpenError::Identity {
            file: options.log_dir.clone(),
            why: "the store has no segments".into(),
            remedy: "set storePathCommitLog to where they are, or start with an empty directory",
        });
    }
    Ok((cut_off, segments))
}
