//! io_uring and the limits of the process.

use runtime::probe::{LOCKED_MEMORY_MIN, ProbeError};

use super::super::{Kernel, Limits, Row, Severity};
use super::bytes;

/// Fewer open files than this, and a broker hardly serves anybody.
const OPEN_FILES_MIN: u64 = 1024;
/// A connection is a file: as many as a broker with many clients needs.
const OPEN_FILES_GOOD: u64 = 65_536;

/// How to lift the limit of open files.
const MORE_FILES: &str = "`ulimit -n 65536` as root before the start, `LimitNOFILE=65536` in the systemd unit, or \
                          `--ulimit nofile=65536:65536` for a container";

pub(super) fn io_uring(kernel: &Kernel) -> Row {
    let required = "Linux 5.11 or newer, io_uring allowed";
    let release = kernel.release.as_deref().unwrap_or("of unknown release");
    let row = |word: &str| Row::new("io_uring", required, format!("{word} (kernel {release})"));
    match &kernel.io_uring {
        // Too little locked memory has a row of its own.
        Ok(()) | Err(ProbeError::LockedMemory { .. }) => row("works"),
        Err(error) => row("does not work").rated(Severity::Error, error.to_string()),
    }
}

pub(super) fn locked_memory(limits: &Limits, cores: usize) -> Row {
    let a_shard = LOCKED_MEMORY_MIN;
    let wanted = a_shard * cores.max(1) as u64;
    let required = format!("{}, and {} for a shard on each core", bytes(a_shard), bytes(wanted));
    let limit = match &limits.locked_memory {
        Err(why) => return Row::unknown("locked memory", required, why),
        Ok(None) => return Row::new("locked memory", required, "unlimited"),
        Ok(Some(limit)) => *limit,
    };
    let row = Row::new("locked memory", required, bytes(limit));
    if limit < a_shard {
        row.rated(Severity::Error, ProbeError::LockedMemory { limit }.to_string())
    } else if limit < wanted {
        row.rated(
            Severity::Warning,
            "the kernel may count the rings of all shards against it: `ulimit -l 8192` as root before the start, \
             `LimitMEMLOCK=8M` in the systemd unit, or `--ulimit memlock=8388608` for a container",
        )
    } else {
        row
    }
}

pub(super) fn open_files(limits: &Limits) -> Row {
    let required = format!("{OPEN_FILES_GOOD}: one for each connection and each segment");
    let limit = match &limits.open_files {
        Err(why) => return Row::unknown("open files", required, why),
        Ok(None) => return Row::new("open files", required, "unlimited"),
        Ok(Some(limit)) => *limit,
    };
    let row = Row::new("open files", required, limit.to_string());
    match limit {
        0..OPEN_FILES_MIN => row.rated(Severity::Error, MORE_FILES),
        OPEN_FILES_MIN..OPEN_FILES_GOOD => row.rated(Severity::Warning, MORE_FILES),
        _ => row,
    }
}
