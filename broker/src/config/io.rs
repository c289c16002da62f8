//! How the log meets the device, as configured.

use std::time::Duration;

use ::config::Settings;

use super::LoadError;
use super::load::bytes;

/// A segment holds at least this many of the largest writes.
const WRITES_A_SEGMENT: u64 = 4;

/// How a write is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushMethod {
    /// A write, then `fdatasync` (`FDATASYNC`).
    Fdatasync,
    /// Each write is durable by itself (`O_DSYNC`).
    Dsync,
}

/// What a profile fits to a device; see [`PROFILE_KEYS`](super::PROFILE_KEYS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoTuning {
    /// How a write is made durable (`flushMethod`).
    pub flush_method: FlushMethod,
    /// The most bytes of records in one write of the log, unless a single request is larger (`maxBatchBytes`).
    pub max_batch: usize,
    /// Writes of the log that may be under way at a time, 1 or 2 (`writesInFlight`).
    pub writes_in_flight: usize,
    /// How long an executor that has nothing to do looks for work before it sleeps (`busyPollMicros`); zero: not at
    /// all.
    pub busy_poll: Duration,
    /// Memory for reads of old messages, bytes a shard (`blockCacheSize`).
    pub block_cache: usize,
}

impl IoTuning {
    /// What the settings say.
    pub(super) fn of(settings: &Settings) -> Self {
        let flush_method = match settings.one_of("flushMethod") {
            "O_DSYNC" => FlushMethod::Dsync,
            _ => FlushMethod::Fdatasync,
        };
        Self {
            flush_method,
            max_batch: bytes(settings, "maxBatchBytes"),
            writes_in_flight: settings.int("writesInFlight"),
            busy_poll: Duration::from_micros(settings.int("busyPollMicros")),
            block_cache: bytes(settings, "blockCacheSize"),
        }
    }

    /// Refuses writes that do not fit what surrounds them.
    pub(super) fn check(
        &self,
        settings: &Settings,
        segment_size: u64,
        tail_budget: usize,
    ) -> Result<(), LoadError> {
        if self.max_batch as u64 * WRITES_A_SEGMENT > segment_size {
            let remedy =
                "a segment holds at least four of the largest writes: raise it or lower the other";
            return Err(settings
                .contradiction("mappedFileSizeCommitLog", "maxBatchBytes", remedy)
                .into());
        }
        if self.max_batch > tail_budget {
            let remedy =
                "what is written must be able to stay for consumers: raise it or lower the other";
            return Err(settings.contradiction("tailBudget", "maxBatchBytes", remedy).into());
        }
        Ok(())
    }
}
