//! Measurements of disks that were made up, for tests.

use std::time::Duration;

use super::extents::Extents;
use super::grid::{Grid, Measured, points};
use super::model::Model;
use super::run::Measurements;
use super::stats::Stats;
use super::upkeep::Upkeep;
use super::writer::Method;

/// A disk whose latency is exactly fixed + per byte.
pub struct Disk {
    /// Microseconds.
    pub fixed: f64,
    /// Microseconds.
    pub per_byte: f64,
    /// Latency by `O_DSYNC` relative to the other, idle cores.
    pub dsync_idle: f64,
    /// The same on busy cores.
    pub dsync_busy: f64,
    /// Bandwidth with two in flight relative to one.
    pub second: f64,
}

impl Default for Disk {
    fn default() -> Self {
        Self { fixed: 50.0, per_byte: 0.001, dsync_idle: 1.0, dsync_busy: 1.0, second: 1.0 }
    }
}

impl Disk {
    pub fn measurements(&self) -> Measurements {
        let model = Model { fixed: self.fixed, per_byte: self.per_byte };
        let mut grid = Grid::default();
        for (shape, busy) in points() {
            for method in Method::BOTH {
                let slower = match (method, busy) {
                    (Method::Fdatasync, _) => 1.0,
                    (Method::Dsync, false) => self.dsync_idle,
                    (Method::Dsync, true) => self.dsync_busy,
                };
                let latency = model.predict(shape.size) * slower;
                let gain = if shape.depth == 1 { 1.0 } else { self.second };
                let bytes_a_second = shape.size as f64 / (latency * 1e-6) * gain;
                let stats = Stats { bytes_a_second, ..stats(latency) };
                grid.0.push(Measured { shape, busy, method, stats });
            }
        }
        let extents = [4 << 10, 64 << 10].map(|size| {
            let latency = model.predict(size);
            Extents { size, written: stats(latency), unwritten: stats(2.0 * latency) }
        });
        let quiet = stats(50.0);
        let upkeep = Upkeep {
            quiet,
            zeroing: stats(500.0),
            deleting: stats(150.0),
            zeros_a_second: 1e9,
            deletion: Duration::from_millis(7),
            file: 256 << 20,
        };
        Measurements { grid, extents: extents.into(), upkeep, load: Some(0.01) }
    }

    /// The same, with so many writes at each point.
    pub fn of_writes(&self, writes: u64) -> Measurements {
        let mut measured = self.measurements();
        for it in &mut measured.grid.0 {
            it.stats.writes = writes;
        }
        for it in &mut measured.extents {
            (it.written.writes, it.unwritten.writes) = (writes, writes);
        }
        let upkeep = &mut measured.upkeep;
        for stats in [&mut upkeep.quiet, &mut upkeep.zeroing, &mut upkeep.deleting] {
            stats.writes = writes;
        }
        measured
    }
}

fn stats(p50: f64) -> Stats {
    let (p99, p999, max) = (2.0 * p50, 3.0 * p50, 10.0 * p50);
    Stats { writes: 10_000, p50, p99, p999, max, bytes_a_second: 4096.0 / (p50 * 1e-6) }
}
