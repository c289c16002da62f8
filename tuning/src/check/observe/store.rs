//! The directory of a store.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::super::facts::{Mount, Reading, Store, Unknown};
use super::device::device;
use super::unreadable;
use crate::sys;

/// Bytes of the direct write that is tried.
const BLOCK: usize = 4096;

pub(super) fn store(dir: &Path) -> Store {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let exists = |path: &&Path| fs::metadata(path).is_ok_and(|found| found.is_dir());
    let looked_at = absolute.ancestors().find(exists).unwrap_or(Path::new("/")).to_owned();
    let there = |path: &&Path| fs::metadata(path).is_ok();
    let in_the_way = absolute.ancestors().find(there).filter(|path| *path != looked_at);
    let in_the_way = in_the_way.map(Path::to_owned);
    let tried = try_direct(&looked_at);
    let refuses_direct = matches!(tried, Err(Refusal::Direct(_)));
    let (direct_io, alignment) = match tried {
        Ok(file) => (Ok(()), sys::alignment(&file).map_err(|error| Unknown(error.to_string()))),
        Err(Refusal::File(error) | Refusal::Direct(error)) => {
            let why = Unknown(format!("{}: {error}", looked_at.display()));
            (Err(why.clone()), Err(why))
        }
    };
    Store {
        mount: mount(&looked_at),
        direct_io,
        refuses_direct,
        alignment,
        space: sys::space(&looked_at).map_err(|error| unreadable(&looked_at, &error)),
        device: device(&looked_at),
        dir: absolute,
        looked_at,
        in_the_way,
    }
}

/// Why a direct write did not work.
enum Refusal {
    /// No file could be made.
    File(io::Error),
    /// A file could be made, and not used with direct I/O.
    Direct(io::Error),
}

/// Writes a block to a file without a name.
fn try_direct(dir: &Path) -> Result<File, Refusal> {
    nameless(dir, 0).map_err(Refusal::File)?;
    let file = nameless(dir, libc::O_DIRECT).map_err(Refusal::Direct)?;
    let block = runtime::buffer(BLOCK);
    file.write_all_at(&block, 0).map_err(Refusal::Direct)?;
    Ok(file)
}

/// A file that is gone when it is closed.
fn nameless(dir: &Path, flags: i32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match options.clone().custom_flags(flags | libc::O_TMPFILE).open(dir) {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
        opened => return opened,
    }
    let path = dir.join(format!(".mqtune-check-{}", std::process::id()));
    let file = options.create_new(true).custom_flags(flags).open(&path);
    if file.is_ok() {
        fs::remove_file(&path)?;
    }
    file
}

fn mount(dir: &Path) -> Reading<Mount> {
    let table = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(table).map_err(|error| unreadable(table, &error))?;
    let dir = fs::canonicalize(dir).map_err(|error| unreadable(dir, &error))?;
    mount_of(&text, &dir).ok_or_else(|| Unknown("/proc/self/mountinfo does not name it".to_owned()))
}

/// The mount that holds `dir`: the one with the longest mount point, of several there the last.
fn mount_of(text: &str, dir: &Path) -> Option<Mount> {
    let mounts = text.lines().filter_map(parse);
    mounts
        .filter(|(point, _)| dir.starts_with(point))
        .max_by_key(|(point, _)| point.components().count())
        .map(|(_, mount)| mount)
}

/// A line of mountinfo: `36 35 98:0 /root /point rw,noatime shared:1 - ext4 /dev/x rw,errors=continue`.
fn parse(line: &str) -> Option<(PathBuf, Mount)> {
    let (first, second) = line.split_once(" - ")?;
    let mut first = first.split(' ').skip(4);
    let point = unescaped(first.next()?);
    let of_mount = first.next()?;
    let mut second = second.split(' ');
    let kind = second.next()?.to_owned();
    let of_file_system = second.nth(1).unwrap_or("");
    let options = of_mount.split(',').chain(of_file_system.split(','));
    let options = options.filter(|option| !option.is_empty()).map(str::to_owned).collect();
    Some((PathBuf::from(&point), Mount { kind, point, options }))
}

/// Blanks in paths are written as octal numbers.
fn unescaped(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
30 22 0:25 / /tmp rw,nosuid shared:4 - tmpfs tmpfs rw,size=1024k
31 22 8:1 /data /srv/my\\040data ro,noatime shared:5 master:1 - xfs /dev/sda1 rw,nobarrier
broken line
";

    #[test]
    fn the_longest_mount_point_holds_a_directory() {
        let of = |dir: &str| mount_of(TABLE, Path::new(dir)).expect("the root holds everything");
        assert_eq!((of("/tmp/x").kind.as_str(), of("/tmpx").kind.as_str()), ("tmpfs", "ext4"));
        assert_eq!(of("/").options, ["rw", "relatime", "rw", "discard"]);
        let data = of("/srv/my data/store");
        assert_eq!((data.kind.as_str(), data.point.as_str()), ("xfs", "/srv/my data"));
        assert_eq!(data.options, ["ro", "noatime", "rw", "nobarrier"]);
        assert_eq!(mount_of("", Path::new("/")), None);
    }

    #[test]
    fn a_directory_that_is_not_there_is_looked_at_from_above() {
        let above = std::env::temp_dir();
        let store = store(&above.join("no-such-store/log"));
        assert_eq!(store.looked_at, above);
        assert!(store.dir.ends_with("no-such-store/log"));
        assert!(store.space.is_ok());
    }
}
