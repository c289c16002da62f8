//! What happens to the store of a history, drawn from its seed.

use std::time::Duration;

use runtime::sim::{Disk, DiskOp, When};

/// Random numbers of the history itself (splitmix64), apart from those of the simulation.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed ^ 0x005E_ED0F_D1CE)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    pub fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    pub fn micros(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_micros(from + self.below(to - from))
    }
}

/// What a history is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// The process dies.
    Kills,
    /// The power goes.
    PowerCuts,
    /// Reads, writes, flushes and names fail.
    Errors,
    /// The disk is full, and then is not.
    FullDisk,
    /// The disk is slow and stands still for seconds.
    SlowDisk,
    /// All of that.
    Everything,
    /// Bits rot and sectors cannot be read.
    Rot,
}

impl Theme {
    pub fn draw(dice: &mut Dice) -> Theme {
        dice.pick(&[
            Theme::Kills,
            Theme::PowerCuts,
            Theme::PowerCuts,
            Theme::Errors,
            Theme::FullDisk,
            Theme::SlowDisk,
            Theme::Everything,
            Theme::Rot,
        ])
    }

    /// Whether calls may fail in such a history.
    pub fn has_failures(self) -> bool {
        matches!(self, Theme::Errors | Theme::FullDisk | Theme::Everything)
    }

    /// Whether the power may go.
    pub fn has_power_cuts(self) -> bool {
        self != Theme::Kills
    }

    /// Plans trouble of this kind on the disk; called at a life's start and now and then in it.
    pub fn plan(self, dice: &mut Dice, disk: &Disk) {
        match self {
            Theme::Kills | Theme::PowerCuts | Theme::Rot => {}
            Theme::Errors => errors(dice, disk),
            Theme::FullDisk => full(dice, disk),
            Theme::SlowDisk => slow(dice, disk),
            Theme::Everything => match dice.below(3) {
                0 => errors(dice, disk),
                1 => full(dice, disk),
                _ => slow(dice, disk),
            },
        }
    }
}

fn errors(dice: &mut Dice, disk: &Disk) {
    let op = dice.pick(&[
        DiskOp::Read,
        DiskOp::Write,
        DiskOp::Write,
        DiskOp::Flush,
        DiskOp::Flush,
        DiskOp::Metadata,
    ]);
    let when = if dice.one_in(4) {
        When::OneIn(20 + dice.below(300))
    } else {
        let most = dice.pick(&[10, 200]);
        When::Nth(1 + dice.below(most))
    };
    disk.fail(op, when);
}

fn full(dice: &mut Dice, disk: &Disk) {
    let room = dice.pick(&[0, 4096, 100_000, 3_000_000, 1 << 36]);
    disk.resize(disk.used() + room);
}

fn slow(dice: &mut Dice, disk: &Disk) {
    if dice.one_in(3) {
        disk.stall(Duration::from_millis(dice.below(5_000)));
    } else {
        disk.slow(dice.pick(&[1, 3, 30, 300]));
    }
}
