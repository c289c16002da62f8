//! What a simulated disk does wrong.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;

use super::names::os_error;
use crate::clock::Instant;

/// A kind of operation that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskOp {
    /// A read of a file.
    Read,
    /// A write to a file, also one that is durable when it completes.
    Write,
    /// A sync of a file or of a directory.
    Flush,
    /// Opening, creating, renaming, removing, listing; changing a file's length or reserving space for it.
    Metadata,
}

/// Which operations of a kind fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The so-manieth from now, counted from 1. Once.
    Nth(u64),
    /// Each with a chance of one in so many. Until [`super::Disk::heal`].
    OneIn(u64),
}

#[derive(Debug, Clone, Copy)]
struct Rule {
    op: DiskOp,
    when: When,
}

pub(super) struct Faults {
    rules: Vec<Rule>,
    pub(super) lying: bool,
    pub(super) slowness: u32,
    pub(super) stalled_until: Instant,
    pub(super) reads_stalled_until: Instant,
    pub(super) capacity: u64,
    pub(super) failures: u64,
    /// A directory in which no file can be made, and the error that says so.
    refused: Option<(PathBuf, i32)>,
}

impl Faults {
    pub(super) fn none(capacity: u64) -> Faults {
        Faults {
            rules: Vec::new(),
            lying: false,
            slowness: 1,
            stalled_until: Instant::from_nanos(0),
            reads_stalled_until: Instant::from_nanos(0),
            capacity,
            failures: 0,
            refused: None,
        }
    }

    pub(super) fn plan(&mut self, op: DiskOp, when: When) {
        match when {
            When::Nth(nth) => assert!(nth > 0, "operations are counted from 1"),
            When::OneIn(chances) => assert!(chances > 0, "one in none is no chance"),
        }
        self.rules.push(Rule { op, when });
    }

    pub(super) fn forget_rules(&mut self) {
        self.rules.clear();
        self.refused = None;
    }

    pub(super) fn refuse_new(&mut self, dir: PathBuf, errno: i32) {
        self.refused = Some((dir, errno));
    }

    /// Whether a file may be made at this path.
    pub(super) fn may_create(&self, path: &Path) -> io::Result<()> {
        match &self.refused {
            Some((dir, errno)) if path.parent() == Some(dir) => Err(os_error(*errno)),
            _ => Ok(()),
        }
    }

    /// Whether this operation, which happens now, fails.
    pub(super) fn strikes(&mut self, op: DiskOp, rng: &mut SmallRng) -> bool {
        let mut struck = false;
        self.rules.retain_mut(|rule| match &mut rule.when {
            _ if rule.op != op => true,
            When::Nth(left) => {
                *left -= 1;
                struck |= *left == 0;
                *left > 0
            }
            When::OneIn(chances) => {
                struck |= rng.random_range(0..*chances) == 0;
                true
            }
        });
        self.failures += u64::from(struck);
        struck
    }

    /// Time until reads happen again.
    pub(super) fn reads_stall(&self, now: Instant) -> Duration {
        self.reads_stalled_until.saturating_since(now)
    }

    /// How long something takes that takes `usual` on a disk without faults.
    pub(super) fn latency(&self, now: Instant, usual: Duration) -> Duration {
        let stall =
            if self.stalled_until > now { self.stalled_until - now } else { Duration::ZERO };
        stall + usual * self.slowness
    }
}

pub(super) fn eio() -> io::Error {
    os_error(libc::EIO)
}
