//! The block device below a directory.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::facts::{Device, Reading, Unknown};
use super::{chosen, line, number, unreadable};

/// The device that holds `dir`, as /sys shows it.
pub(super) fn device(dir: &Path) -> Reading<Device> {
    let number = fs::metadata(dir).map_err(|error| unreadable(dir, &error))?.dev();
    let (major, minor) = (major(number), minor(number));
    if major == 0 {
        return Err(Unknown("the file system lies on no block device of this machine".to_owned()));
    }
    let link = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    let mut path = fs::canonicalize(&link).map_err(|error| unreadable(&link, &error))?;
    // A partition lies in the directory of its disk, which has the queue.
    if fs::exists(path.join("partition")).unwrap_or(false) {
        path.pop();
    }
    Ok(describe(&path))
}

fn major(device: u64) -> u64 {
    (device >> 8 & 0xfff) | (device >> 32 & 0xffff_f000)
}

fn minor(device: u64) -> u64 {
    (device & 0xff) | (device >> 12 & 0xffff_ff00)
}

fn describe(path: &Path) -> Device {
    let queue = path.join("queue");
    let flag = |name: &str| number::<u8>(queue.join(name)).map(|value| value != 0);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    Device {
        name: name.unwrap_or_default(),
        model: line(path.join("device/model")).ok().filter(|model| !model.is_empty()),
        // A device without a choice has one word without brackets.
        scheduler: line(queue.join("scheduler"))
            .map(|text| chosen(&text).unwrap_or(&text).to_owned()),
        volatile_cache: line(queue.join("write_cache")).and_then(|text| match text.as_str() {
            "write back" => Ok(true),
            "write through" => Ok(false),
            other => Err(Unknown(format!("queue/write_cache says `{other}`"))),
        }),
        fua: flag("fua"),
        rotational: flag("rotational"),
        physical_block: number(queue.join("physical_block_size")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_devices_are_taken_apart() {
        assert_eq!((major(0xfd01), minor(0xfd01)), (253, 1));
        // Minor numbers above 255 lie higher up.
        assert_eq!((major(0x10_0801), minor(0x10_0801)), (8, 257));
    }
}
