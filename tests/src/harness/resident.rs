//! What the kernel says about a running process: resident memory, threads and their cores.

use std::fs;

use super::failure::{Failure, Trying, Verdict};

/// Resident memory of a process, KiB.
///
/// # Errors
/// If the process is gone.
pub fn resident_kib(pid: u32) -> Verdict<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).trying(&*path)?;
    let kib = field(&status, "VmRSS").and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    kib.ok_or_else(|| Failure::Wrong(format!("{path} has no VmRSS")))
}

/// One thread of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadSeen {
    /// Its name, at most 15 bytes: the kernel keeps no more.
    pub name: String,
    /// The cores it may run on, as the kernel writes a set: `0`, `0-1`, `0,2`.
    pub cores: String,
}

/// Every thread of a process.
///
/// # Errors
/// If the process is gone.
pub fn threads(pid: u32) -> Verdict<Vec<ThreadSeen>> {
    let dir = format!("/proc/{pid}/task");
    let mut seen = Vec::new();
    for entry in fs::read_dir(&dir).trying(&*dir)? {
        let path = entry.trying(&*dir)?.path().join("status");
        // A thread may end between the listing and the reading.
        let Ok(status) = fs::read_to_string(&path) else { continue };
        seen.extend(thread_of(&status));
    }
    Ok(seen)
}

fn thread_of(status: &str) -> Option<ThreadSeen> {
    let name = field(status, "Name")?.to_owned();
    let cores = field(status, "Cpus_allowed_list")?.to_owned();
    Some(ThreadSeen { name, cores })
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read() {
        let status =
            "Name:\tshard-0\nVmRSS:\t  1234 kB\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1\n";
        let thread = thread_of(status).unwrap();
        assert_eq!((thread.name.as_str(), thread.cores.as_str()), ("shard-0", "0-1"));
        assert_eq!(thread_of("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_is_resident() {
        assert!(resident_kib(std::process::id()).unwrap() > 100);
        assert!(!threads(std::process::id()).unwrap().is_empty());
    }
}
