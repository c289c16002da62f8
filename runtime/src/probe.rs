//! Start-up probing: what this kernel, these limits and this disk allow.

use std::path::Path;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Kernel version, such as `6.18.44`.
    pub kernel: String,
    /// CPUs the process may use.
    pub cores: Vec<usize>,
    /// Locked-memory limit in bytes; `None` if unlimited.
    pub locked_memory: Option<u64>,
}

/// Why the process cannot run here, with the remedy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProbeError {
    /// See the message.
    #[error("io_uring is not available")]
    NoIoUring,
}

/// Checks, within a second, that executors can run here and that files in `data_dir` allow direct I/O. Blocks.
pub fn probe(data_dir: Option<&Path>) -> Result<Capabilities, ProbeError> {
    todo!("{data_dir:?}")
}
