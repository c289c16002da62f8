//! Several parts of a segment become one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use model::QueueOffset;

use super::dir::PartDir;
use super::error::{BadPart, PartError};
use super::file::PartFile;
use super::format::Listed;
use super::join::{Join, Joined};
use super::name::Span;
use super::output::{About, Output};
use super::scan::{SCAN_BLOCKS, Scan};
use super::{KeyAt, Packed, QueueKey};
use crate::identity::StoreId;

/// Parts that are merged at once, at most.
pub(crate) const MERGE_MAX_PARTS: usize = 128;
/// Bytes that a merge holds at most beside the fences of its result: two scans of each part are under
/// way at a time.
pub(crate) const MERGE_MAX_MEMORY: usize =
    MERGE_MAX_PARTS * 2 * (SCAN_BLOCKS as usize + 2) * runtime::BLOCK;
const _: () = assert!(MERGE_MAX_MEMORY <= 16 * 1024 * 1024);

/// Work of taking the next key from many parts, for [`super::pace::Pace`].
const HEAP_WORK: u32 = 10;

/// Merges parts that follow each other within one segment, oldest first, into one, which is durable when
/// this returns. They stay; the caller removes them then.
///
/// `complete` is for the last merge of a segment: every queue that there was at its end, sorted, with the
/// offset that its next message gets. The result names all of them, also those without a message here,
/// and forgets all others: their topics were deleted. With `None` the result names what the parts name.
/// A segment with more than [`MERGE_MAX_PARTS`] parts is merged in rounds, the first ones with `None`.
///
/// Works in small slices and small writes, as [`super::write()`] does, and holds at most
/// [`MERGE_MAX_MEMORY`]. Not cancel safe in so far as an unfinished file stays behind.
///
/// # Errors
/// [`PartError::Damaged`] names the part that is damaged, or that does not go with the others or with
/// `complete`; the disk.
///
/// # Panics
/// When the parts do not follow each other, there are none or too many, or `complete` is not sorted.
pub(crate) async fn merge<I>(
    dir: &PartDir,
    store: StoreId,
    parts: &[PartFile],
    complete: Option<I>,
) -> Result<PartFile, PartError>
where
    I: Iterator<Item = (QueueKey, QueueOffset)> + Clone,
{
    assert!(parts.len() <= MERGE_MAX_PARTS, "what is merged at once is bounded");
    let (first, last) = (parts.first().expect("a part"), parts.last().expect("a part"));
    assert!(parts.len() > 1 || complete.is_some(), "a part alone is merged to complete it");
    for pair in parts.windows(2) {
        assert_eq!(pair[0].span().to, pair[1].span().from, "parts follow each other");
        if pair[0].base() != pair[1].base() {
            return Err(pair[1].damaged(BadPart::Segment));
        }
    }
    let span = Span { from: first.span().from, to: last.span().to };
    let times = parts.iter().filter_map(PartFile::times);
    let times = times.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    let about = About { base: first.base(), complete: complete.is_some(), times };
    let len = parts.iter().map(PartFile::len).sum();
    let mut out = Output::create(dir, store, span, len).await?;
    if let Err(error) = fill(&mut out, parts, complete).await {
        out.abandon().await;
        return Err(error);
    }
    out.finish(about).await
}

async fn fill<I>(out: &mut Output, parts: &[PartFile], complete: Option<I>) -> Result<(), PartError>
where
    I: Iterator<Item = (QueueKey, QueueOffset)> + Clone,
{
    let mut last = None;
    for (key, _) in complete.clone().into_iter().flatten() {
        assert!(last.replace(key).is_none_or(|last| last < key), "the queues are sorted");
        out.pace.spend(1).await;
    }
    let units = write_units(out, Join::of(parts, complete.clone()).await?, parts).await?;
    let listed = write_directory(out, Join::of(parts, complete).await?).await?;
    assert_eq!(units, u64::from(listed), "both passes see the same");
    write_keys(out, parts).await
}

async fn write_units<I>(
    out: &mut Output,
    mut queues: Join<'_, I>,
    parts: &[PartFile],
) -> Result<u64, PartError>
where
    I: Iterator<Item = (QueueKey, QueueOffset)>,
{
    let mut scans: Vec<_> = parts.iter().map(Scan::<Packed>::new).collect();
    let mut section = out.units();
    let mut units = Vec::new();
    let mut written = 0_u64;
    while let Some(Joined { key, runs, .. }) = queues.next().await? {
        for (part, run) in runs {
            scans[part].seek(u64::from(run.position));
            let mut left = run.count;
            while left > 0 {
                units.clear();
                left -= scans[part].take(left, &mut units).await?;
                for unit in &units {
                    parts[part].covered(*unit)?;
                }
                section.push_all(&units).await?;
            }
            written += u64::from(run.count);
            if written > u64::from(u32::MAX) {
                return Err(parts[part].damaged(BadPart::Run(key)));
            }
        }
    }
    section.end();
    Ok(written)
}

async fn write_directory<I>(out: &mut Output, mut queues: Join<'_, I>) -> Result<u32, PartError>
where
    I: Iterator<Item = (QueueKey, QueueOffset)>,
{
    let mut section = out.directory();
    let mut position = 0_u32;
    while let Some(Joined { key, first, count, .. }) = queues.next().await? {
        section.push(&Listed { key, first, count, position }).await?;
        position = position.checked_add(count).expect("as many as were just written");
    }
    section.end();
    Ok(position)
}

async fn write_keys(out: &mut Output, parts: &[PartFile]) -> Result<(), PartError> {
    let mut scans: Vec<_> = parts.iter().map(Scan::<KeyAt>::new).collect();
    let mut heads = BinaryHeap::with_capacity(scans.len());
    for (part, scan) in scans.iter_mut().enumerate() {
        heads.extend(scan.next().await?.map(|key| Reverse((key, part))));
    }
    let mut section = out.keys();
    let mut last = None;
    while let Some(Reverse((key, part))) = heads.pop() {
        if !parts[part].header().covers(key.at, 1) {
            return Err(parts[part].damaged(BadPart::Key { at: key.at }));
        }
        if last.replace(key).is_some_and(|last| last >= key) {
            return Err(parts[part].damaged(BadPart::Order("keys")));
        }
        section.push(&key).await?;
        section.spend(HEAP_WORK).await;
        heads.extend(scans[part].next().await?.map(|next| Reverse((next, part))));
    }
    section.end();
    Ok(())
}
