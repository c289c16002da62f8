//! One thread that writes durably, as a shard does.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::error::IotuneError;
use super::scratch::Scratch;
use super::stats::Tally;
use crate::sys::{Operation, Ring};

/// Bytes of the largest write.
pub const LARGEST: usize = 1 << 20;
/// The most writes in flight.
pub const DEPTH_MAX: u32 = 4;

/// How a write becomes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A write, and an `fdatasync` when it has ended.
    Fdatasync,
    /// A write to a file that was opened with `O_DSYNC`.
    Dsync,
}

impl Method {
    /// Both, in the order of the turns.
    pub const BOTH: [Self; 2] = [Self::Fdatasync, Self::Dsync];

    /// The word for the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fdatasync => "FDATASYNC",
            Self::Dsync => "O_DSYNC",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What writes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Bytes of each, a multiple of 4096.
    pub size: usize,
    /// How many are under way at a time.
    pub depth: u32,
}

/// Where the next write goes.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    next: u64,
    end: u64,
    /// Whether the beginning follows the end.
    again: bool,
}

impl Cursor {
    /// Round and round over a file of `len` bytes.
    pub fn around(len: u64) -> Self {
        Self { next: 0, end: len, again: true }
    }

    /// Once over a file of `len` bytes.
    pub fn once(len: u64) -> Self {
        Self { next: 0, end: len, again: false }
    }

    fn take(&mut self, size: usize) -> Option<u64> {
        let size = size as u64;
        assert!(size <= self.end, "a write fits the file");
        if self.next + size > self.end {
            if !self.again {
                return None;
            }
            self.next = 0;
        }
        let at = self.next;
        self.next += size;
        Some(at)
    }
}

/// When a measurement ends.
pub struct Until<'a> {
    /// Not before this.
    pub time: Instant,
    /// Not before this is set, if it is given: something that goes on beside it.
    pub done: Option<&'a AtomicBool>,
    /// At once when this is set.
    pub stop: &'a AtomicBool,
}

impl<'a> Until<'a> {
    /// After `time`, or at `stop`.
    pub fn after(time: Duration, stop: &'a AtomicBool) -> Self {
        Self { time: Instant::now() + time, done: None, stop }
    }

    fn is_over(&self) -> bool {
        let done = self.done.is_none_or(|done| done.load(Ordering::Acquire));
        self.stop.load(Ordering::Relaxed) || (done && Instant::now() >= self.time)
    }
}

/// Writes to one file by one method.
pub struct Writer {
    ring: Ring,
    method: Method,
    path: std::path::PathBuf,
}

impl Writer {
    /// A writer to `scratch`. Belongs to the thread that makes it.
    ///
    /// # Errors
    /// `File`, `Ring`.
    pub fn new(scratch: &Scratch, method: Method) -> Result<Self, IotuneError> {
        let mut memory = runtime::buffer(LARGEST);
        noise(&mut memory);
        let ring =
            Ring::new(scratch.open(method)?, memory, DEPTH_MAX).map_err(IotuneError::Ring)?;
        Ok(Self { ring, method, path: scratch.path().to_owned() })
    }

    /// How it makes writes durable.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Writes until it is time or `cursor` is at its end, at least once unless it is; each write's latency goes to
    /// `tally`. Nothing is under way when it returns without an error.
    ///
    /// # Errors
    /// `Stopped`, `File`.
    pub fn measure(
        &mut self,
        shape: Shape,
        cursor: &mut Cursor,
        until: &Until<'_>,
        tally: &mut Tally,
    ) -> Result<(), IotuneError> {
        assert!((1..=DEPTH_MAX).contains(&shape.depth) && shape.size <= LARGEST);
        let started = Instant::now();
        let mut starts = [None; DEPTH_MAX as usize];
        for slot in 0..shape.depth {
            self.start(slot, shape, cursor, &mut starts);
        }
        while starts.iter().any(Option::is_some) {
            let ended = self.ring.wait();
            let (slot, operation) = ended.map_err(|source| self.failed(source))?;
            if operation == Operation::Write && self.method == Method::Fdatasync {
                self.ring.flush(slot);
                continue;
            }
            let begun: Instant = starts[slot as usize].take().expect("its write was started");
            tally.record(begun.elapsed(), shape.size);
            if !until.is_over() {
                self.start(slot, shape, cursor, &mut starts);
            }
        }
        tally.spent(started.elapsed());
        if until.stop.load(Ordering::Relaxed) { Err(IotuneError::Stopped) } else { Ok(()) }
    }

    fn start(
        &mut self,
        slot: u32,
        shape: Shape,
        cursor: &mut Cursor,
        starts: &mut [Option<Instant>; DEPTH_MAX as usize],
    ) {
        if let Some(offset) = cursor.take(shape.size) {
            starts[slot as usize] = Some(Instant::now());
            self.ring.write(slot, shape.size, offset);
        }
    }

    fn failed(&self, source: std::io::Error) -> IotuneError {
        super::scratch::failed(&self.path, "a durable write", source)
    }
}

/// Fills `memory` with something that neither a disk nor a host can shorten.
fn noise(memory: &mut [u8]) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for bytes in memory.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.copy_from_slice(&state.to_le_bytes()[..bytes.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_stay_within_their_file() {
        let mut around = Cursor::around(12);
        let taken: Vec<_> = (0..4).map(|_| around.take(5)).collect();
        assert_eq!(taken, [Some(0), Some(5), Some(0), Some(5)]);
        let mut once = Cursor::once(12);
        let taken: Vec<_> = (0..4).map(|_| once.take(5)).collect();
        assert_eq!(taken, [Some(0), Some(5), None, None]);
    }

    #[test]
    fn both_methods_write_at_every_depth() {
        let scratch = Scratch::new(&std::env::temp_dir(), "writer", 2 << 20).unwrap();
        let stop = AtomicBool::new(false);
        for method in Method::BOTH {
            let mut writer = Writer::new(&scratch, method).unwrap();
            for depth in [1, 2, 4] {
                let mut cursor = Cursor::once(scratch.len());
                let mut tally = Tally::new();
                let until = Until::after(Duration::from_secs(60), &stop);
                let shape = Shape { size: 256 << 10, depth };
                writer.measure(shape, &mut cursor, &until, &mut tally).unwrap();
                assert_eq!(tally.stats().unwrap().writes, 8, "the file once, {method} {depth}");
            }
        }
    }

    #[test]
    fn a_wish_to_stop_ends_it_with_nothing_under_way() {
        let scratch = Scratch::new(&std::env::temp_dir(), "stop", 1 << 20).unwrap();
        let mut writer = Writer::new(&scratch, Method::Fdatasync).unwrap();
        let stop = AtomicBool::new(true);
        let mut tally = Tally::new();
        let until = Until::after(Duration::from_secs(60), &stop);
        let shape = Shape { size: 4096, depth: 4 };
        let mut cursor = Cursor::around(scratch.len());
        let ended = writer.measure(shape, &mut cursor, &until, &mut tally);
        assert!(matches!(ended, Err(IotuneError::Stopped)));
        assert_eq!(tally.stats().unwrap().writes, 4);
    }
}
