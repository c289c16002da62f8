//! What a simulated file holds at some moment.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::buffer::{BLOCK, offset_in_block};

/// A block, or `None` for one of zeros.
pub(super) type Block = Option<Rc<[u8]>>;

/// How long a file is, and how many of its first blocks have a place on the disk without having been written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) len: u64,
    pub(super) reserved: u64,
}

impl Shape {
    /// Blocks that a file of this length consists of.
    pub(super) fn blocks(self) -> u64 {
        self.len.div_ceil(BLOCK as u64)
    }
}

/// One step from an image to the next.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Write { block: u64, data: Block },
    Shape(Shape),
}

/// Content as of some moment: blocks that were never written are zero.
#[derive(Clone, Default)]
pub(super) struct Image {
    blocks: BTreeMap<u64, Block>,
    pub(super) shape: Shape,
    /// Written blocks that were not reserved.
    unreserved: u64,
}

impl Image {
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Write { block, data } => self.put(*block, data.clone()),
            Change::Shape(shape) => self.reshape(*shape),
        }
    }

    pub(super) fn put(&mut self, block: u64, data: Block) {
        let new = self.blocks.insert(block, data).is_none();
        if new && block >= self.shape.reserved {
            self.unreserved += 1;
        }
    }

    /// Gives the file another shape; what lies beyond the new length is gone.
    pub(super) fn reshape(&mut self, shape: Shape) {
        assert!(shape.reserved <= shape.blocks(), "nothing is reserved beyond the end");
        drop(self.blocks.split_off(&shape.blocks()));
        self.zero_tail(shape.len);
        self.shape = shape;
        let unreserved = self.blocks.range(shape.reserved..).count();
        self.unreserved = u64::try_from(unreserved).expect("a count fits");
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

    /// The bytes of a block, if it has any that are not zero.
    pub(super) fn block(&self, block: u64) -> Option<&Rc<[u8]>> {
        self.blocks.get(&block)?.as_ref()
    }

    /// Whether a write to the block needs space that it does not have yet.
    pub(super) fn lacks(&self, block: u64) -> bool {
        block >= self.shape.reserved && !self.blocks.contains_key(&block)
    }

    /// Bytes on the disk.
    pub(super) fn used(&self) -> u64 {
        (self.shape.reserved + self.unreserved) * BLOCK as u64
    }

    /// Bytes that reserving the first `blocks` blocks would take.
    pub(super) fn cost_of_reserving(&self, blocks: u64) -> u64 {
        let end = blocks.max(self.shape.reserved);
        let written = self.blocks.range(self.shape.reserved..end).count() as u64;
        (end - self.shape.reserved - written) * BLOCK as u64
    }

    /// Copies what lies at `pos` into `into`, at most to the end of the file; the number of bytes.
    pub(super) fn read(&self, pos: u64, into: &mut [u8]) -> usize {
        let left = self.shape.len.saturating_sub(pos);
        let want = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut done = 0;
        while done < want {
            let at = pos + done as u64;
            let inside = offset_in_block(at);
            let n = (BLOCK - inside).min(want - done);
            let target = &mut into[done..done + n];
            match self.block(at / BLOCK as u64) {
                Some(data) => target.copy_from_slice(&data[inside..inside + n]),
                None => target.fill(0),
            }
            done += n;
        }
        done
    }

    /// Flips one bit of a block.
    pub(super) fn flip(&mut self, block: u64, bit: usize) {
        let data = flipped(self.block(block), bit);
        self.put(block, data);
    }
}

/// The block with one bit flipped.
pub(super) fn flipped(data: Option<&Rc<[u8]>>, bit: usize) -> Block {
    assert!(bit < BLOCK * 8);
    let mut bytes = data.map_or_else(|| vec![0; BLOCK], |data| data.to_vec());
    bytes[bit / 8] ^= 1 << (bit % 8);
    Some(bytes.into())
}
