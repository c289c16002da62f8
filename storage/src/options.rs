//! What a store is opened with.

use std::path::PathBuf;
use std::time::Duration;

use runtime::BLOCK;
use runtime::buffer::BUFFER_MAX;

use crate::entry::entry_len;

/// The most bytes of one command.
pub const MAX_COMMAND: usize = 1024 * 1024;
/// The most that [`Options::max_batch`] may be. Beyond it a larger write only makes everybody wait
/// longer.
pub const LARGEST_BATCH: usize = 8 * 1024 * 1024;

/// A segment holds at least this many of the largest entries, so that the rest left over at its end
/// stays small.
pub(crate) const LARGEST_ENTRIES_A_SEGMENT: u64 = 4;

/// The most that [`Options::max_request`] may be: an entry is read and written in one piece.
pub const LARGEST_REQUEST: usize = 256 * 1024 * 1024;
const _: () = assert!(MAX_COMMAND <= LARGEST_BATCH && LARGEST_BATCH <= LARGEST_REQUEST);
const _: () = assert!(LARGEST_REQUEST <= BUFFER_MAX / 2);

/// Bytes that no entry in a segment of this size exceeds, whatever the options were when it was
/// written.
pub(crate) fn largest_entry_in(segment_size: u64) -> u64 {
    let by_segment = (segment_size - BLOCK as u64) / LARGEST_ENTRIES_A_SEGMENT;
    by_segment.min(entry_len(LARGEST_REQUEST) as u64)
}

/// When an append counts as committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// After the flush: it survives a power cut (RocketMQ's `SYNC_FLUSH`).
    Sync,
    /// After the direct write: it survives the death of the process; a flush every `interval` bounds
    /// what a power cut can take (RocketMQ's `ASYNC_FLUSH`).
    Async {
        /// Time between two flushes while something is unflushed.
        interval: Duration,
    },
}

/// How a batch is made durable where its append waits for that ([`Flush::Sync`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlushMethod {
    /// A write, and an fdatasync behind it. The right one for most machines.
    #[default]
    Fdatasync,
    /// A write to a file that was opened with O_DSYNC: a little faster where cores are idle, and much
    /// slower where they are busy.
    Dsync,
}

/// Sizes that are the same for every broker. Tests make them small, so that they come to their edges.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Bytes of log between two checkpoints.
    pub interval: u64,
    /// The furthest that the log is ahead of the newest checkpoint, in bytes, but for one batch; twice that while
    /// the disk is too full for a checkpoint.
    pub furthest: u64,
    /// Bytes by which a file is shortened at a time before it is deleted; at most 4 MiB while messages come and space
    /// is not urgent.
    pub delete_step: u64,
    /// Bytes of files that are kept ready to become segments, but for at least two files and at most eight. On a small
    /// disk less: all shards together keep a 32nd of it at most, but for two files each.
    pub spare_bytes: u64,
}

impl Default for Scale {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            interval: 32 * MIB,
            furthest: 64 * MIB,
            delete_step: 64 * MIB,
            spare_bytes: 256 * MIB,
        }
    }
}

/// What a store is opened with. `shard`, `shards` and `segment_size` are fixed at the first start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the identity, the vote and the lock live; created when missing.
    pub dir: PathBuf,
    /// Where the segments live; created when missing.
    pub log_dir: PathBuf,
    /// Bytes of a segment file: a multiple of 4096, below 4 GiB.
    pub segment_size: u64,
    /// When an append counts as committed.
    pub flush: Flush,
    /// How it is flushed, with [`Flush::Sync`].
    pub method: FlushMethod,
    /// The most bytes of records that share one write, unless a single request is larger; at most
    /// [`LARGEST_BATCH`].
    pub max_batch: usize,
    /// Bytes of written buffers that are kept for readers at the tail.
    pub tail_budget: usize,
    /// Bytes of memory for what was read from the disk, kept for further readers. Views of it that were
    /// given out live on beyond it.
    pub cache_size: usize,
    /// Bytes that may wait for the writer before appends are refused as busy.
    pub max_queued: usize,
    /// The largest request, in bytes of encoded records; at most [`LARGEST_REQUEST`]. Commands may
    /// always have [`MAX_COMMAND`].
    pub max_request: usize,
    /// This shard's number.
    pub shard: u32,
    /// Shards of this broker.
    pub shards: u32,
    /// Not for brokers, which have the default.
    #[doc(hidden)]
    pub scale: Scale,
}

impl Options {
    /// How files of the log are opened.
    pub(crate) fn file_method(&self) -> FlushMethod {
        match self.flush {
            Flush::Sync => self.method,
            Flush::Async { .. } => FlushMethod::Fdatasync,
        }
    }

    /// Bytes of the largest entry.
    pub(crate) fn largest_entry(&self) -> u64 {
        let most = self.max_request.max(self.max_batch).clamp(MAX_COMMAND, LARGEST_REQUEST);
        entry_len(most) as u64
    }

    /// The smallest segment that goes with the other options, in bytes.
    #[must_use]
    pub fn smallest_segment(&self) -> u64 {
        let block = BLOCK as u64;
        (LARGEST_ENTRIES_A_SEGMENT * self.largest_entry()).next_multiple_of(block) + block
    }
}
