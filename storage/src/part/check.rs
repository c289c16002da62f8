//! Reading all of a part's file, to see that it is whole.

use super::error::{BadPart, PartError};
use super::file::PartFile;
use super::format::{Item, KeyFence, QueueFence};
use super::pace::Pace;
use super::scan::Scan;
use super::{KeyAt, Packed};

/// Work of looking at one item, for [`Pace`].
const LOOK_WORK: u32 = 2;

impl PartFile {
    /// Reads everything and checks it: every block, the order of queues and keys, that runs follow each
    /// other without gaps, that all messages are within the range, and that what is in memory is what is
    /// in the file. Whether it is what the log says is for the caller to find out. Cancel safe.
    ///
    /// # Errors
    /// [`PartError::Damaged`] names the first thing that is wrong; the disk.
    pub(crate) async fn check(&self) -> Result<(), PartError> {
        if self.read_header_again().await? != *self.header() {
            return Err(self.damaged(BadPart::Changed));
        }
        let mut pace = Pace::default();
        self.check_fences::<QueueFence>(self.queue_fences()).await?;
        self.check_fences::<KeyFence>(self.key_fences()).await?;
        self.check_runs(&mut pace).await?;
        self.check_keys(&mut pace).await
    }

    async fn check_fences<T: Item + PartialEq>(&self, held: &[T]) -> Result<(), PartError> {
        let mut scan = Scan::<T>::new(self);
        for fence in held {
            if scan.next().await?.as_ref() != Some(fence) {
                return Err(self.damaged(BadPart::Changed));
            }
        }
        Ok(())
    }

    async fn check_runs(&self, pace: &mut Pace) -> Result<(), PartError> {
        let mut directory = self.directory();
        let mut units = Scan::<Packed>::new(self);
        let (mut last, mut number) = (None, 0_usize);
        while let Some((key, run)) = directory.next().await? {
            if last.is_some_and(|last| last >= key) {
                return Err(self.damaged(BadPart::Order("queues")));
            }
            last = Some(key);
            self.check_fence(self.queue_fences(), &QueueFence(key), number, "directory")?;
            number += 1;
            if u64::from(run.position) != units.number() {
                return Err(self.damaged(BadPart::Run(key)));
            }
            let mut end = 0;
            for _ in 0..run.count {
                let unit = units.next().await?.ok_or_else(|| self.damaged(BadPart::Run(key)))?;
                let unit = self.covered(unit)?;
                if u64::from(unit.at) < end {
                    return Err(self.damaged(BadPart::Order("messages")));
                }
                end = u64::from(unit.at) + u64::from(unit.size);
                pace.spend(LOOK_WORK).await;
            }
            pace.spend(LOOK_WORK).await;
        }
        match units.next().await? {
            Some(unit) => Err(self.damaged(BadPart::Unit { at: unit.at, size: unit.size })),
            None => Ok(()),
        }
    }

    async fn check_keys(&self, pace: &mut Pace) -> Result<(), PartError> {
        let mut keys = Scan::<KeyAt>::new(self);
        let (mut last, mut number) = (None, 0_usize);
        while let Some(key) = keys.next().await? {
            if last.is_some_and(|last| last >= key) {
                return Err(self.damaged(BadPart::Order("keys")));
            }
            last = Some(key);
            self.check_fence(self.key_fences(), &KeyFence(key), number, "keys")?;
            number += 1;
            if !self.header().covers(key.at, 1) {
                return Err(self.damaged(BadPart::Key { at: key.at }));
            }
            pace.spend(LOOK_WORK).await;
        }
        Ok(())
    }

    /// Checks that item `number`, if it is the first one of a block, is the fence of that block.
    fn check_fence<T: Fence + PartialEq>(
        &self,
        fences: &[T],
        expected: &T,
        number: usize,
        what: &'static str,
    ) -> Result<(), PartError> {
        let fenced =
            !number.is_multiple_of(T::FENCED) || fences.get(number / T::FENCED) == Some(expected);
        if fenced { Ok(()) } else { Err(self.damaged(BadPart::Fences(what))) }
    }
}

/// The first item of a block.
trait Fence {
    /// Items of a block that is fenced off.
    const FENCED: usize;
}

impl Fence for QueueFence {
    const FENCED: usize = super::format::Listed::PER_BLOCK;
}

impl Fence for KeyFence {
    const FENCED: usize = KeyAt::PER_BLOCK;
}
