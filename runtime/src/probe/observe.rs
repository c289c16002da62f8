//! Looking at the machine.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use io_uring::{IoUring, Probe, opcode};

use super::decide::{Disk, Observed, Rings};
use crate::buffer::BLOCK;

/// Entries of the ring that is set up for a look.
const PROBE_RING_DEPTH: u32 = 4;

/// What the kernel calls a tmpfs in `statfs` (linux/magic.h).
const TMPFS: i64 = 0x0102_1994;
/// And a ramfs.
const RAMFS: i64 = 0x8584_58f6;

/// The operations that executors use.
const OPERATIONS: [(&str, u8); 10] = [
    ("NOP", opcode::Nop::CODE),
    ("POLL_ADD", opcode::PollAdd::CODE),
    ("ASYNC_CANCEL", opcode::AsyncCancel::CODE),
    ("READ", opcode::Read::CODE),
    ("READV", opcode::Readv::CODE),
    ("WRITE", opcode::Write::CODE),
    ("FSYNC", opcode::Fsync::CODE),
    ("FALLOCATE", opcode::Fallocate::CODE),
    ("OPENAT", opcode::OpenAt::CODE),
    ("CLOSE", opcode::Close::CODE),
];

pub(super) fn rings() -> Observed {
    let locked_memory = raise(libc::RLIMIT_MEMLOCK);
    let open_files = raise(libc::RLIMIT_NOFILE);
    Observed {
        release: trimmed("/proc/sys/kernel/osrelease").unwrap_or_default(),
        rings: try_ring(),
        disabled: trimmed("/proc/sys/kernel/io_uring_disabled").and_then(|text| text.parse().ok()),
        seccomp: has_seccomp_filter(),
        locked_memory,
        open_files,
    }
}

fn trimmed(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn has_seccomp_filter() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
    mode.is_some_and(|mode| mode.trim() != "0")
}

fn try_ring() -> Rings {
    let fail = |call, error: io::Error| Rings::Fail {
        call,
        errno: error.raw_os_error().unwrap_or(libc::EIO),
    };
    let mut ring = match IoUring::new(PROBE_RING_DEPTH) {
        Ok(ring) => ring,
        Err(error) => return fail("io_uring_setup", error),
    };
    let mut probe = Probe::new();
    if let Err(error) = ring.submitter().register_probe(&mut probe) {
        return fail("io_uring_register", error);
    }
    let nop = opcode::Nop::new().build();
    // SAFETY: an empty operation refers to no memory.
    unsafe { ring.submission().push(&nop) }.expect("a new ring has room");
    if let Err(error) = ring.submit_and_wait(1) {
        return fail("io_uring_enter", error);
    }
    let missing = OPERATIONS.iter().filter(|(_, code)| !probe.is_supported(*code));
    let mut missing: Vec<_> = missing.map(|(name, _)| *name).collect();
    if !ring.params().is_feature_ext_arg() {
        missing.push("EXT_ARG");
    }
    if !ring.params().is_feature_nodrop() {
        missing.push("NODROP");
    }
    Rings::Work { missing }
}

/// Raises the soft limit to the hard one, and returns what it is then; `None` if unlimited.
fn raise(resource: libc::__rlimit_resource_t) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one `rlimit` to `limit`.
    if unsafe { libc::getrlimit(resource, &mut limit) } != 0 {
        return None;
    }
    if limit.rlim_cur < limit.rlim_max {
        let raised = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
        // SAFETY: the kernel reads one `rlimit` from `raised`.
        if unsafe { libc::setrlimit(resource, &raised) } == 0 {
            limit = raised;
        }
    }
    (limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

pub(super) fn disk(dir: &Path) -> Disk {
    if let Some((path, what)) = in_the_way(dir) {
        return Disk::NotADirectory { path, what };
    }
    if let Err(error) = fs::create_dir_all(dir) {
        return Disk::NotWritable { errno: errno(&error) };
    }
    // First without direct I/O, to tell the two refusals apart.
    let (file, name) = match create(dir) {
        Ok(created) => created,
        Err(error) => return Disk::NotWritable { errno: errno(&error) },
    };
    let result = write_and_read(&file);
    if let Some(name) = name {
        // Left behind it would do no harm.
        drop(fs::remove_file(dir.join(name)));
    }
    match result {
        Ok(()) => Disk::Works { memory: memory_file_system(&file) },
        Err(error) if is_no_space(&error) => Disk::NotWritable { errno: errno(&error) },
        Err(error) => Disk::NoDirectIo { errno: errno(&error) },
    }
}

/// What stands where the directory `dir` or one above it shall be, and is none. What cannot be looked at shows later.
fn in_the_way(dir: &Path) -> Option<(PathBuf, &'static str)> {
    // An empty path is what stands above a relative one.
    for path in dir.ancestors().filter(|path| !path.as_os_str().is_empty()) {
        if let Ok(found) = fs::metadata(path) {
            let what = if found.is_file() { "a file" } else { "a special file" };
            return (!found.is_dir()).then(|| (path.to_path_buf(), what));
        }
        if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
            return Some((path.to_path_buf(), "a link that leads nowhere"));
        }
    }
    None
}

/// The kind of the file system that `file` is on, if it is one that lies in memory.
fn memory_file_system(file: &File) -> Option<&'static str> {
    use std::os::fd::AsRawFd;
    let mut found = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the kernel writes one `statfs` to memory of that size.
    if unsafe { libc::fstatfs(file.as_raw_fd(), found.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call has filled it in.
    match unsafe { found.assume_init() }.f_type {
        TMPFS => Some("tmpfs"),
        RAMFS => Some("ramfs"),
        _ => None,
    }
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

fn is_no_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A file without a name or, where the file system has none, with one.
fn create(dir: &Path) -> io::Result<(File, Option<String>)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    if let Ok(file) = options.clone().custom_flags(libc::O_TMPFILE).open(dir) {
        return Ok((file, None));
    }
    let name = format!(".probe-{}-{:016x}", std::process::id(), crate::rng::random_u64());
    let file = options.create_new(true).open(dir.join(&name))?;
    Ok((file, Some(name)))
}

fn write_and_read(file: &File) -> io::Result<()> {
    set_direct(file)?;
    let mut block = crate::buffer::buffer(BLOCK);
    block.fill(0x5a);
    file.write_all_at(&block, 0)?;
    block.fill(0);
    file.read_exact_at(&mut block, 0)?;
    if block.iter().any(|byte| *byte != 0x5a) {
        return Err(io::Error::from_raw_os_error(libc::EIO));
    }
    Ok(())
}

/// Switches direct I/O on.
fn set_direct(file: &File) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: takes plain integers.
    let flags = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: takes plain integers.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags | libc::O_DIRECT) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
