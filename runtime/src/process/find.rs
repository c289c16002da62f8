//! Other processes of this host.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::{IoError, IoOp};

/// A running process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// File name of its executable.
    pub name: String,
    /// Its arguments, the program's name first.
    pub args: Vec<String>,
}

/// The other processes of this host whose executable has one of these file names, by id. Processes of other users are
/// found only by root. Blocks for milliseconds.
pub fn find_processes(names: &[&str]) -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let own = std::process::id();
    let mut found: Vec<Process> = entries
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            process(pid).filter(|process| pid != own && names.contains(&process.name.as_str()))
        })
        .collect();
    found.sort_by_key(|process| process.pid);
    found
}

/// The process with this id; `None` if there is none, it is dead, or another user's.
pub(super) fn process(pid: u32) -> Option<Process> {
    let entry = Path::new("/proc").join(pid.to_string());
    Some(Process { pid, name: executable(&entry)?, args: arguments(&entry) })
}

fn executable(process: &Path) -> Option<String> {
    let exe = fs::read_link(process.join("exe")).ok()?;
    let name = exe.file_name()?.to_str()?;
    // What the kernel appends when the file was replaced by a newer build.
    Some(name.strip_suffix(" (deleted)").unwrap_or(name).to_owned())
}

fn arguments(process: &Path) -> Vec<String> {
    let line = fs::read(process.join("cmdline")).unwrap_or_default();
    let args = line.split(|byte| *byte == 0).filter(|arg| !arg.is_empty());
    args.map(|arg| String::from_utf8_lossy(arg).into_owned()).collect()
}

/// Sends SIGTERM to one process. Errors: `NotFound` if it is gone, `PermissionDenied`.
pub fn terminate(pid: u32) -> Result<(), IoError> {
    signal(pid, libc::SIGTERM, IoOp::Terminate)
}

/// Has one process go on that was stopped with SIGSTOP; to another nothing happens. Errors: `NotFound` if it is gone,
/// `PermissionDenied`.
pub fn resume(pid: u32) -> Result<(), IoError> {
    signal(pid, libc::SIGCONT, IoOp::Resume)
}

fn signal(pid: u32, number: libc::c_int, op: IoOp) -> Result<(), IoError> {
    let failed = |error| IoError::name(op, format!("process {pid}"), error);
    // Zero and negative numbers would mean groups of processes.
    let target = libc::pid_t::try_from(pid).ok().filter(|pid| *pid > 0);
    let Some(target) = target else {
        return Err(failed(io::ErrorKind::NotFound.into()));
    };
    // SAFETY: takes plain integers.
    if unsafe { libc::kill(target, number) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ESRCH) => Err(failed(io::ErrorKind::NotFound.into())),
        _ => Err(failed(error)),
    }
}
