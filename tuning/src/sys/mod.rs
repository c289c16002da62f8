//! System calls that the standard library does not have, each behind a safe function.

mod ring;

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub use ring::{Operation, Ring};
pub use runtime::fs::Space;

/// How much room the file system of `path` has.
///
/// # Errors
/// As `statvfs`.
pub fn space(path: &Path) -> io::Result<Space> {
    let path = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut found = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: `path` ends with a zero byte, and the kernel writes one `statvfs` to memory of that size.
    if unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all-zero is a valid `statvfs`, and the call has filled it in.
    let found = unsafe { found.assume_init() };
    let bytes = |blocks: libc::fsblkcnt_t| blocks.saturating_mul(found.f_frsize);
    Ok(Space {
        total: bytes(found.f_blocks),
        free: bytes(found.f_bfree),
        available: bytes(found.f_bavail),
    })
}

/// What direct I/O asks of memory and of positions, bytes. Zero: no direct I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// Alignment of the memory.
    pub memory: u32,
    /// Alignment of file positions and lengths.
    pub offset: u32,
}

/// What direct I/O on `file` asks for. `None` where the kernel does not tell (before Linux 6.1, or the file system has
/// no answer).
///
/// # Errors
/// As `statx`.
pub fn alignment(file: &File) -> io::Result<Option<Alignment>> {
    let mut found = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path is empty and ends with a zero byte, and the kernel writes one `statx` to memory of that size.
    let result = unsafe {
        libc::statx(
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            libc::STATX_DIOALIGN,
            found.as_mut_ptr(),
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all-zero is a valid `statx`, and the call has filled it in.
    let found = unsafe { found.assume_init() };
    let told = found.stx_mask & libc::STATX_DIOALIGN != 0;
    let alignment =
        Alignment { memory: found.stx_dio_mem_align, offset: found.stx_dio_offset_align };
    Ok(told.then_some(alignment))
}

/// Gives `file` blocks for its first `len` bytes, unwritten ones, and that length.
///
/// # Errors
/// As `fallocate`.
pub fn preallocate(file: &File, len: u64) -> io::Result<()> {
    let len =
        libc::off_t::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    // SAFETY: takes plain integers.
    if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, len) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
