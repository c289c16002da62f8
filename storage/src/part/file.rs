//! A part in a file.

use std::path::Path;

use model::{PhysicalOffset, QueueOffset, UnixMillis};
use runtime::{BLOCK, File, IoError, OpenMode, Slice};

use super::error::{BadPart, PartError};
use super::format::{
    Item, KeyFence, Label, Listed, Places, QueueFence, Section, item, seed as seed_of,
};
use super::header::{BadHeader, Header};
use super::name::Span;
use super::scan::{Directory, Scan};
use super::{KeyAt, Packed, QueueKey};
use crate::identity::StoreId;

/// Blocks that one read has at most.
pub(crate) const READ_BLOCKS: u32 = 32;

/// A queue's messages in one part's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunAt {
    /// Offset of its first message here, or of its next one if there is none.
    pub first: QueueOffset,
    /// Messages here.
    pub count: u32,
    /// Units before its first one in the file.
    pub position: u32,
}

impl RunAt {
    /// The offset behind the last message here.
    pub(crate) fn end(&self) -> QueueOffset {
        self.first.plus(u64::from(self.count))
    }
}

/// An open file of a part. In memory are the first queue of every block of its directory and the first
/// key of every block of keys, so that a look-up reads one block. All methods that read are cancel safe.
#[derive(Debug)]
pub(crate) struct PartFile {
    file: File,
    header: Header,
    places: Places,
    /// Bytes of the file. What follows the part's is of an older one, and never read.
    file_len: u64,
    seed: u32,
    queue_fences: Vec<QueueFence>,
    key_fences: Vec<KeyFence>,
}

impl PartFile {
    /// Opens the part at `path` of the store `store`; reads its header and its fences.
    ///
    /// # Errors
    /// See [`PartError`].
    pub(crate) async fn open(path: &Path, store: StoreId) -> Result<Self, PartError> {
        let damaged = |why| PartError::Damaged { file: path.to_owned(), why };
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let span = Span::of_name(name).ok_or_else(|| damaged(BadPart::Name))?;
        let file = File::open(path, OpenMode::ReadOnly).await?;
        let header = read_header(&file, span).await?;
        if header.store != store {
            let (file, found) = (path.to_owned(), header.store);
            return Err(PartError::Foreign { file, found, expected: store });
        }
        let places = header.places().ok_or_else(|| damaged(BadPart::Header))?;
        let (found, expected) = (file.len().await?, u64::from(places.blocks) * BLOCK as u64);
        if found < expected {
            return Err(damaged(BadPart::Length { found, expected }));
        }
        let seed = seed_of(store, span);
        let (queue_fences, key_fences) = (Vec::new(), Vec::new());
        let mut part =
            Self { file, header, places, file_len: found, seed, queue_fences, key_fences };
        part.queue_fences = part.read_fences().await?;
        part.key_fences = part.read_fences().await?;
        if !part.queue_fences.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(part.damaged(BadPart::Order("queue fences")));
        }
        if !part.key_fences.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(part.damaged(BadPart::Order("key fences")));
        }
        Ok(part)
    }

    async fn read_fences<T: Item>(&self) -> Result<Vec<T>, PartError> {
        // The length of the file was checked, so that this is bounded by what is there.
        let mut fences = Vec::new();
        let mut scan = Scan::<T>::new(self);
        while let Some(fence) = scan.next().await? {
            fences.push(fence);
        }
        Ok(fences)
    }

    /// The range of the log that it covers.
    pub(crate) fn span(&self) -> Span {
        self.header.span
    }

    /// The segment's first byte.
    pub(crate) fn base(&self) -> PhysicalOffset {
        self.header.base
    }

    /// Whether its directory names every queue that there was at the end of its segment.
    pub(crate) fn is_complete(&self) -> bool {
        self.header.complete
    }

    /// Messages in it.
    pub(crate) fn units_total(&self) -> u64 {
        self.header.counts.units
    }

    /// Queues in its directory.
    pub(crate) fn queues(&self) -> u64 {
        self.header.counts.queues
    }

    /// Bytes of the file, those included that an older part has left in it.
    pub(super) fn file_len(&self) -> u64 {
        self.file_len
    }

    /// Closes the file.
    pub(super) async fn close(self) -> Result<(), IoError> {
        self.file.close().await
    }

    /// Bytes of the part.
    pub(crate) fn len(&self) -> u64 {
        u64::from(self.places.blocks) * BLOCK as u64
    }

    /// The oldest and the newest store time of its messages; of all that were ever in it, if topics were
    /// deleted since.
    pub(crate) fn times(&self) -> Option<(UnixMillis, UnixMillis)> {
        self.header.times
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn queue_fences(&self) -> &[QueueFence] {
        &self.queue_fences
    }

    pub(super) fn key_fences(&self) -> &[KeyFence] {
        &self.key_fences
    }

    pub(super) fn section<T: Item>(&self) -> Section {
        self.places.section::<T>()
    }

    pub(super) fn damaged(&self, why: BadPart) -> PartError {
        PartError::Damaged { file: self.file.path().to_owned(), why }
    }

    /// Reads `count` blocks of a section from its block `first` on, and checks each. The only way in
    /// which anything behind the header is read.
    pub(super) async fn blocks<T: Item>(&self, first: u64, count: u32) -> Result<Slice, PartError> {
        assert!(count > 0 && count <= READ_BLOCKS, "reads are small");
        let Section { at, items } = self.section::<T>();
        let per_block = T::PER_BLOCK as u64;
        assert!(first + u64::from(count) <= items.div_ceil(per_block), "a section has an end");
        let number = at + u32::try_from(first).expect("a file's blocks are counted with 32 bits");
        let len = count as usize * BLOCK;
        let bytes = self.file.read_at(u64::from(number) * BLOCK as u64, len).await?;
        if bytes.len() < len {
            let (found, expected) = (self.file.len().await?, self.len());
            return Err(self.damaged(BadPart::Length { found, expected }));
        }
        for (block, bytes) in (0..count).zip(bytes.chunks_exact(BLOCK)) {
            let before = (first + u64::from(block)) * per_block;
            let items = u32::try_from((items - before).min(per_block)).expect("a block is small");
            let label = Label { kind: T::KIND, number: number + block, items };
            label.check(bytes, self.seed).map_err(|why| self.damaged(why))?;
        }
        Ok(bytes)
    }

    /// The items of block `block` of a section.
    async fn items<T: Item>(&self, block: u64) -> Result<Vec<T>, PartError> {
        let bytes = self.blocks::<T>(block, 1).await?;
        let before = block * T::PER_BLOCK as u64;
        let left = self.section::<T>().items - before;
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(T::PER_BLOCK);
        Ok((0..count).map(|at| item(&bytes, at)).collect())
    }

    /// Checks that a queue of the directory leads to units that are there.
    pub(super) fn run_at(&self, listed: &Listed) -> Result<RunAt, PartError> {
        let Listed { key, first, count, position } = *listed;
        let units = u64::from(position) + u64::from(count);
        let counted = first.0.checked_add(u64::from(count)).is_some();
        if !counted || units > self.header.counts.units {
            return Err(self.damaged(BadPart::Run(key)));
        }
        Ok(RunAt { first, count, position })
    }

    /// The messages of a queue; `None` when it is not in the directory. Reads one block at most.
    ///
    /// # Errors
    /// [`PartError::Damaged`], and the disk.
    pub(crate) async fn run(&self, key: &QueueKey) -> Result<Option<RunAt>, PartError> {
        let Some(block) = self.queue_fences.partition_point(|fence| fence.0 <= *key).checked_sub(1)
        else {
            return Ok(None);
        };
        let listed = self.items::<Listed>(block as u64).await?;
        match listed.binary_search_by_key(key, |listed| listed.key) {
            Ok(at) => self.run_at(&listed[at]).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Messages of a run of this file, without the first `skip`: at most `max`, and at most as many as
    /// are in [`READ_BLOCKS`] blocks, but at least one if there is one. One read.
    ///
    /// # Errors
    /// [`PartError::Damaged`], and the disk.
    pub(crate) async fn units(
        &self,
        run: &RunAt,
        skip: u32,
        max: usize,
    ) -> Result<Vec<Packed>, PartError> {
        let per_block = Packed::PER_BLOCK as u64;
        let begin = u64::from(run.position) + u64::from(skip);
        let end = u64::from(run.position) + u64::from(run.count);
        assert!(end <= self.header.counts.units, "a run is of the file that it was found in");
        let first = begin / per_block;
        let end = end.min((first + u64::from(READ_BLOCKS)) * per_block);
        let end = end.min(begin.saturating_add(max as u64));
        if begin >= end {
            return Ok(Vec::new());
        }
        let blocks = u32::try_from(end.div_ceil(per_block) - first).expect("a read is small");
        let bytes = self.blocks::<Packed>(first, blocks).await?;
        let mut units = Vec::with_capacity(usize::try_from(end - begin).expect("a read is small"));
        for at in begin..end {
            let block = usize::try_from(at / per_block - first).expect("within the read");
            let at = usize::try_from(at % per_block).expect("within a block");
            let unit = item::<Packed>(&bytes[block * BLOCK..][..BLOCK], at);
            units.push(self.covered(unit)?);
        }
        Ok(units)
    }

    /// Checks that a unit is within the range of the file.
    pub(super) fn covered(&self, unit: Packed) -> Result<Packed, PartError> {
        let Packed { at, size, .. } = unit;
        if self.header.covers(at, size) {
            Ok(unit)
        } else {
            Err(self.damaged(BadPart::Unit { at, size }))
        }
    }

    /// Where messages begin that have a key of this hash: of those below `below` the newest `limit`,
    /// each once, newest last. To go on, pass the first of them as `below`. Reads one block, and as many
    /// more as that many keys fill.
    ///
    /// # Errors
    /// [`PartError::Damaged`], and the disk.
    pub(crate) async fn positions(
        &self,
        hash: u32,
        below: u32,
        limit: usize,
    ) -> Result<Vec<u32>, PartError> {
        let end = KeyAt { hash, at: below };
        let mut blocks = self.key_fences.partition_point(|fence| fence.0 < end);
        let mut found = Vec::new();
        while blocks > 0 && found.len() < limit {
            blocks -= 1;
            let keys = self.items::<KeyAt>(blocks as u64).await?;
            let before = &keys[..keys.partition_point(|key| *key < end)];
            let same = before.iter().rev().take_while(|key| key.hash == hash);
            found.extend(same.map(|key| key.at).take(limit - found.len()));
            if keys.first().is_none_or(|first| first.hash != hash) {
                break;
            }
        }
        if let Some(at) = found.iter().find(|at| !self.header.covers(**at, 1)) {
            return Err(self.damaged(BadPart::Key { at: *at }));
        }
        found.reverse();
        Ok(found)
    }

    /// All queues in order, in reads of at most [`READ_BLOCKS`] blocks.
    pub(crate) fn directory(&self) -> Directory<'_> {
        Directory::new(self)
    }

    /// Closes the file and removes it. The removal is not durable yet; a file that comes back is found
    /// by [`super::list`].
    ///
    /// # Errors
    /// The disk.
    #[cfg(test)]
    pub(crate) async fn remove(self) -> Result<(), IoError> {
        let path = self.file.path().to_owned();
        self.file.close().await?;
        runtime::fs::remove_file(&path).await
    }

    /// Reads the header again.
    pub(super) async fn read_header_again(&self) -> Result<Header, PartError> {
        read_header(&self.file, self.header.span).await
    }
}

async fn read_header(file: &File, span: Span) -> Result<Header, PartError> {
    let path = || file.path().to_owned();
    let block = file.read_at(0, BLOCK).await?;
    if block.len() < BLOCK {
        let (found, expected) = (block.len() as u64, BLOCK as u64);
        return Err(PartError::Damaged { file: path(), why: BadPart::Length { found, expected } });
    }
    Header::decode(&block, span).map_err(|why| match why {
        BadHeader::Damaged(why) => PartError::Damaged { file: path(), why },
        BadHeader::Version(found) => PartError::Version { file: path(), found },
    })
}
