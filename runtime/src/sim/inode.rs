//! A simulated file: what is written, and which of it would survive a power cut.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use super::image::{Block, Change, Image, Shape, flipped};
use super::power::Survival;
use crate::buffer::{BLOCK, Buffer};

#[derive(Default)]
pub(super) struct Inode {
    current: Image,
    durable: Image,
    /// Since the last sync, in order, each with its number.
    unsynced: BTreeMap<u64, Change>,
    next_change: u64,
    /// Writes that were begun and have not happened yet, and where.
    in_flight: BTreeMap<u64, (u64, Rc<Buffer>)>,
    next_flight: u64,
    /// Blocks that cannot be read until they are written again.
    unreadable: BTreeSet<u64>,
}

fn block_of(chunk: &[u8]) -> Block {
    let is_zero = chunk.iter().all(|byte| *byte == 0);
    if is_zero { None } else { Some(Rc::from(chunk)) }
}

/// The blocks that a range of bytes touches.
fn blocks_of(range: Range<u64>) -> Range<u64> {
    range.start / BLOCK as u64..range.end.div_ceil(BLOCK as u64)
}

impl Inode {
    pub(super) fn len(&self) -> u64 {
        self.current.shape.len
    }

    /// Bytes it takes on the disk.
    pub(super) fn used(&self) -> u64 {
        self.current.used()
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
            self.unreadable.remove(&block);
            self.change(Change::Write { block, data: block_of(chunk) });
        }
        self.extend_to(pos + bytes.len() as u64);
    }

    fn extend_to(&mut self, len: u64) {
        if len > self.len() {
            self.change(Change::Shape(Shape { len, ..self.current.shape }));
        }
    }

    /// A write that fails half-way: any of its sectors are written, the file is not extended.
    pub(super) fn write_some(&mut self, pos: u64, bytes: &[u8], survival: &mut Survival<'_>) {
        let first = pos / BLOCK as u64;
        for (block, chunk) in (first..).zip(bytes.chunks_exact(BLOCK)) {
            if block < self.current.shape.blocks() {
                let mixed = survival.mix(self.current.block(block), &block_of(chunk));
                self.change(Change::Write { block, data: mixed });
            }
        }
    }

    /// How many of the blocks of a write can be written when `available` bytes are free: they end at the first that
    /// finds no place.
    pub(super) fn room_for(&self, pos: u64, len: usize, mut available: u64) -> usize {
        let blocks = blocks_of(pos..pos + len as u64);
        let mut fit = 0;
        for block in blocks {
            if self.current.lacks(block) {
                if available < BLOCK as u64 {
                    break;
                }
                available -= BLOCK as u64;
            }
            fit += BLOCK;
        }
        fit
    }

    pub(super) fn set_len(&mut self, len: u64) {
        let mut shape = Shape { len, ..self.current.shape };
        shape.reserved = shape.reserved.min(shape.blocks());
        self.change(Change::Shape(shape));
    }

    /// Bytes that [`Inode::reserve`] would take from the disk.
    pub(super) fn cost_of_reserving(&self, len: u64) -> u64 {
        self.current.cost_of_reserving(len.div_ceil(BLOCK as u64))
    }

    pub(super) fn reserve(&mut self, len: u64) {
        let now = self.current.shape;
        let reserved = len.div_ceil(BLOCK as u64).max(now.reserved);
        let shape = Shape { len: len.max(now.len), reserved };
        if shape != now {
            self.change(Change::Shape(shape));
        }
    }

    /// Copies what lies at `pos` into `into`, at most to the end of the file; the number of bytes. `None`: a block of
    /// the range cannot be read.
    pub(super) fn read(&self, pos: u64, into: &mut [u8]) -> Option<usize> {
        let touched = blocks_of(pos..pos + into.len() as u64);
        if self.unreadable.range(touched).next().is_some() {
            return None;
        }
        Some(self.current.read(pos, into))
    }

    /// All of it, readable or not.
    pub(super) fn content(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(self.len()).expect("it fits into memory")];
        let read = self.current.read(0, &mut bytes);
        assert_eq!(read, bytes.len());
        bytes
    }

    // --- what is durable

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
            assert!(self.durable.shape == self.current.shape, "all is durable, so the shape is");
        }
    }

    /// Makes the changes from `first` on durable, and every change of the shape before them, as a journal does. What
    /// they overwrite or cut is nothing that could still become durable.
    pub(super) fn sync_from(&mut self, first: u64) {
        let own = self.unsynced.split_off(&first);
        let shapes: Vec<(u64, Shape)> = self.unsynced.iter().filter_map(shape_of).collect();
        for (number, shape) in shapes {
            drop(self.unsynced.remove(&number));
            self.durable.reshape(shape);
            self.unsynced.retain(|other, change| match change {
                Change::Write { block, .. } => *other > number || *block < shape.blocks(),
                Change::Shape(_) => true,
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
        assert!(self.durable.shape == self.current.shape, "shapes become durable in order");
    }

    /// A failed sync: the writes below `before` stay readable, and never become durable. Their length may.
    pub(super) fn lose(&mut self, before: u64) {
        self.unsynced
            .retain(|number, change| *number >= before || matches!(change, Change::Shape(_)));
    }

    /// Bytes written that are not durable.
    pub(super) fn unsynced_bytes(&self) -> u64 {
        let writes = self.unsynced.values().filter(|c| matches!(c, Change::Write { .. }));
        writes.count() as u64 * BLOCK as u64
    }

    // --- faults

    /// A write begins; its number, for [`Inode::land`].
    pub(super) fn take_off(&mut self, pos: u64, bytes: &Rc<Buffer>) -> u64 {
        let number = self.next_flight;
        self.next_flight += 1;
        self.in_flight.insert(number, (pos, bytes.clone()));
        number
    }

    /// The write happens, or never will.
    pub(super) fn land(&mut self, number: u64) {
        drop(self.in_flight.remove(&number));
    }

    /// The writes that were begun and have not happened yet, the oldest first. They will not, unless by the caller.
    pub(super) fn take_in_flight(&mut self) -> Vec<(u64, Rc<Buffer>)> {
        std::mem::take(&mut self.in_flight).into_values().collect()
    }

    /// The power goes: of what is not durable and of what is in flight, `survival` decides sector by sector. The order of
    /// writes counts for nothing, except that what was cut off before a write stays cut off.
    pub(super) fn power_cut(&mut self, survival: &mut Survival<'_>) {
        for (pos, bytes) in self.take_in_flight() {
            self.write(pos, &bytes);
        }
        let changes = std::mem::take(&mut self.unsynced);
        let mut shapes_left = survival.count(changes.values().filter(is_shape).count());
        let mut writes = Vec::new();
        for change in changes.into_values() {
            match change {
                Change::Write { block, data } => writes.push((block, data)),
                Change::Shape(shape) if shapes_left > 0 => {
                    shapes_left -= 1;
                    if shape.len < self.durable.shape.len {
                        self.keep_some(&mut writes, survival);
                    }
                    self.durable.reshape(shape);
                }
                Change::Shape(_) => {}
            }
        }
        self.keep_some(&mut writes, survival);
        // Blocks beyond the end that survived belong to a length that did not.
        self.durable.reshape(self.durable.shape);
        self.current = self.durable.clone();
        assert!(self.unsynced.is_empty() && self.in_flight.is_empty());
    }

    fn keep_some(&mut self, writes: &mut Vec<(u64, Block)>, survival: &mut Survival<'_>) {
        survival.shuffle(writes);
        for (block, data) in writes.drain(..) {
            let mixed = survival.mix(self.durable.block(block), &data);
            self.durable.put(block, mixed);
        }
    }

    /// Flips one bit, on the disk and in every copy that could get there.
    pub(super) fn flip_bit(&mut self, bit: u64) {
        let block_bits = BLOCK as u64 * 8;
        let (block, inside) = (bit / block_bits, bit % block_bits);
        assert!(block < self.current.shape.blocks(), "bit {bit} is beyond the file");
        let inside = usize::try_from(inside).expect("a block is small");
        self.current.flip(block, inside);
        if block < self.durable.shape.blocks() {
            self.durable.flip(block, inside);
        }
        for change in self.unsynced.values_mut() {
            match change {
                Change::Write { block: other, data } if *other == block => {
                    *data = flipped(data.as_ref(), inside);
                }
                _ => {}
            }
        }
    }

    /// Lets reads of these bytes fail until their blocks are written again.
    pub(super) fn spoil(&mut self, range: Range<u64>) {
        self.unreadable.extend(blocks_of(range));
    }

    pub(super) fn mend(&mut self, range: Range<u64>) {
        let touched = blocks_of(range);
        self.unreadable.retain(|block| !touched.contains(block));
    }
}

fn is_shape(change: &&Change) -> bool {
    matches!(change, Change::Shape(_))
}

fn shape_of((number, change): (&u64, &Change)) -> Option<(u64, Shape)> {
    match change {
        Change::Shape(shape) => Some((*number, *shape)),
        Change::Write { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;

    fn durable(inode: &Inode, block: u64) -> u8 {
        inode.durable.block(block).map_or(0, |bytes| bytes[0])
    }

    fn current(inode: &Inode, block: u64) -> u8 {
        inode.current.block(block).map_or(0, |bytes| bytes[0])
    }

    /// Inodes made by `make` after a power cut, for many seeds.
    fn after_power_cuts(make: impl Fn() -> Inode) -> impl Iterator<Item = Inode> {
        (0..300).map(move |seed| {
            let mut inode = make();
            let mut rng = SmallRng::seed_from_u64(seed);
            inode.power_cut(&mut Survival::draw(&mut rng));
            inode
        })
    }

    #[test]
    fn a_sync_covers_only_what_came_before_it() {
        let mut inode = Inode::default();
        inode.write(0, &[1; BLOCK]);
        let mark = inode.next_change();
        inode.write(0, &[2; BLOCK]);
        inode.sync(mark);
        assert_eq!((durable(&inode, 0), current(&inode, 0)), (1, 2));
        assert_eq!(inode.unsynced_bytes(), BLOCK as u64);
        inode.sync(inode.next_change());
        assert_eq!(durable(&inode, 0), 2);
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
        assert_eq!((durable(&inode, 0), inode.durable.shape.len), (2, 2 * BLOCK as u64));
        inode.sync(inode.next_change());
        assert_eq!(durable(&inode, 0), 2, "the older one is not applied");
        assert_eq!(durable(&inode, 1), 1);
    }

    #[test]
    fn what_was_cut_off_stays_zero_after_an_extension() {
        let mut inode = Inode::default();
        inode.write(0, &[7; 2 * BLOCK]);
        inode.set_len(100);
        inode.set_len(2 * BLOCK as u64);
        let mut read = vec![1; 2 * BLOCK];
        assert_eq!(inode.read(0, &mut read), Some(2 * BLOCK));
        assert!(read[..100].iter().all(|b| *b == 7));
        assert!(read[100..].iter().all(|b| *b == 0));
    }

    #[test]
    fn a_power_cut_keeps_what_was_synced_and_sectors_of_the_rest() {
        let make = || {
            let mut inode = Inode::default();
            inode.write(0, &[1; 3 * BLOCK]);
            inode.sync(inode.next_change());
            inode.write(BLOCK as u64, &[2; BLOCK]);
            inode.write(BLOCK as u64, &[3; BLOCK]);
            inode.write(3 * BLOCK as u64, &[4; BLOCK]);
            inode
        };
        let (mut second, mut lengths, mut torn) = (BTreeSet::new(), BTreeSet::new(), 0);
        for inode in after_power_cuts(make) {
            assert_eq!((current(&inode, 0), current(&inode, 2)), (1, 1), "what was synced");
            let block = inode.current.block(1).unwrap();
            for sector in block.chunks_exact(super::super::power::SECTOR) {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is not torn");
            }
            torn += u32::from(block.iter().any(|byte| *byte != block[0]));
            second.insert(block[0]);
            lengths.insert(inode.len() / BLOCK as u64);
            assert_eq!(inode.unsynced_bytes(), 0);
        }
        assert_eq!(second, BTreeSet::from([1, 2, 3]), "an older write may win");
        assert_eq!(lengths, BTreeSet::from([3, 4]), "the longer file may be lost");
        assert!(torn > 0);
    }

    #[test]
    fn a_power_cut_does_not_bring_back_what_was_cut_off() {
        let make = || {
            let mut inode = Inode::default();
            inode.write(0, &[1; 4 * BLOCK]);
            inode.sync(inode.next_change());
            inode.write(2 * BLOCK as u64, &[2; BLOCK]);
            inode.set_len(BLOCK as u64);
            inode.set_len(4 * BLOCK as u64);
            inode
        };
        let mut seen = BTreeSet::new();
        for inode in after_power_cuts(make) {
            let cut = inode.len() == BLOCK as u64 || current(&inode, 3) == 0;
            assert!(!cut || current(&inode, 2) == 0, "block 2 is cut off as block 3 is");
            seen.insert((inode.len() / BLOCK as u64, cut));
        }
        assert_eq!(seen, BTreeSet::from([(1, true), (4, false), (4, true)]));
    }

    #[test]
    fn a_lost_write_never_becomes_durable() {
        let mut inode = Inode::default();
        inode.write(0, &[1; BLOCK]);
        inode.sync(inode.next_change());
        inode.write(0, &[2; BLOCK]);
        inode.lose(inode.next_change());
        inode.sync(inode.next_change());
        assert_eq!((durable(&inode, 0), current(&inode, 0)), (1, 2));
    }

    #[test]
    fn space_is_counted_once() {
        let mut inode = Inode::default();
        let block = BLOCK as u64;
        assert_eq!(inode.cost_of_reserving(3 * block), 3 * block);
        inode.write(block, &[1; BLOCK]);
        assert_eq!((inode.used(), inode.cost_of_reserving(3 * block)), (block, 2 * block));
        inode.reserve(3 * block);
        inode.write(0, &[0; BLOCK]);
        assert_eq!((inode.used(), inode.cost_of_reserving(3 * block)), (3 * block, 0));
        assert_eq!(inode.room_for(2 * block, 3 * BLOCK, block), 2 * BLOCK, "one is reserved");
        inode.write(3 * block, &[1; BLOCK]);
        assert_eq!(inode.used(), 4 * block);
        inode.set_len(block);
        assert_eq!(inode.used(), block);
    }

    #[test]
    fn unreadable_blocks_are_healed_by_a_write() {
        let mut inode = Inode::default();
        inode.write(0, &[1; 2 * BLOCK]);
        inode.spoil(BLOCK as u64 + 5..BLOCK as u64 + 6);
        let mut into = vec![0; BLOCK];
        assert_eq!(inode.read(0, &mut into), Some(BLOCK));
        assert_eq!(inode.read(BLOCK as u64, &mut into), None);
        inode.write(BLOCK as u64, &[2; BLOCK]);
        assert_eq!(inode.read(BLOCK as u64, &mut into), Some(BLOCK));
    }
}
