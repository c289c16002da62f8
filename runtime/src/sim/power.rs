//! What survives a power cut, drawn from the seed.

use std::rc::Rc;

use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

use super::image::Block;
use crate::buffer::BLOCK;

/// What a disk writes as a whole, in bytes: after a power cut a sector is old or new.
pub(super) const SECTOR: usize = 512;

/// How much survives, in percent: most bugs show at the ends of the scale, where all but one thing is there or gone.
const SHARES: [u32; 7] = [0, 5, 30, 50, 70, 95, 100];

/// Decides what survives one power cut.
pub(super) struct Survival<'a> {
    rng: &'a mut SmallRng,
    percent: u32,
    /// Blocks survive whole or not at all.
    whole_blocks: bool,
    in_order: bool,
}

impl<'a> Survival<'a> {
    /// Draws the kind of power cut it will be.
    pub(super) fn draw(rng: &'a mut SmallRng) -> Survival<'a> {
        let percent = SHARES[rng.random_range(0..SHARES.len())];
        let (whole_blocks, in_order) = (rng.random_bool(0.5), rng.random_bool(0.5));
        Survival { rng, percent, whole_blocks, in_order }
    }

    /// Whether one thing survives.
    pub(super) fn keeps(&mut self) -> bool {
        self.rng.random_range(0..100) < self.percent
    }

    /// How many of `all` ordered things survive: the first so many.
    pub(super) fn count(&mut self, all: usize) -> usize {
        match self.percent {
            0 => 0,
            100 => all,
            _ => self.rng.random_range(0..=all),
        }
    }

    /// Brings what reaches the disk into the order in which it does.
    pub(super) fn shuffle<T>(&mut self, things: &mut [T]) {
        if !self.in_order {
            things.shuffle(self.rng);
        }
    }

    /// The block after a write of which some sectors got there.
    pub(super) fn mix(&mut self, old: Option<&Rc<[u8]>>, new: &Block) -> Block {
        if self.whole_blocks || self.percent == 0 || self.percent == 100 {
            return if self.keeps() { new.clone() } else { old.cloned() };
        }
        let mut bytes = old.map_or_else(|| vec![0; BLOCK], |data| data.to_vec());
        for at in (0..BLOCK).step_by(SECTOR) {
            if self.keeps() {
                match new {
                    Some(new) => bytes[at..at + SECTOR].copy_from_slice(&new[at..at + SECTOR]),
                    None => bytes[at..at + SECTOR].fill(0),
                }
            }
        }
        Some(bytes.into())
    }
}
