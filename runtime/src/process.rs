//! The process and the machine around it.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use crate::error::IoError;

/// A wish that the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM.
    Terminate,
    /// SIGINT (Ctrl-C).
    Interrupt,
}

/// The stop signals of this process, in order.
pub struct StopSignals {}

impl StopSignals {
    /// The next signal; `None` never happens while the value lives.
    pub async fn next(&mut self) -> Option<StopSignal> {
        todo!()
    }

    /// Blocks a plain thread until the next signal.
    pub fn wait(&mut self) -> Option<StopSignal> {
        todo!()
    }
}

/// Takes over SIGTERM and SIGINT. Once a process.
pub fn stop_signals() -> Result<StopSignals, IoError> {
    todo!()
}

/// The process id.
pub fn pid() -> u32 {
    todo!()
}

/// The host's name.
pub fn host_name() -> String {
    todo!()
}

/// The host's IPv4 addresses, loopback left out, in the kernel's order.
pub fn local_ipv4() -> Vec<Ipv4Addr> {
    todo!()
}

/// Reads a whole text file, at most `limit` bytes. Blocks: at start only.
pub fn read_config_file(path: impl AsRef<Path>, limit: usize) -> Result<String, IoError> {
    todo!("{:?} {limit}", path.as_ref())
}

/// Resident memory of the process, in bytes.
pub fn resident_memory() -> u64 {
    todo!()
}

/// CPU time the process has used, user and system.
pub fn cpu_time() -> Duration {
    todo!()
}

/// One thread and the CPUs it is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadPlacement {
    /// Thread id.
    pub tid: u32,
    /// Thread name.
    pub name: String,
    /// CPUs it may run on.
    pub allowed: Vec<usize>,
}

/// The threads of this process.
pub fn threads() -> Vec<ThreadPlacement> {
    todo!()
}

/// A running process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// File name of its executable.
    pub name: String,
}

/// Other processes of this host whose executable has one of these file names.
pub fn find_processes(names: &[&str]) -> Vec<Process> {
    todo!("{names:?}")
}

/// Sends SIGTERM.
pub fn terminate(pid: u32) -> Result<(), IoError> {
    todo!("{pid}")
}

/// Prints one line to the standard error and aborts the process.
pub fn abort_with(line: &str) -> ! {
    todo!("{line}")
}

/// From now on a panic on any thread prints one line and aborts the process.
pub fn abort_on_panic() {
    todo!()
}
