//! From memory to a file.

use runtime::{BLOCK, IoError};

use super::dir::PartDir;
use super::error::PartError;
use super::file::PartFile;
use super::format::{Counts, Listed, Places};
use super::growing::{Frozen, RUN_WORK};
use super::output::{About, Output};
use super::pace::Pace;
use super::sorted::{CHUNK, Sorted};
use super::{KeyAt, QueueKey};
use crate::identity::StoreId;

/// Work of taking one item out of sorted chunks, for [`Pace`].
const MERGE_WORK: u32 = 8;

/// Writes a part to a file in `dir`; it is durable when this returns. A file of the same name is
/// replaced. Takes its work in slices of about a tenth of a millisecond and writes at most 128 KiB at
/// once. Beside the part it needs memory for its directory and a copy of its keys. Not cancel safe in so
/// far as an unfinished file stays behind; the next start removes it, or takes it for an old one.
///
/// # Errors
/// The disk; [`PartError::Damaged`] when what was written is not what is read back. The part may be
/// written again.
pub(crate) async fn write(
    dir: &PartDir,
    store: StoreId,
    frozen: &Frozen,
) -> Result<PartFile, PartError> {
    let mut out = Output::create(dir, store, frozen.span(), len_of(frozen)).await?;
    if let Err(error) = fill(&mut out, frozen).await {
        out.abandon().await;
        return Err(error.into());
    }
    out.finish(About { base: frozen.base(), complete: false, times: frozen.times() }).await
}

/// Bytes of the file, at most.
fn len_of(frozen: &Frozen) -> u64 {
    let keys = frozen.keys().iter().map(Vec::len).sum::<usize>();
    let (units, queues) = (frozen.units() as u64, frozen.queues() as u64);
    let places = Places::of(&Counts { units, queues, keys: keys as u64 });
    places.map_or(0, |places| u64::from(places.blocks) * BLOCK as u64)
}

async fn fill(out: &mut Output, frozen: &Frozen) -> Result<(), IoError> {
    let queues = sorted_queues(frozen, &mut out.pace).await;
    let mut directory = Vec::with_capacity(frozen.queues());
    let mut units = out.units();
    let mut position = 0;
    for key in queues {
        let (first, run) = frozen.run(&key).expect("it was just listed");
        let count = u32::try_from(run.len()).expect("a part is small");
        directory.push(Listed { key, first, count, position });
        position += count;
        units.spend(RUN_WORK).await;
        units.push_all(run).await?;
    }
    units.end();
    assert_eq!(position as usize, frozen.units(), "every message is written once");
    write_directory(out, &directory).await?;
    write_keys(out, frozen).await
}

async fn sorted_queues(frozen: &Frozen, pace: &mut Pace) -> Sorted<QueueKey> {
    let mut chunks = Vec::new();
    let mut chunk = Vec::with_capacity(CHUNK.min(frozen.queues()));
    for (key, _, count) in frozen.runs() {
        assert!(count > 0, "a queue is here because a message of it is");
        chunk.push(key);
        if chunk.len() == CHUNK {
            chunks.push(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK)));
        }
        pace.spend(RUN_WORK).await;
    }
    chunks.push(chunk);
    Sorted::of(chunks, pace).await
}

async fn write_directory(out: &mut Output, directory: &[Listed]) -> Result<(), IoError> {
    let mut section = out.directory();
    let mut last = None;
    for listed in directory {
        assert!(last.replace(listed.key) < Some(listed.key), "the directory is sorted");
        section.push(listed).await?;
    }
    section.end();
    Ok(())
}

async fn write_keys(out: &mut Output, frozen: &Frozen) -> Result<(), IoError> {
    let mut chunks = Vec::with_capacity(frozen.keys().len());
    for chunk in frozen.keys() {
        chunks.push(chunk.clone());
        out.pace.spend(u32::try_from(chunk.len() / 8).expect("a chunk is small")).await;
    }
    let sorted = Sorted::of(chunks, &mut out.pace).await;
    let mut section = out.keys();
    let mut last: Option<KeyAt> = None;
    for key in sorted {
        section.spend(MERGE_WORK).await;
        if last.replace(key) != Some(key) {
            section.push(&key).await?; // a message may have a key twice
        }
    }
    section.end();
    Ok(())
}
