//! Errors of files, directories and sockets: what was tried, on what, and why it failed.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The operation that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum IoOp {
    Open,
    Read,
    Write,
    Sync,
    Allocate,
    Truncate,
    Length,
    Close,
    CreateDir,
    List,
    Exists,
    Rename,
    Remove,
    SyncDir,
    Space,
    Lock,
    Bind,
    Accept,
    Connect,
    Receive,
    Send,
    Shutdown,
    Configure,
    Resolve,
    Signal,
    Terminate,
    Resume,
    Start,
    /// Give other threads the way.
    Priority,
}

impl IoOp {
    fn verb(self) -> &'static str {
        match self {
            IoOp::Open => "open",
            IoOp::Read => "read",
            IoOp::Write => "write",
            IoOp::Sync => "sync",
            IoOp::Allocate => "allocate space for",
            IoOp::Truncate => "set the length of",
            IoOp::Length => "read the length of",
            IoOp::Close => "close",
            IoOp::CreateDir => "create the directory",
            IoOp::List => "list the directory",
            IoOp::Exists => "look for",
            IoOp::Rename => "rename",
            IoOp::Remove => "remove",
            IoOp::SyncDir => "sync the directory",
            IoOp::Space => "ask for the free space at",
            IoOp::Lock => "lock",
            IoOp::Bind => "listen on",
            IoOp::Accept => "accept a connection on",
            IoOp::Connect => "connect to",
            IoOp::Receive => "receive from",
            IoOp::Send => "send to",
            IoOp::Shutdown => "shut down the connection to",
            IoOp::Configure => "set an option of the connection to",
            IoOp::Resolve => "resolve",
            IoOp::Signal => "watch",
            IoOp::Terminate => "terminate",
            IoOp::Resume => "resume",
            IoOp::Start => "start",
            IoOp::Priority => "lower the priority of",
        }
    }
}

/// What an operation was done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IoTarget {
    /// A file or directory.
    Path(PathBuf),
    /// A local or remote socket address.
    Addr(SocketAddr),
    /// A name that is neither: a host name, a signal.
    Name(String),
}

impl fmt::Display for IoTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IoTarget::Path(path) => write!(f, "{}", path.display()),
            IoTarget::Addr(addr) => write!(f, "{addr}"),
            IoTarget::Name(name) => f.write_str(name),
        }
    }
}

/// A failed operation: `cannot <op> <target>: <reason>`.
#[derive(Debug, thiserror::Error)]
#[error("cannot {} {target}: {source}", .op.verb())]
pub struct IoError {
    /// What was tried.
    pub op: IoOp,
    /// On what.
    pub target: IoTarget,
    /// Why it failed.
    pub source: io::Error,
}

impl IoError {
    /// A failure of `op` on the file or directory `path`.
    pub fn path(op: IoOp, path: impl AsRef<Path>, source: io::Error) -> IoError {
        IoError { op, target: IoTarget::Path(path.as_ref().to_path_buf()), source }
    }

    /// A failure of `op` on the socket address `addr`.
    pub fn addr(op: IoOp, addr: SocketAddr, source: io::Error) -> IoError {
        IoError { op, target: IoTarget::Addr(addr), source }
    }

    /// A failure of `op` on something that has only a name.
    pub fn name(op: IoOp, name: impl Into<String>, source: io::Error) -> IoError {
        IoError { op, target: IoTarget::Name(name.into()), source }
    }

    /// The kind of the reason. A full disk is [`io::ErrorKind::StorageFull`] and an exhausted quota
    /// [`io::ErrorKind::QuotaExceeded`]; [`IoError::is_storage_full`] asks for both.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// True when this process, or the machine, has as many files and sockets open as it may: a matter of time.
    pub fn is_out_of_descriptors(&self) -> bool {
        matches!(self.source.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
    }

    /// True when the device does not give, or does not take, what is asked of it: it is broken there, or a file
    /// system is damaged. Not for rights, limits of the process, or names that are missing.
    pub fn is_unreadable(&self) -> bool {
        let broken = [libc::EIO, libc::ENODATA, libc::EBADMSG, libc::EUCLEAN];
        self.source.raw_os_error().is_some_and(|code| broken.contains(&code))
    }

    /// True when a file or a directory could not be flushed: what the device's cache held may be lost, and whether it is no
    /// later flush can tell. Not where too many files were open to begin with it.
    pub fn is_failed_flush(&self) -> bool {
        matches!(self.op, IoOp::Sync | IoOp::SyncDir) && !self.is_out_of_descriptors()
    }

    /// True when the device or the quota is full.
    pub fn is_storage_full(&self) -> bool {
        matches!(self.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_has_failed_whatever_the_device_says_but_not_for_want_of_descriptors() {
        let failed = |op, errno| {
            IoError::path(op, "/store", io::Error::from_raw_os_error(errno)).is_failed_flush()
        };
        for op in [IoOp::Sync, IoOp::SyncDir] {
            assert!(failed(op, libc::EIO) && failed(op, libc::ENOSPC));
            assert!(!failed(op, libc::EMFILE), "it was not begun");
        }
        assert!(!failed(IoOp::Write, libc::EIO));
    }
}
