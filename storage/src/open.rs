//! Opening a directory as a store: everything that is settled before the log is read.

use std::path::Path;

use model::{LogIndex, PhysicalOffset, Term};
use runtime::fs::DirLock;
use runtime::{BLOCK, File, OpenMode, fs};

use crate::error::OpenError;
use crate::identity::{self, Identity, StoreId};
use crate::log::Log;
use crate::options::Options;
use crate::provision::{self, Spares};
use crate::segment::{self, Segment, SegmentHeader};
use crate::vote::{self, Vote, VoteFile};

const LOCK: &str = "lock";

/// A store whose log has not been read yet.
pub(crate) struct Opened {
    pub identity: Identity,
    pub log: Log,
    pub vote: VoteFile,
    pub spare: bool,
    pub lock: DirLock,
}

/// The chain that the first entry of a store continues: another store's entries never fit.
fn first_chain(store: StoreId) -> u32 {
    crc32c::crc32c(&store.0.to_le_bytes())
}

/// Opens the store in `options.dir`, or makes one if there is nothing.
pub(crate) async fn open(options: &Options) -> Result<Opened, OpenError> {
    check_segment_size(options)?;
    fs::create_dir_all(&options.dir).await?;
    refuse_foreign(options).await?;
    fs::create_dir_all(&options.log_dir).await?;
    let lock = fs::lock_exclusive(options.dir.join(LOCK)).await?;
    let identity = match Identity::load(&options.dir).await? {
        Some(identity) => identity,
        None => create(options).await?,
    };
    identity.check(options)?;
    let segments = open_segments(options, &identity).await?;
    let vote = VoteFile::open(&options.dir).await?;
    let spare = provision::has_spare(&options.log_dir, options.segment_size).await?;
    let log = Log::new(options.log_dir.clone(), options.segment_size, segments);
    Ok(Opened { identity, log, vote, spare, lock })
}

fn check_segment_size(options: &Options) -> Result<(), OpenError> {
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
            || identity::is_leftover(name)
            || log_name.is_some_and(|log| log == name)
    };
    refuse_others(&options.dir, ours).await?;
    if fs::exists(&options.log_dir).await? {
        let ours = |name: &str| {
            name == provision::SPARE
                || name == provision::UNREADY
                || segment::base_of(name) == Some(PhysicalOffset(0))
        };
        refuse_others(&options.log_dir, ours).await?;
    }
    Ok(())
}

async fn refuse_others(dir: &Path, ours: impl Fn(&str) -> bool) -> Result<(), OpenError> {
    let entries = fs::list(dir).await?;
    let Some(other) = entries.iter().find(|entry| !ours(&entry.name)) else {
        return Ok(());
    };
    let apache = ["abort", "commitlog", "consumequeue", "config", "index", "checkpoint"];
    let rocketmq = entries.iter().filter(|entry| apache.contains(&entry.name.as_str())).count() > 1;
    let hint = if rocketmq { ", it looks like a store of Apache RocketMQ" } else { "" };
    Err(OpenError::Foreign { dir: dir.to_owned(), found: other.name.clone(), hint })
}

/// Makes a store. The identity comes last: until it is there the directory counts as empty.
async fn create(options: &Options) -> Result<Identity, OpenError> {
    let identity = Identity::new(options);
    let first = options.log_dir.join(segment::name(PhysicalOffset(0)));
    if fs::exists(&first).await? {
        fs::remove_file(&first).await?;
    }
    let size = options.segment_size;
    if !provision::has_spare(&options.log_dir, size).await? {
        provision::provision(&options.log_dir, size).await?;
    }
    let (file, name) = Spares::new(&options.log_dir, size, true).take().await?;
    let header = SegmentHeader {
        store: identity.id,
        base: PhysicalOffset(0),
        index: LogIndex(0),
        size,
        chain: first_chain(identity.id),
    };
    let segment = Segment::adopt(&options.log_dir, file, &name, header).await?;
    let idle_mark = segment.first_entry();
    segment.file.close().await?;
    let vote =
        Vote { term: Term(1), voted_for: identity.id, generation: 0, idle_mark, clean: true };
    VoteFile::create(&options.dir, vote).await?;
    identity.create(&options.dir).await?;
    Ok(identity)
}

/// Opens the segments, oldest first, and checks that they are this store's and follow each other.
async fn open_segments(options: &Options, identity: &Identity) -> Result<Vec<Segment>, OpenError> {
    let mut bases: Vec<_> = fs::list(&options.log_dir)
        .await?
        .iter()
        .filter_map(|entry| segment::base_of(&entry.name))
        .collect();
    bases.sort_unstable();
    let mut segments: Vec<Segment> = Vec::with_capacity(bases.len());
    for base in bases {
        let path = options.log_dir.join(segment::name(base));
        let refuse = |why: String| OpenError::Identity {
            file: path.clone(),
            why,
            remedy: "restore the segment from a copy or from another replica, or start with an empty directory",
        };
        let file = File::open(&path, OpenMode::ReadWrite).await?;
        let block = file.read_at(0, BLOCK).await?;
        let header = SegmentHeader::decode(&block).map_err(|why| refuse(why.into()))?;
        if header.store != identity.id {
            return Err(refuse(format!(
                "it belongs to store {}, this is {}",
                header.store, identity.id
            )));
        }
        let expected = segments.last().map_or(PhysicalOffset(0), Segment::end);
        if header.base != base || base != expected || file.len().await? != identity.segment_size {
            return Err(refuse(format!(
                "the segment at offset {expected} with {} bytes was due",
                identity.segment_size
            )));
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
    Ok(segments)
}
