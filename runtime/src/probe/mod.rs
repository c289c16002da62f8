//! Start-up probing: what this kernel, these limits and this disk allow.
//!
//! What is there is observed first (`observe`), then judged by a pure function (`decide`), so that every verdict can be
//! tested on any machine.

mod decide;
mod observe;

use std::path::Path;
use std::sync::OnceLock;

pub use decide::{LOCKED_MEMORY_MIN, ProbeError};
use decide::{Observed, decide_cores, decide_disk, decide_rings};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Kernel release, such as `6.18.44`.
    pub kernel: String,
    /// CPUs the process may use, ascending.
    pub cores: Vec<usize>,
    /// Locked-memory limit in bytes, after it was raised as far as allowed; `None` if unlimited.
    pub locked_memory: Option<u64>,
    /// Limit of open files, after it was raised as far as allowed; `None` if unlimited.
    pub open_files: Option<u64>,
    /// The kind of the data directory's file system if it is one that lies in memory (`tmpfs`, `ramfs`): files there are
    /// gone after a restart of the machine. `None` for others, and without a data directory.
    pub memory_disk: Option<&'static str>,
}

/// Checks, well within a second, that executors can run here and that files in `data_dir`, which is created if missing,
/// allow direct I/O. Raises the limits of locked memory and open files as far as this user may. Blocks: call it from the
/// main thread before any executor is started.
pub fn probe(data_dir: Option<&Path>) -> Result<Capabilities, ProbeError> {
    let observed = observe::rings();
    decide_rings(&observed)?;
    let memory_disk = match data_dir {
        Some(dir) => decide_disk(dir, observe::disk(dir))?,
        None => None,
    };
    let Observed { release, locked_memory, open_files, .. } = observed;
    let cores = crate::executor::allowed_cores();
    Ok(Capabilities { kernel: release, cores, locked_memory, open_files, memory_disk })
}

/// The first `count` of the CPUs that this process may use, one for each shard; an error with the remedy if there are
/// fewer. `count` must not be zero.
pub fn cores_for(count: usize) -> Result<Vec<usize>, ProbeError> {
    decide_cores(count, &crate::executor::allowed_cores())
}

/// The part of [`probe`] that every executor needs, done once in the process.
pub(crate) fn rings_once() -> Result<(), ProbeError> {
    static RESULT: OnceLock<Result<(), ProbeError>> = OnceLock::new();
    RESULT.get_or_init(|| decide_rings(&observe::rings())).clone()
}
