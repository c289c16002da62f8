//! Durable writes by size, depth and method, on idle cores and on busy ones.

use super::busy::Busy;
use super::error::IotuneError;
use super::run::Site;
use super::stats::{Stats, Tally};
use super::writer::{Cursor, Method, Shape, Until, Writer};

/// Sizes to which the model is fitted.
pub const FITTED: [usize; 5] = [4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];
/// Sizes at which its predictions are checked.
pub const HELD_OUT: [usize; 4] = [8 << 10, 32 << 10, 128 << 10, 512 << 10];
/// Writes in flight.
const DEPTHS: [u32; 3] = [1, 2, 4];
/// Turns that each method has at a point.
const TURNS: u32 = 4;

/// One method at one point.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// What the writes looked like.
    pub shape: Shape,
    /// Whether all cores were busy.
    pub busy: bool,
    /// How they became durable.
    pub method: Method,
    /// What came of it.
    pub stats: Stats,
}

/// All points, in the order of size, depth, idle before busy, [`Method::BOTH`].
#[derive(Clone, Debug, Default)]
pub struct Grid(pub Vec<Measured>);

impl Grid {
    /// What came of one point, if it was measured.
    #[must_use]
    pub fn at(&self, size: usize, depth: u32, busy: bool, method: Method) -> Option<Stats> {
        let shape = Shape { size, depth };
        let found =
            self.0.iter().find(|it| (it.shape, it.busy, it.method) == (shape, busy, method));
        found.map(|it| it.stats)
    }
}

/// The points: the sizes that are fitted at every depth, the others where the model speaks about them.
pub fn points() -> Vec<(Shape, bool)> {
    let mut sizes: Vec<usize> = FITTED.into_iter().chain(HELD_OUT).collect();
    sizes.sort_unstable();
    let mut points = Vec::new();
    for size in sizes {
        if HELD_OUT.contains(&size) {
            points.push((Shape { size, depth: 1 }, false));
            continue;
        }
        for depth in DEPTHS {
            points.extend([false, true].map(|busy| (Shape { size, depth }, busy)));
        }
    }
    points
}

/// Measures all points.
///
/// # Errors
/// `Stopped`, `File`, `Ring`, `Thread`.
pub fn measure(site: &Site<'_>) -> Result<Grid, IotuneError> {
    let [first, second] = Method::BOTH;
    let mut writers = [Writer::new(site.written, first)?, Writer::new(site.written, second)?];
    let points = points();
    let mut grid = Grid::default();
    for (at, (shape, busy)) in points.iter().enumerate() {
        let load = if *busy { "busy" } else { "idle" };
        site.tell(&format!(
            "{} of {}: {} KiB, {} in flight, {load} cores",
            at + 1,
            points.len(),
            shape.size >> 10,
            shape.depth
        ));
        let spinning = busy.then(|| Busy::start(site.cores)).transpose()?;
        for (method, stats) in in_turns(site, &mut writers, *shape)? {
            grid.0.push(Measured { shape: *shape, busy: *busy, method, stats });
        }
        drop(spinning);
    }
    Ok(grid)
}

/// One point: each writer in its turn, several times.
fn in_turns(
    site: &Site<'_>,
    writers: &mut [Writer; 2],
    shape: Shape,
) -> Result<Vec<(Method, Stats)>, IotuneError> {
    let mut tallies = [Tally::new(), Tally::new()];
    let mut cursor = Cursor::around(site.written.len());
    for _ in 0..TURNS {
        for (writer, tally) in writers.iter_mut().zip(&mut tallies) {
            let until = Until::after(site.plan.point / TURNS, site.stop);
            writer.measure(shape, &mut cursor, &until, tally)?;
        }
    }
    let measured = writers.iter().zip(&tallies);
    let stats = |tally: &Tally| tally.stats().expect("a turn has at least one write");
    Ok(measured.map(|(writer, tally)| (writer.method(), stats(tally))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_measured_where_it_is_needed() {
        let points = points();
        for size in FITTED {
            for depth in DEPTHS {
                assert!(points.contains(&(Shape { size, depth }, true)), "{size} {depth}");
            }
        }
        for size in HELD_OUT {
            assert!(points.contains(&(Shape { size, depth: 1 }, false)), "{size}");
        }
        assert_eq!(points.len(), FITTED.len() * 6 + HELD_OUT.len());
    }
}
