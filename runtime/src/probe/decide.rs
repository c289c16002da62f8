//! From what was observed to a verdict; no system call in here.

use std::io;
use std::path::{Path, PathBuf};

/// Locked memory that an executor's ring needs, in bytes. Kernels before 5.12 count rings against it, and newer ones again
/// (seen on 6.18), for users without CAP_IPC_LOCK.
pub const LOCKED_MEMORY_MIN: u64 = 256 << 10;

/// The first kernel with everything that is used; the last to come was waiting for a limited time.
const KERNEL_MIN: (u32, u32) = (5, 11);

/// What was observed of the kernel.
#[derive(Debug, Clone)]
pub(super) struct Observed {
    /// `uname -r`.
    pub(super) release: String,
    pub(super) rings: Rings,
    /// /proc/sys/kernel/io_uring_disabled, where it exists.
    pub(super) disabled: Option<u32>,
    /// The process runs under a seccomp filter.
    pub(super) seccomp: bool,
    /// Bytes; `None` if unlimited.
    pub(super) locked_memory: Option<u64>,
    pub(super) open_files: Option<u64>,
}

/// What came of setting up a small ring and sending one empty operation through it.
#[derive(Debug, Clone)]
pub(super) enum Rings {
    /// It works; these operations are unknown to the kernel.
    Work { missing: Vec<&'static str> },
    /// The call that failed, and the error number.
    Fail { call: &'static str, errno: i32 },
}

/// What came of a direct write and read in the data directory.
#[derive(Debug, Clone)]
pub(super) enum Disk {
    Works {
        /// The kind of the file system, if it is one that lies in memory.
        memory: Option<&'static str>,
    },
    /// The path, or one on the way to it, is something else than a directory.
    NotADirectory { path: PathBuf, what: &'static str },
    /// The directory or a file in it could not be made.
    NotWritable { errno: i32 },
    /// A file could be made, but not used with direct I/O.
    NoDirectIo { errno: i32 },
}

/// Why the process cannot run here, with the remedy. One line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The kernel lacks io_uring or parts of it.
    #[error("kernel {release} is too old: io_uring as of Linux {}.{} is needed ({reason}); run a newer kernel", KERNEL_MIN.0, KERNEL_MIN.1)]
    KernelTooOld {
        /// What runs.
        release: String,
        /// What showed it.
        reason: String,
    },
    /// Switched off by the administrator.
    #[error(
        "io_uring is switched off on this host (kernel.io_uring_disabled={value}): \
         run `sysctl kernel.io_uring_disabled=0` as root, and set it in /etc/sysctl.d to keep it"
    )]
    Disabled {
        /// The setting.
        value: u32,
    },
    /// A seccomp filter stands in the way, as in containers by default.
    #[error(
        "io_uring is forbidden to this process by a seccomp filter ({call}: {}), as it is by default in containers: \
         run the container with `--security-opt seccomp=docs/seccomp-io-uring.json` (a ready profile) or \
         `seccomp=unconfined`", os_error(*.errno)
    )]
    Forbidden {
        /// The system call.
        call: &'static str,
        /// Its error number.
        errno: i32,
    },
    /// Refused for another reason.
    #[error("io_uring does not work here ({call}: {}): look into dmesg and the host's security modules", os_error(*.errno))]
    Refused {
        /// The system call.
        call: &'static str,
        /// Its error number.
        errno: i32,
    },
    /// RLIMIT_MEMLOCK is too low, also the hard limit.
    #[error(
        "the limit of locked memory is {} KiB, io_uring needs {} KiB: raise it with `ulimit -l 8192` as root, \
         `LimitMEMLOCK=8M` in the systemd unit, or `--ulimit memlock=8388608` for a container",
        .limit / 1024, LOCKED_MEMORY_MIN / 1024
    )]
    LockedMemory {
        /// The limit in bytes.
        limit: u64,
    },
    /// More shards than cores.
    #[error(
        "{wanted} shards need a core each, and this process may use only {allowed:?}: \
         set shards to at most {}, or widen the process's CPU set (taskset, cpuset, --cpuset-cpus)", .allowed.len()
    )]
    TooFewCores {
        /// Asked for.
        wanted: usize,
        /// Allowed ones.
        allowed: Vec<usize>,
    },
    /// The file system refuses O_DIRECT.
    #[error(
        "the file system of {} does not allow direct I/O ({}): put the data directory on ext4 or xfs, \
         not on a network or overlay file system (in a container: on a volume)", .dir.display(), os_error(*.errno)
    )]
    NoDirectIo {
        /// The data directory.
        dir: PathBuf,
        /// The error number.
        errno: i32,
    },
    /// A file, or something else, is where a directory is needed.
    #[error(
        "{} cannot be the data directory: {} is {what}, not a directory; choose another directory, or move it away",
        .dir.display(), .path.display()
    )]
    NotADirectory {
        /// The data directory.
        dir: PathBuf,
        /// What is in the way: the same path, or one above it.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// No file can be made there.
    #[error("cannot write in the data directory {} ({}): check its owner, its mode and the space left", .dir.display(), os_error(*.errno))]
    NotWritable {
        /// The data directory.
        dir: PathBuf,
        /// The error number.
        errno: i32,
    },
}

fn os_error(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

/// `5.8` of `5.8.0-63-generic`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

pub(super) fn decide_rings(observed: &Observed) -> Result<(), ProbeError> {
    let too_old = |reason: &str| ProbeError::KernelTooOld {
        release: observed.release.clone(),
        reason: reason.to_owned(),
    };
    if let Rings::Fail { call, errno } = observed.rings {
        return Err(why_it_fails(observed, call, errno, too_old));
    }
    if version(&observed.release).is_some_and(|version| version < KERNEL_MIN) {
        return Err(too_old("by its version"));
    }
    if let Rings::Work { missing } = &observed.rings
        && !missing.is_empty()
    {
        return Err(too_old(&format!("it lacks {}", missing.join(", "))));
    }
    require_locked_memory(observed)
}

fn require_locked_memory(observed: &Observed) -> Result<(), ProbeError> {
    match observed.locked_memory {
        Some(limit) if limit < LOCKED_MEMORY_MIN => Err(ProbeError::LockedMemory { limit }),
        _ => Ok(()),
    }
}

fn why_it_fails(
    observed: &Observed,
    call: &'static str,
    errno: i32,
    too_old: impl Fn(&str) -> ProbeError,
) -> ProbeError {
    let forbidden = ProbeError::Forbidden { call, errno };
    match (errno, observed.disabled) {
        // Memory for rings counts against the limit.
        (libc::ENOMEM, _) => {
            require_locked_memory(observed).err().unwrap_or(ProbeError::Refused { call, errno })
        }
        (libc::EPERM, Some(value)) if value > 0 => ProbeError::Disabled { value },
        (libc::EPERM | libc::EACCES, _) if observed.seccomp => forbidden,
        (libc::ENOSYS, _) => match version(&observed.release) {
            // A kernel that should have the call: some filters answer as if there were none.
            Some(version) if version >= KERNEL_MIN && observed.seccomp => forbidden,
            Some(version) if version >= KERNEL_MIN => too_old("it was built without io_uring"),
            _ => too_old("it has no io_uring"),
        },
        // Registering a probe is newer than io_uring itself.
        (libc::EINVAL, _) => too_old(&format!("{call} is not supported")),
        _ => ProbeError::Refused { call, errno },
    }
}

/// The kind of file system, if it is one that lies in memory.
pub(super) fn decide_disk(dir: &Path, disk: Disk) -> Result<Option<&'static str>, ProbeError> {
    let dir = dir.to_path_buf();
    match disk {
        Disk::Works { memory } => Ok(memory),
        Disk::NotADirectory { path, what } => Err(ProbeError::NotADirectory { dir, path, what }),
        // A store that is full has to start, or nothing would make room in it. Whether direct I/O works there was seen when
        // it was made.
        Disk::NotWritable { errno: libc::ENOSPC } => Ok(None),
        Disk::NotWritable { errno } => Err(ProbeError::NotWritable { dir, errno }),
        Disk::NoDirectIo { errno } => Err(ProbeError::NoDirectIo { dir, errno }),
    }
}

pub(super) fn decide_cores(wanted: usize, allowed: &[usize]) -> Result<Vec<usize>, ProbeError> {
    assert!(wanted > 0, "there is at least one shard");
    match allowed.get(..wanted) {
        Some(cores) => Ok(cores.to_vec()),
        None => Err(ProbeError::TooFewCores { wanted, allowed: allowed.to_vec() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Observed {
        Observed {
            release: "6.1.0-18-amd64".to_owned(),
            rings: Rings::Work { missing: Vec::new() },
            disabled: Some(0),
            seccomp: false,
            locked_memory: Some(8 << 20),
            open_files: Some(1024),
        }
    }

    fn failing(errno: i32) -> Observed {
        Observed { rings: Rings::Fail { call: "io_uring_setup", errno }, ..good() }
    }

    /// The verdict must be one line that holds every one of `words`.
    #[track_caller]
    fn refused(observed: &Observed, words: &[&str]) -> ProbeError {
        let error = decide_rings(observed).expect_err("it must not start");
        says(&error, words);
        error
    }

    #[track_caller]
    fn says(error: &ProbeError, words: &[&str]) {
        let text = error.to_string();
        assert!(!text.contains('\n'), "{text}");
        for word in words {
            assert!(text.contains(word), "no {word:?} in: {text}");
        }
    }

    #[test]
    fn a_good_machine_passes() {
        assert_eq!(decide_rings(&good()), Ok(()));
        let unlimited = Observed { locked_memory: None, disabled: None, ..good() };
        assert_eq!(decide_rings(&unlimited), Ok(()));
        // Under a filter that lets io_uring through, and on a release that names no version.
        let odd = Observed { seccomp: true, release: "rolling".to_owned(), ..good() };
        assert_eq!(decide_rings(&odd), Ok(()));
    }

    #[test]
    fn a_seccomp_filter_is_named_with_the_profile() {
        for errno in [libc::EPERM, libc::EACCES, libc::ENOSYS] {
            let observed = Observed { seccomp: true, ..failing(errno) };
            let error = refused(&observed, &["seccomp-io-uring.json", "--security-opt"]);
            assert!(matches!(error, ProbeError::Forbidden { .. }));
        }
    }

    #[test]
    fn the_sysctl_is_named_even_under_a_filter() {
        for (value, seccomp) in [(1, false), (2, false), (2, true)] {
            let observed = Observed { disabled: Some(value), seccomp, ..failing(libc::EPERM) };
            let setting = format!("kernel.io_uring_disabled={value}");
            let error = refused(&observed, &[&setting, "sysctl kernel.io_uring_disabled=0"]);
            assert_eq!(error, ProbeError::Disabled { value });
        }
    }

    #[test]
    fn an_old_kernel_is_named() {
        let without = Observed { release: "4.18.0-553.el8".to_owned(), ..failing(libc::ENOSYS) };
        refused(&without, &["4.18.0", "5.11", "newer kernel"]);
        let early = Observed { release: "5.4.0-150-generic".to_owned(), ..good() };
        refused(&early, &["5.4.0", "5.11"]);
        let no_probe = Observed { release: "5.4.0".to_owned(), ..failing(libc::EINVAL) };
        refused(&no_probe, &["5.4.0", "5.11", "io_uring_setup"]);
        let unbuilt = failing(libc::ENOSYS);
        refused(&unbuilt, &["built without io_uring"]);
        let lacking = Observed { rings: Rings::Work { missing: vec!["ACCEPT", "SEND"] }, ..good() };
        refused(&lacking, &["lacks ACCEPT, SEND"]);
    }

    #[test]
    fn too_little_locked_memory_is_named_with_the_three_remedies() {
        let words = ["ulimit -l", "LimitMEMLOCK=", "--ulimit memlock="];
        let observed = Observed { locked_memory: Some(64 << 10), ..good() };
        let error = refused(&observed, &words);
        assert_eq!(error, ProbeError::LockedMemory { limit: 64 << 10 });
        // As the kernel shows it.
        let observed = Observed { locked_memory: Some(0), ..failing(libc::ENOMEM) };
        refused(&observed, &words);
        // Exactly enough.
        let observed = Observed { locked_memory: Some(LOCKED_MEMORY_MIN), ..good() };
        assert_eq!(decide_rings(&observed), Ok(()));
    }

    #[test]
    fn other_refusals_name_the_call() {
        for errno in [libc::ENOMEM, libc::EPERM, libc::EMFILE] {
            let error = refused(&failing(errno), &["io_uring_setup"]);
            assert_eq!(error, ProbeError::Refused { call: "io_uring_setup", errno });
        }
    }

    #[test]
    fn shards_get_the_first_cores_or_a_clear_no() {
        assert_eq!(decide_cores(2, &[1, 3, 5]), Ok(vec![1, 3]));
        assert_eq!(decide_cores(3, &[1, 3, 5]), Ok(vec![1, 3, 5]));
        let error = decide_cores(4, &[1, 3, 5]).unwrap_err();
        says(&error, &["4 shards", "[1, 3, 5]", "at most 3"]);
    }

    #[test]
    fn disks_that_refuse_direct_io_are_named() {
        let dir = Path::new("/data/store");
        assert_eq!(decide_disk(dir, Disk::Works { memory: None }), Ok(None));
        assert_eq!(decide_disk(dir, Disk::Works { memory: Some("tmpfs") }), Ok(Some("tmpfs")));
        let error = decide_disk(dir, Disk::NoDirectIo { errno: libc::EINVAL }).unwrap_err();
        says(&error, &["/data/store", "direct I/O", "ext4 or xfs"]);
        let error = decide_disk(dir, Disk::NotWritable { errno: libc::EACCES }).unwrap_err();
        says(&error, &["/data/store", "ermission denied"]);
        assert_eq!(decide_disk(dir, Disk::NotWritable { errno: libc::ENOSPC }), Ok(None));
        let file = Disk::NotADirectory { path: PathBuf::from("/data"), what: "a file" };
        let error = decide_disk(dir, file).unwrap_err();
        says(&error, &["/data/store cannot be", "/data is a file, not a directory"]);
    }

    #[test]
    fn versions() {
        assert_eq!(version("6.18.44-fc-v595"), Some((6, 18)));
        assert_eq!(version("5.8"), Some((5, 8)));
        assert_eq!(version("5.10-rc1"), Some((5, 10)));
        assert_eq!(version("unknown"), None);
        assert_eq!(version(""), None);
    }
}
