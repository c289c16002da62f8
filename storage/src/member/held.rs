//! What trims have given up, and the group may still need: a follower that is behind is sent entries, as long as the group
//! has not purged them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use model::{LogIndex, PhysicalOffset};
use runtime::channel::Notify;

use super::staging::{self, Reserved};
use crate::error::StoreError;
use crate::part::PartFile;
use crate::store::{Inner, Store};
use crate::trim;

/// The beginning of the log that one trim has given up.
struct Given {
    to: PhysicalOffset,
    /// Index of the first entry that stays.
    index: LogIndex,
    parts: Vec<Rc<PartFile>>,
}

/// Trims whose files wait for the group, oldest first.
#[derive(Default)]
pub(crate) struct Held {
    given: RefCell<VecDeque<Given>>,
    news: Notify,
}

impl Held {
    /// The log before `to`, where a segment begins, is given up. If it is gone already only the `parts` go, at once.
    pub(crate) fn hold(&self, inner: &Inner, to: PhysicalOffset, parts: Vec<Rc<PartFile>>) {
        if to <= inner.log.oldest_base() {
            // A file system may bring back the parts of a trim whose segments are gone for good.
            if !parts.is_empty() {
                trim::give_up(inner, to, parts);
            }
            return;
        }
        let segment = inner.log.at(to).expect("a trim ends where the log goes on");
        assert_eq!(segment.header.base, to, "a trim ends where a segment begins");
        self.given.borrow_mut().push_back(Given { to, index: segment.header.index, parts });
        self.news.notify_all();
    }

    /// Bytes of segments that are held.
    pub(crate) fn bytes(&self, inner: &Inner) -> u64 {
        let given = self.given.borrow();
        given.back().map_or(0, |given| given.to.0.saturating_sub(inner.log.oldest_base().0))
    }

    /// Index of the first entry that no trim has given up; 0 if nothing is held.
    fn index(&self) -> LogIndex {
        self.given.borrow().back().map_or(LogIndex(0), |given| given.index)
    }

    fn take_before(&self, index: LogIndex) -> Option<Given> {
        self.given.borrow_mut().pop_front_if(|given| given.index <= index)
    }
}

/// What stands for the beginning of the log that a trim has given up: the state that it came to.
#[derive(Debug)]
pub struct StoreSnapshot {
    /// Index of the first entry behind it.
    pub next: LogIndex,
    /// Term of the entry before that.
    pub term: model::Term,
    /// The entry that says who belongs to the group: its index, its term, and its payload.
    pub group: (LogIndex, model::Term, Vec<u8>),
    /// A checkpoint, as this store has it.
    pub bytes: Vec<u8>,
}

impl Store {
    /// Waits until entries before an index beyond `purged` are given up, in a member of a group; that index. Cancel safe.
    pub async fn given_up(&self, purged: LogIndex) -> LogIndex {
        let Some(held) = &self.inner.held else { return std::future::pending().await };
        loop {
            let news = held.news.notified();
            let index = held.index();
            if index > purged {
                return index;
            }
            news.await;
        }
    }

    /// The group needs entries before `purged` no more: the files of those that were given up go.
    pub fn release(&self, purged: LogIndex) {
        let Some(held) = &self.inner.held else { return };
        while let Some(Given { to, parts, .. }) = held.take_before(purged) {
            trim::give_up(&self.inner, to, parts);
        }
    }

    /// What stands for all that was trimmed, or for more of the log if the checkpoint where it begins is damaged; `None` if
    /// nothing was trimmed.
    ///
    /// # Errors
    /// No checkpoint that could stand for it can be read.
    pub async fn snapshot(&self) -> Result<Option<StoreSnapshot>, StoreError> {
        if self.inner.index.borrow().trimmed_to() == PhysicalOffset(0) {
            return Ok(None);
        }
        let checkpoint = trim::oldest_beginning(&self.inner).await?;
        let bytes = self.inner.checkpoints.encode(&checkpoint).await;
        let position = checkpoint.position;
        let group = checkpoint.membership.into_entry();
        Ok(Some(StoreSnapshot { next: position.index, term: position.term, group, bytes }))
    }

    /// Takes the space on the disk for a snapshot of so many bytes that is to take the place of the log
    /// ([`Applier::stage_snapshot`](super::Applier::stage_snapshot)), so that it can be refused where there is none.
    ///
    /// # Errors
    /// There is none, or the disk failed; none is taken then. The text says why. A flush that failed is the store's end as well.
    pub async fn reserve_for_snapshot(&self, len: usize) -> Result<Reserved, String> {
        let reserved = staging::reserve(&self.inner.checkpoints, len).await;
        reserved.map_err(|error| self.inner.told(error))
    }
}
