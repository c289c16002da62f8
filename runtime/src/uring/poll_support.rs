//! Keeps glommio from taking a device for one that it can poll.
//!
//! glommio 0.9.0 asks once a thread and device whether polled I/O works, by reading from the first file
//! it opens there. A read from an empty file ends before the kernel looks at the device, so a first
//! file that was just created answers "yes" for a device that then refuses every read with
//! `EOPNOTSUPP`. Here the question is asked first, with a nameless file that has a block.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{blocking, io_error};
use crate::buffer::BLOCK;

thread_local! {
    /// Devices that this executor's glommio knows about.
    static SETTLED: RefCell<HashSet<u64>> = RefCell::new(HashSet::new());
}

/// Lets glommio find out about the device that `path` is on, or will be created on.
pub(crate) async fn settle(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let dir: PathBuf = parent.unwrap_or(Path::new(".")).to_owned();
    let asked = dir.clone();
    let Ok(device) = blocking(move || std::fs::metadata(asked).map(|found| found.dev())).await
    else {
        return Ok(()); // opening the file itself says what is wrong
    };
    if SETTLED.with_borrow(|settled| settled.contains(&device)) {
        return Ok(());
    }
    let Ok(nameless) = blocking(move || nameless_file(&dir)).await else {
        return Ok(()); // a directory that cannot be written to has no empty new files either
    };
    let name = format!("/proc/self/fd/{}", nameless.as_raw_fd());
    let mut options = glommio::io::OpenOptions::new();
    let file = options.read(true).dma_open(&name).await.map_err(io_error)?;
    file.close().await.map_err(io_error)?;
    drop(nameless);
    SETTLED.with_borrow_mut(|settled| settled.insert(device));
    Ok(())
}

/// A file of one block without a name; it is gone when it is closed.
fn nameless_file(dir: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).custom_flags(libc::O_TMPFILE).open(dir)?;
    io::Write::write_all(&mut file, &[0; BLOCK])?;
    file.sync_data()?;
    Ok(file)
}
