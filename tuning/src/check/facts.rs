//! What was seen of a machine.

use std::fmt;
use std::path::PathBuf;

use runtime::probe::ProbeError;

use crate::sys::{Alignment, Space};

/// Why something could not be looked at, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown(pub String);

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that was looked at. In a container much of /sys and /proc is missing, and that is no error.
pub type Reading<T> = Result<T, Unknown>;

/// Everything that is judged.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The kernel.
    pub kernel: Kernel,
    /// Limits of processes started as this one was.
    pub limits: Limits,
    /// Cores and clock.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
    /// The directory of the store, if one was named.
    pub store: Option<Store>,
}

/// The kernel, and whether it lets this process use io_uring.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// As `uname -r` prints it.
    pub release: Reading<String>,
    /// What the broker finds when it starts.
    pub io_uring: Result<(), ProbeError>,
}

/// Hard limits; a broker raises its soft ones to them. `None`: unlimited.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes that may be locked in memory.
    pub locked_memory: Reading<Option<u64>>,
    /// Files and sockets.
    pub open_files: Reading<Option<u64>>,
}

/// Cores and clock.
#[derive(Clone, Debug)]
pub struct Cpu {
    /// Cores that this process may use.
    pub allowed: usize,
    /// Cores of the machine that are switched on.
    pub online: Reading<usize>,
    /// Cores' worth of CPU time that the cgroup allows; `None`: no limit.
    pub quota: Reading<Option<f64>>,
    /// The frequency governor of each allowed core.
    pub governors: Reading<Vec<String>>,
    /// Where the kernel reads the time.
    pub clock_source: Reading<String>,
}

/// Memory.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Bytes of swap space in use by the system as such.
    pub swap: Reading<u64>,
    /// `vm.swappiness`.
    pub swappiness: Reading<u32>,
    /// The chosen mode of transparent huge pages.
    pub huge_pages: Reading<String>,
}

/// The directory of the store and what lies below it.
#[derive(Clone, Debug)]
pub struct Store {
    /// As asked for.
    pub dir: PathBuf,
    /// The nearest directory that exists: `dir` or one above it.
    pub looked_at: PathBuf,
    /// What stands where there should be a directory, or may come to be one: at `dir`, or above it.
    pub in_the_way: Option<PathBuf>,
    /// The file system.
    pub mount: Reading<Mount>,
    /// What came of a direct write to a file without a name.
    pub direct_io: Reading<()>,
    /// Whether `direct_io` failed because of direct I/O, and not because no file could be made.
    pub refuses_direct: bool,
    /// What direct I/O asks for; `None`: the kernel does not tell.
    pub alignment: Reading<Option<Alignment>>,
    /// Room.
    pub space: Reading<Space>,
    /// The disk.
    pub device: Reading<Device>,
}

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its type, as `ext4`.
    pub kind: String,
    /// Where it is mounted.
    pub point: String,
    /// Its options, those of the mount and of the file system.
    pub options: Vec<String>,
}

/// A block device, as the kernel describes its queue.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its name, as `nvme0n1`.
    pub name: String,
    /// What it calls itself.
    pub model: Option<String>,
    /// The I/O scheduler that is chosen.
    pub scheduler: Reading<String>,
    /// Whether it has a cache that a power cut empties.
    pub volatile_cache: Reading<bool>,
    /// Whether it can write past that cache.
    pub fua: Reading<bool>,
    /// Whether it turns.
    pub rotational: Reading<bool>,
    /// Bytes that it writes at once.
    pub physical_block: Reading<u32>,
}
