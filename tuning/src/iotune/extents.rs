//! Blocks that were written before against blocks that are only reserved.

use super::error::IotuneError;
use super::run::Site;
use super::scratch::Scratch;
use super::stats::{Stats, Tally};
use super::writer::{Cursor, Method, Shape, Until, Writer};

/// Sizes that are compared.
const SIZES: [usize; 2] = [4 << 10, 64 << 10];
/// Turns of each.
const TURNS: u32 = 4;

/// What the first write to a reserved block costs beyond a write to one that was written before.
#[derive(Clone, Copy, Debug)]
pub struct Extents {
    /// Bytes of a write.
    pub size: usize,
    /// Blocks that were written before.
    pub written: Stats,
    /// Blocks that were reserved with `fallocate` and never written.
    pub unwritten: Stats,
}

/// Measures it, one write in flight, with `FDATASYNC`. Needs a second file of the full size.
///
/// # Errors
/// `Stopped`, `File`, `Ring`.
pub fn measure(site: &Site<'_>) -> Result<Vec<Extents>, IotuneError> {
    site.tell("blocks that were never written");
    let fresh = Scratch::new(&site.plan.dir, "fresh", site.plan.size)?;
    let mut over = Writer::new(site.written, Method::Fdatasync)?;
    let mut into = Writer::new(&fresh, Method::Fdatasync)?;
    // Every block is new once only.
    let mut new_blocks = Cursor::once(fresh.len());
    let mut found = Vec::new();
    for size in SIZES {
        let shape = Shape { size, depth: 1 };
        let (mut written, mut unwritten) = (Tally::new(), Tally::new());
        let mut old_blocks = Cursor::around(site.written.len());
        for _ in 0..TURNS {
            let turn = site.plan.point / TURNS;
            over.measure(shape, &mut old_blocks, &Until::after(turn, site.stop), &mut written)?;
            into.measure(shape, &mut new_blocks, &Until::after(turn, site.stop), &mut unwritten)?;
        }
        // On a disk so fast that no new block was left for this size there is nothing to compare.
        if let (Some(written), Some(unwritten)) = (written.stats(), unwritten.stats()) {
            found.push(Extents { size, written, unwritten });
        }
    }
    Ok(found)
}
