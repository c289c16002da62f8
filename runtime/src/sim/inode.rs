//! The content of a simulated file: what is written, and which of it would survive a power cut.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::buffer::{BLOCK, offset_in_block};

/// A block, or `None` for one of zeros.
type Block = Option<Rc<[u8]>>;

/// A change that has been made but is not durable.
enum Change {
    Write { block: u64, data: Block },
    Length(u64),
}

/// Content as of some moment: blocks that were never written are zero.
#[derive(Default)]
struct Image {
    blocks: BTreeMap<u64, Block>,
    len: u64,
}

impl Image {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Write { block, data } => {
                self.blocks.insert(*block, data.clone());
            }
            Change::Length(len) => {
                let whole = len.div_ceil(BLOCK as u64);
                drop(self.blocks.split_off(&whole));
                self.zero_tail(*len);
                self.len = *len;
            }
        }
    }

    /// Zeroes what lies beyond `len` in its block: an extension later must not bring it back.
    fn zero_tail(&mut self, len: u64) {
        let inside = offset_in_block(len);
        let block = len / BLOCK as u64;
        if inside == 0 {
            return;
        }
        if let Some(Some(data)) = self.blocks.get_mut(&block) {
            let mut cut = data.to_vec();
            cut[inside..].fill(0);
            *data = cut.into();
        }
    }
}

#[derive(Default)]
pub(super) struct Inode {
    current: Image,
    durable: Image,
    /// Since the last sync, in order, each with its number.
    unsynced: BTreeMap<u64, Change>,
    next_change: u64,
}

impl Inode {
    pub(super) fn len(&self) -> u64 {
        self.current.len
    }

    fn change(&mut self, change: Change) {
        self.current.apply(&change);
        self.unsynced.insert(self.next_change, change);
        self.next_change += 1;
    }

    /// Writes whole blocks; extends the file if they lie beyond its end.
    pub(super) fn write(&mut self, pos: u64, bytes: &[u8]) {
        assert!(pos.is_multiple_of(BLOCK as u64) && bytes.len().is_multiple_of(BLOCK));
        let first = pos / BLOCK as u64;
        for (block, chunk) in (first..).zip(bytes.chunks_exact(BLOCK)) {
            let is_zero = chunk.iter().all(|byte| *byte == 0);
            let data = if is_zero { None } else { Some(Rc::from(chunk)) };
            self.change(Change::Write { block, data });
        }
        let end = pos + bytes.len() as u64;
        if end > self.len() {
            self.change(Change::Length(end));
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.change(Change::Length(len));
    }

    /// Copies what lies at `pos` into `into`, at most to the end of the file; the number of bytes.
    pub(super) fn read(&self, pos: u64, into: &mut [u8]) -> usize {
        let left = self.len().saturating_sub(pos);
        let want = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut done = 0;
        while done < want {
            let at = pos + done as u64;
            let inside = offset_in_block(at);
            let n = (BLOCK - inside).min(want - done);
            let target = &mut into[done..done + n];
            match self.current.blocks.get(&(at / BLOCK as u64)) {
                Some(Some(data)) => target.copy_from_slice(&data[inside..inside + n]),
                _ => target.fill(0),
            }
            done += n;
        }
        done
    }

    /// The number that the next change will get: a sync that starts now covers the ones before.
    pub(super) fn next_change(&self) -> u64 {
        self.next_change
    }

    /// Makes the changes below `before` durable.
    pub(super) fn sync(&mut self, before: u64) {
        let later = self.unsynced.split_off(&before);
        for change in std::mem::replace(&mut self.unsynced, later).values() {
            self.durable.apply(change);
        }
        if self.unsynced.is_empty() {
            assert!(self.durable.len == self.current.len, "all is durable, so the length is");
        }
    }

    /// Makes the changes from `first` on durable, and every change of the length before them, as a journal does. What
    /// they overwrite or cut is nothing that could still become durable.
    pub(super) fn sync_from(&mut self, first: u64) {
        let own = self.unsynced.split_off(&first);
        let lengths: Vec<(u64, u64)> = self.unsynced.iter().filter_map(length_of).collect();
        for (number, len) in lengths {
            let length = self.unsynced.remove(&number).expect("it was just found");
            self.durable.apply(&length);
            let whole = len.div_ceil(BLOCK as u64);
            self.unsynced.retain(|other, change| match change {
                Change::Write { block, .. } => *other > number || *block < whole,
                Change::Length(_) => true,
            });
        }
        for change in own.values() {
            self.durable.apply(change);
            if let Change::Write { block: written, .. } = change {
                self.unsynced.retain(
                    |_, change| !matches!(change, Change::Write { block, .. } if block == written),
                );
            }
        }
        assert!(self.durable.len == self.current.len, "lengths become durable in order");
    }

    /// Bytes written that are not durable.
    pub(super) fn unsynced_bytes(&self) -> u64 {
        let writes = self.unsynced.values().filter(|c| matches!(c, Change::Write { .. }));
        writes.count() as u64 * BLOCK as u64
    }
}

fn length_of((number, change): (&u64, &Change)) -> Option<(u64, u64)> {
    match change {
        Change::Length(len) => Some((*number, *len)),
        Change::Write { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_covers_only_what_came_before_it() {
        let mut inode = Inode::default();
        inode.write(0, &[1; BLOCK]);
        let mark = inode.next_change();
        inode.write(0, &[2; BLOCK]);
        inode.sync(mark);
        assert_eq!(inode.durable.blocks[&0].as_ref().unwrap()[0], 1);
        assert_eq!(inode.current.blocks[&0].as_ref().unwrap()[0], 2);
        assert_eq!(inode.unsynced_bytes(), BLOCK as u64);
        inode.sync(inode.next_change());
        assert_eq!(inode.durable.blocks[&0].as_ref().unwrap()[0], 2);
        assert_eq!(inode.unsynced_bytes(), 0);
    }

    #[test]
    fn a_durable_write_leaves_other_writes_unsynced() {
        let mut inode = Inode::default();
        inode.write(0, &[1; 2 * BLOCK]);
        let first = inode.next_change();
        inode.write(0, &[2; BLOCK]);
        inode.sync_from(first);
        assert_eq!(inode.unsynced_bytes(), BLOCK as u64, "the second block's");
        assert_eq!(inode.durable.blocks[&0].as_ref().unwrap()[0], 2);
        assert_eq!(inode.durable.len, 2 * BLOCK as u64);
        inode.sync(inode.next_change());
        assert_eq!(
            inode.durable.blocks[&0].as_ref().unwrap()[0],
            2,
            "the older one is not applied"
        );
        assert_eq!(inode.durable.blocks[&1].as_ref().unwrap()[0], 1);
    }

    #[test]
    fn what_was_cut_off_stays_zero_after_an_extension() {
        let mut inode = Inode::default();
        inode.write(0, &[7; 2 * BLOCK]);
        inode.set_len(100);
        inode.set_len(2 * BLOCK as u64);
        let mut read = vec![1; 2 * BLOCK];
        assert_eq!(inode.read(0, &mut read), 2 * BLOCK);
        assert!(read[..100].iter().all(|b| *b == 7));
        assert!(read[100..].iter().all(|b| *b == 0));
    }
}
