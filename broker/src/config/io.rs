//! How the log meets the device, as configured.

use std::time::Duration;

use ::config::Settings;
pub use storage::FlushMethod;
use storage::Options;

use super::LoadError;
use super::load::bytes;

/// What a profile fits to a device; see [`PROFILE_KEYS`](super::PROFILE_KEYS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoTuning {
    /// How a write is made durable (`flushMethod`).
    pub flush_method: FlushMethod,
    /// The most bytes of records in one write of the log, unless a single request is larger (`maxBatchBytes`).
    pub max_batch: usize,
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
            busy_poll: Duration::from_micros(settings.int("busyPollMicros")),
            block_cache: bytes(settings, "blockCacheSize"),
        }
    }

    /// Refuses writes that do not fit what surrounds them.
    pub(super) fn check(&self, settings: &Settings, options: &Options) -> Result<(), LoadError> {
        let without_requests = Options { max_request: 0, ..options.clone() };
        if options.segment_size < without_requests.smallest_segment() {
            let remedy =
                "a segment holds at least four of the largest writes: raise it or lower the other";
            return Err(settings
                .contradiction("mappedFileSizeCommitLog", "maxBatchBytes", remedy)
                .into());
        }
        if self.max_batch > options.tail_budget {
            let remedy =
                "what is written must be able to stay for consumers: raise it or lower the other";
            return Err(settings.contradiction("tailBudget", "maxBatchBytes", remedy).into());
        }
        Ok(())
    }
}
