//! A disk that writes little, for one process: by the kernel's throttle for a cgroup.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ::tests::harness::failure::{Trying, Verdict};
use ::tests::net::{is_running, own_run, prefix};

use crate::PROGRAM;

/// Where the throttle of cgroups' first version is.
const BLKIO: &str = "/sys/fs/cgroup/blkio";
/// Bytes a second, and writes a second.
const BYTES: u32 = 512 * 1024;
const WRITES: u32 = 40;

/// A throttle for one process at a time.
#[derive(Debug)]
pub struct Throttle {
    dir: PathBuf,
    device: String,
}

impl Throttle {
    /// One for the device of `store`; `None` if this kernel, or this container, has none.
    pub fn new(store: &Path) -> Option<Self> {
        remove_left_behind();
        let device = device_of(store)?;
        let dir = own_dir();
        fs::create_dir(&dir).ok()?;
        let throttle = Self { dir, device };
        throttle.limit(BYTES, WRITES).ok()?;
        Some(throttle)
    }

    fn limit(&self, bytes: u32, writes: u32) -> std::io::Result<()> {
        let Self { dir, device } = self;
        fs::write(dir.join("blkio.throttle.write_bps_device"), format!("{device} {bytes}"))?;
        fs::write(dir.join("blkio.throttle.write_iops_device"), format!("{device} {writes}"))
    }

    /// This process writes little from now on.
    pub fn slow(&self, pid: u32) -> Verdict {
        let file = self.dir.join("cgroup.procs");
        fs::write(&file, pid.to_string()).trying(file.display().to_string())
    }

    /// It writes as before. One that is gone is no error.
    pub fn release(&self, pid: u32) -> Verdict {
        let file = Path::new(BLKIO).join("cgroup.procs");
        if !Path::new(&format!("/proc/{pid}")).exists() {
            return Ok(());
        }
        fs::write(&file, pid.to_string()).trying(file.display().to_string())
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        for pid in fs::read_to_string(self.dir.join("cgroup.procs")).unwrap_or_default().lines() {
            drop(fs::write(Path::new(BLKIO).join("cgroup.procs"), pid));
        }
        drop(fs::remove_dir(&self.dir));
    }
}

/// The whole disk that holds `path`, as `major:minor`: a partition cannot be throttled.
fn device_of(path: &Path) -> Option<String> {
    let number = fs::metadata(path).ok()?.dev();
    let (major, minor) = (number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xf_ff00);
    let device = format!("{major}:{minor}");
    let node = Path::new("/sys/dev/block").join(&device);
    if !node.join("partition").exists() {
        return node.exists().then_some(device);
    }
    let disk = fs::canonicalize(node).ok()?.parent()?.join("dev");
    Some(fs::read_to_string(disk).ok()?.trim().to_owned())
}

/// The throttle of this process.
fn own_dir() -> PathBuf {
    Path::new(BLKIO).join(format!("{}{}", prefix(PROGRAM), own_run()))
}

/// Gives back what runs have throttled that are gone.
fn remove_left_behind() {
    let Ok(entries) = fs::read_dir(BLKIO) else { return };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    for name in names.filter(|name| is_left_behind(name)) {
        drop(Throttle { dir: Path::new(BLKIO).join(name), device: String::new() });
    }
}

fn is_left_behind(name: &str) -> bool {
    name.strip_prefix(&prefix(PROGRAM)).is_some_and(|run| !is_running(run))
}

/// Gives back what this process has throttled; for the end of the program, whatever the reason.
pub fn remove_own() {
    let dir = own_dir();
    if dir.exists() {
        drop(Throttle { dir, device: String::new() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_throttles_of_runs_that_are_gone_are_left_behind() {
        assert!(is_left_behind("tpchaos-0.17"), "no process has the number 0");
        assert!(is_left_behind(&format!("tpchaos-{}", std::process::id())), "as it was called");
        assert!(!is_left_behind(&format!("tpchaos-{}", own_run())));
        for name in ["other-0.17", "cgroup.procs"] {
            assert!(!is_left_behind(name), "{name}");
        }
    }
}
