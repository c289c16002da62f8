//! What this process uses, as the kernel tells it.

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

use crate::context;
use crate::error::{IoError, IoOp};
use crate::executor::cores_of;

/// Resident memory of the process, in bytes; 0 if the kernel does not tell. Reads a file under /proc: milliseconds at
/// worst, not for a data path.
pub fn resident_memory() -> u64 {
    let Ok(statm) = fs::read_to_string("/proc/self/statm") else {
        return 0;
    };
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    // SAFETY: takes and returns plain integers.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages * u64::try_from(page).unwrap_or(4096)
}

/// CPU time the process has used, user and system, all threads.
pub fn cpu_time() -> Duration {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel writes one `rusage` to memory of that size.
    let result = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    assert!(result == 0, "the kernel tells a process its own usage");
    // SAFETY: all-zero is a valid `rusage`, and the call has filled it in.
    let usage = unsafe { usage.assume_init() };
    duration(usage.ru_utime) + duration(usage.ru_stime)
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

/// From now on the calling thread waits for a CPU while others want it (nice 19); there is no way back without rights. In
/// a simulation nothing happens.
///
/// # Errors
/// What the kernel says; a thread may always lower its own priority, unless a sandbox forbids it.
pub fn give_way() -> Result<(), IoError> {
    const LOWEST: libc::c_int = 19;
    if context::sim().is_some() {
        return Ok(());
    }
    // SAFETY: takes plain integers; 0 is the calling thread.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, LOWEST) } == 0 {
        return Ok(());
    }
    Err(IoError::name(IoOp::Priority, "this thread".to_owned(), io::Error::last_os_error()))
}

/// One thread and the CPUs it may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadPlacement {
    /// Thread id.
    pub tid: u32,
    /// Thread name, at most 15 bytes.
    pub name: String,
    /// CPUs it may run on, ascending.
    pub allowed: Vec<usize>,
}

/// The threads of this process, by id. Threads that end meanwhile are left out.
pub fn threads() -> Vec<ThreadPlacement> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let mut threads: Vec<ThreadPlacement> = tasks
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let tid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let name = fs::read_to_string(entry.path().join("comm")).ok()?.trim_end().to_owned();
            let allowed = cores_of(libc::pid_t::try_from(tid).ok()?).ok()?;
            Some(ThreadPlacement { tid, name, allowed })
        })
        .collect();
    threads.sort_by_key(|thread| thread.tid);
    threads
}
