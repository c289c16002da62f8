//! The log of a member that does not start.

use crate::entry_log::{EntryHead, EntryLog, EntryLogError, EntryReader};
use crate::identity::StoreId;
use crate::options::Options;
use crate::repair::{Misfit, Patch};

/// A log that a start has refused because it is damaged, open for its repair and for nothing else. Where it ends is not known: only
/// what something intact follows is repaired. Dropped, it is closed, and the vote and all but what was repaired are as they were.
pub struct Damaged {
    log: EntryLog,
}

impl Damaged {
    /// Opens the log in `options.dir`.
    ///
    /// # Errors
    /// It cannot be opened; nothing was changed then.
    pub async fn open(options: &Options) -> Result<Self, EntryLogError> {
        Ok(Self { log: EntryLog::open_as_it_is(options).await? })
    }

    /// The store's id.
    #[must_use]
    pub fn id(&self) -> StoreId {
        self.log.id()
    }

    /// Bytes of the largest payload that an entry may have.
    #[must_use]
    pub fn largest_payload(&self) -> usize {
        self.log.largest_payload()
    }

    /// What finds out where it is damaged, and proves what takes the place of that.
    #[must_use]
    pub fn reader(&self) -> EntryReader {
        self.log.reader()
    }

    /// As [`EntryLog::mend`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there.
    pub async fn mend(
        &mut self,
        patch: &Patch,
        number: usize,
        entries: &[(EntryHead, &[u8])],
    ) -> Result<(), Misfit> {
        self.log.mend(patch, number, entries).await
    }
}
