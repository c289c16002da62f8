//! The process and the machine around it.

mod detached;
mod ephemeral;
mod failure;
mod find;
mod holders;
mod lines;
mod signals;
mod usage;

use std::io::{self, Read, Seek, SeekFrom};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

pub use detached::{Detached, own_program};
pub use ephemeral::{EphemeralPorts, ephemeral_ports};
pub use failure::end_with_error;
pub use find::{Process, find_processes, resume, terminate};
pub use holders::{PortHolder, port_holders};
pub use lines::{LogLine, flush_log, log_lines};
pub use signals::{
    StopSignal, StopSignals, stop_signals, stop_signals_and_hang_up, stop_signals_second_ends,
};
pub use usage::{ThreadPlacement, cpu_time, give_way, resident_memory, threads};

use crate::context;
use crate::error::{IoError, IoOp};

/// The process id; in a simulation, the simulated process's. Works on any thread.
pub fn pid() -> u32 {
    match context::sim() {
        Some(seat) => seat.pid(),
        None => std::process::id(),
    }
}

/// How many files and sockets this process may have open; `None` if there is no limit, and in a simulation. Works on any
/// thread.
pub fn open_files_limit() -> Option<u64> {
    if context::sim().is_some() {
        return None;
    }
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one `rlimit` to the place given.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    (result == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// The host's name; in a simulation, the node's. `localhost` where the kernel has none. Works on any thread.
pub fn host_name() -> String {
    if let Some(seat) = context::sim() {
        return seat.host_name();
    }
    let mut name = [0u8; 256];
    // SAFETY: the kernel writes at most `name.len()` bytes into `name`.
    let result = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len()) };
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    if result != 0 || end == 0 {
        return "localhost".to_owned();
    }
    String::from_utf8_lossy(&name[..end]).into_owned()
}

/// The host's IPv4 addresses of interfaces that are up, loopback left out, in the kernel's order; in a simulation, the
/// node's. Works on any thread.
pub fn local_ipv4() -> Vec<Ipv4Addr> {
    if let Some(seat) = context::sim() {
        return vec![seat.ip()];
    }
    let mut first: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: on success the call stores a list, which is freed below, and nothing else.
    if unsafe { libc::getifaddrs(&mut first) } != 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut next = first;
    // SAFETY: `next` is null or an entry of the list, which lives until it is freed below.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        let is_up = entry.ifa_flags & libc::IFF_UP as libc::c_uint != 0;
        // SAFETY: an entry's address is null or a valid socket address.
        let family = unsafe { entry.ifa_addr.as_ref() }.map(|addr| i32::from(addr.sa_family));
        if family == Some(libc::AF_INET) && is_up {
            // SAFETY: an address of this family is a `sockaddr_in`; it may be unaligned, so it is copied out.
            let addr = unsafe { entry.ifa_addr.cast::<libc::sockaddr_in>().read_unaligned() };
            found.push(Ipv4Addr::from(addr.sin_addr.s_addr.to_ne_bytes()));
        }
    }
    // SAFETY: the list came from getifaddrs, and no reference into it is left.
    unsafe { libc::freeifaddrs(first) };
    found.retain(|ip| !ip.is_loopback());
    found
}

/// Reads a whole text file, at most `limit` bytes (`FileTooLarge` beyond). Blocks: before executors are started only.
pub fn read_config_file(path: impl AsRef<Path>, limit: usize) -> Result<String, IoError> {
    let path = path.as_ref();
    let read = || {
        let mut text = String::new();
        let cap = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        std::fs::File::open(path)?.take(cap).read_to_string(&mut text)?;
        if text.len() > limit {
            let reason = format!("it is larger than {limit} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
        }
        Ok(text)
    };
    read().map_err(|error| IoError::path(IoOp::Read, path, error))
}

/// The end of a text file, at most `limit` bytes of it, from the beginning of a line on if it has several; bytes that are no
/// UTF-8 are replaced. Blocks as [`read_config_file`] does.
///
/// # Errors
/// It is not there, or cannot be read.
pub fn read_last_lines(path: impl AsRef<Path>, limit: usize) -> Result<String, IoError> {
    let path = path.as_ref();
    let read = || {
        let mut file = std::fs::File::open(path)?;
        let len = file.metadata()?.len();
        let cap = u64::try_from(limit).unwrap_or(u64::MAX);
        file.seek(SeekFrom::Start(len.saturating_sub(cap)))?;
        let mut bytes = Vec::new();
        file.take(cap).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(match text.split_once('\n') {
            Some((_, rest)) if len > cap && !rest.is_empty() => rest.to_owned(),
            _ => text,
        })
    };
    read().map_err(|error| IoError::path(IoOp::Read, path, error))
}

/// The path of a file or directory that is there without links in it. Blocks as [`read_config_file`] does.
///
/// # Errors
/// It is not there (`NotFound`), or may not be looked at.
pub fn real_path(path: impl AsRef<Path>) -> Result<PathBuf, IoError> {
    let path = path.as_ref();
    std::fs::canonicalize(path).map_err(|error| IoError::path(IoOp::Open, path, error))
}

/// Makes the text file `path`, or replaces it as a whole, with the directories that it lies in. Not durable. Blocks for
/// as long as the disk takes: not for an executor that serves somebody.
///
/// # Errors
/// What the file system says.
pub fn write_config_file(path: impl AsRef<Path>, text: &str) -> Result<(), IoError> {
    let path = path.as_ref();
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    if let Some(dir) = dir {
        std::fs::create_dir_all(dir).map_err(|error| IoError::path(IoOp::CreateDir, dir, error))?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let write = || std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, path));
    write().map_err(|error| IoError::path(IoOp::Write, path, error))
}

/// Writes the log, prints `line` to the standard error, each for a second at most, and aborts the process: a node that is
/// dead is safe, one that limps is not.
pub fn abort_with(line: &str) -> ! {
    flush_log();
    lines::last_words(line);
    std::process::abort()
}

/// From now on a panic on any thread prints one line, with the thread and the place, and aborts the process. Once, at
/// the start of a binary.
pub fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed");
        let what = panic.payload_as_str().unwrap_or("no message").replace('\n', " ");
        match panic.location() {
            Some(place) => abort_with(&format!("fatal: thread {name}: {what} ({place})")),
            None => abort_with(&format!("fatal: thread {name}: {what}")),
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_text_is_whole_lines() {
        let path = std::env::temp_dir().join(format!("runtime-end-{}", std::process::id()));
        std::fs::write(&path, "first\nsecond\nthird\n").expect("a writable directory");
        let end = |limit| read_last_lines(&path, limit).expect("it was written");
        assert_eq!(end(100), "first\nsecond\nthird\n");
        assert_eq!(end(15), "second\nthird\n");
        assert_eq!(end(8), "third\n");
        assert_eq!(end(3), "rd\n", "a line that is too long is shown from its middle");
        std::fs::remove_file(path).expect("our file");
    }

    #[test]
    fn a_text_file_is_made_with_its_directories_and_replaced_as_a_whole() {
        let dir = std::env::temp_dir().join(format!("runtime-text-{}", std::process::id()));
        let path = dir.join("a/b.conf");
        for text in ["first and longer\n", "second\n"] {
            write_config_file(&path, text).expect("a writable directory");
            assert_eq!(read_config_file(&path, 100).expect("it was written"), text);
        }
        assert_eq!(std::fs::read_dir(dir.join("a")).expect("our directory").count(), 1);
        let error = write_config_file(path.join("c"), "").expect_err("a file is in the way");
        assert!(error.to_string().starts_with("cannot create the directory "), "{error}");
        std::fs::remove_dir_all(dir).expect("our directory");
    }
}
