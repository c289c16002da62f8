//! Reading a section from one end to the other.

use std::marker::PhantomData;

use runtime::{BLOCK, Slice};

use super::QueueKey;
use super::error::PartError;
use super::file::{PartFile, RunAt};
use super::format::{Item, Listed, item};

/// Blocks of one read of a scan: many scans are under way in a merge.
pub(crate) const SCAN_BLOCKS: u32 = 8;

/// A scan over the items of one kind in a file. Holds [`SCAN_BLOCKS`] blocks.
pub(super) struct Scan<'a, T> {
    part: &'a PartFile,
    /// The number of the next item.
    next: u64,
    items: u64,
    window: Slice,
    /// The first item in the window, and the first one behind it.
    held: (u64, u64),
    of: PhantomData<T>,
}

impl<'a, T: Item> Scan<'a, T> {
    pub(super) fn new(part: &'a PartFile) -> Self {
        let items = part.section::<T>().items;
        Self { part, next: 0, items, window: Slice::empty(), held: (0, 0), of: PhantomData }
    }

    /// The number of the next item.
    pub(super) fn number(&self) -> u64 {
        self.next
    }

    /// Goes on at item `number`, which is not behind the end.
    pub(super) fn seek(&mut self, number: u64) {
        assert!(number <= self.items, "a section has an end");
        self.next = number;
    }

    /// The next item; `None` at the end of the section. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<T>, PartError> {
        if self.next >= self.items {
            return Ok(None);
        }
        self.look().await?;
        let at = self.at();
        let block = &self.window[at / T::PER_BLOCK * BLOCK..][..BLOCK];
        self.next += 1;
        Ok(Some(item(block, at % T::PER_BLOCK)))
    }

    /// Adds the next items to `to`: as many as come at once, `most` at most, and one at least. There must be as many.
    /// Cancel safe.
    pub(super) async fn take(&mut self, most: u32, to: &mut Vec<T>) -> Result<u32, PartError> {
        assert!(most > 0 && self.next + u64::from(most) <= self.items, "they are in the section");
        self.look().await?;
        let at = self.at();
        let block = &self.window[at / T::PER_BLOCK * BLOCK..][..BLOCK];
        let first = at % T::PER_BLOCK;
        let left = u32::try_from(T::PER_BLOCK - first).expect("a block is small");
        let taken = left.min(most);
        to.extend((first..first + taken as usize).map(|at| item::<T>(block, at)));
        self.next += u64::from(taken);
        Ok(taken)
    }

    /// Where in the window the next item is.
    fn at(&self) -> usize {
        usize::try_from(self.next - self.held.0).expect("within the window")
    }

    /// Reads the next item's window, unless it is there.
    async fn look(&mut self) -> Result<(), PartError> {
        let per_block = T::PER_BLOCK as u64;
        if self.next < self.held.0 || self.next >= self.held.1 {
            let first = self.next / per_block;
            let left = self.items.div_ceil(per_block) - first;
            let count = u32::try_from(left).unwrap_or(u32::MAX).min(SCAN_BLOCKS);
            self.window = self.part.blocks::<T>(first, count).await?;
            self.held = (first * per_block, (first + u64::from(count)) * per_block);
        }
        Ok(())
    }
}

/// The queues of a file, in order.
pub(crate) struct Directory<'a> {
    part: &'a PartFile,
    scan: Scan<'a, Listed>,
}

impl<'a> Directory<'a> {
    pub(super) fn new(part: &'a PartFile) -> Self {
        Self { part, scan: Scan::new(part) }
    }

    /// The next queue; `None` at the end. Cancel safe.
    ///
    /// # Errors
    /// [`PartError::Damaged`], and the disk.
    pub(crate) async fn next(&mut self) -> Result<Option<(QueueKey, RunAt)>, PartError> {
        match self.scan.next().await? {
            Some(listed) => Ok(Some((listed.key, self.part.run_at(&listed)?))),
            None => Ok(None),
        }
    }
}
