//! The socket calls that neither std nor glommio offers in the shape needed.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Connections that wait to be accepted; the kernel cuts it to net.core.somaxconn.
const BACKLOG: libc::c_int = 1024;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A socket that listens on `addr`.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<OwnedFd> {
    let fd = bound(addr)?;
    // SAFETY: takes plain integers; the descriptor is a bound socket.
    check(unsafe { libc::listen(fd.as_raw_fd(), BACKLOG) })?;
    Ok(fd)
}

/// A socket that has the address `addr` and does not listen yet: an error if somebody else listens there. With
/// SO_REUSEADDR, so that a restart need not wait for old connections to time out; without SO_REUSEPORT, which would let a
/// second process take half of the connections unnoticed.
pub(crate) fn bound(addr: SocketAddr) -> io::Result<OwnedFd> {
    let family = if addr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: takes and returns plain integers.
    let fd = check(unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the descriptor is new and nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    set_option(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, &1i32)?;
    bind(fd.as_raw_fd(), addr)?;
    Ok(fd)
}

fn bind(fd: RawFd, addr: SocketAddr) -> io::Result<()> {
    let bound = match addr {
        SocketAddr::V4(v4) => {
            let raw = libc::sockaddr_in {
                sin_family: family(libc::AF_INET),
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            };
            bind_raw(fd, &raw)
        }
        SocketAddr::V6(v6) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: family(libc::AF_INET6),
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            bind_raw(fd, &raw)
        }
    };
    check(bound).map(|_| ())
}

fn family(family: libc::c_int) -> libc::sa_family_t {
    libc::sa_family_t::try_from(family).expect("address families are small")
}

fn bind_raw<A>(fd: RawFd, raw: &A) -> libc::c_int {
    let len = socklen::<A>();
    // SAFETY: `raw` is a socket address of `len` bytes, which the kernel only reads.
    unsafe { libc::bind(fd, std::ptr::from_ref(raw).cast(), len) }
}

fn socklen<A>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<A>()).expect("socket structures are small")
}

fn set_option<V>(fd: RawFd, level: i32, name: i32, value: &V) -> io::Result<()> {
    let pointer = std::ptr::from_ref(value).cast();
    // SAFETY: `pointer` points to a value of `socklen::<V>()` bytes, which the kernel only reads.
    check(unsafe { libc::setsockopt(fd, level, name, pointer, socklen::<V>()) }).map(|_| ())
}

/// The address that `fd` is bound to.
pub(crate) fn local_addr(fd: &OwnedFd) -> io::Result<SocketAddr> {
    TcpListener::from(fd.try_clone()?).local_addr()
}

/// Frees the port at once, even while an accept is in the kernel. Best effort: closing frees it too, a little later.
pub(crate) fn stop_listening(fd: &OwnedFd) {
    // An error means that it does not listen any more.
    drop(shutdown(fd.as_raw_fd(), Shutdown::Both));
}

/// shutdown(2).
pub(crate) fn shutdown(fd: RawFd, how: Shutdown) -> io::Result<()> {
    let how = match how {
        Shutdown::Read => libc::SHUT_RD,
        Shutdown::Write => libc::SHUT_WR,
        Shutdown::Both => libc::SHUT_RDWR,
    };
    // SAFETY: takes plain integers.
    check(unsafe { libc::shutdown(fd, how) }).map(|_| ())
}

/// SO_LINGER, in whole seconds (rounded up); zero resets the connection at close.
pub(crate) fn set_linger(fd: RawFd, linger: Option<Duration>) -> io::Result<()> {
    let seconds = linger.unwrap_or_default().as_millis().div_ceil(1000);
    let option = libc::linger {
        l_onoff: i32::from(linger.is_some()),
        l_linger: i32::try_from(seconds).unwrap_or(i32::MAX),
    };
    set_option(fd, libc::SOL_SOCKET, libc::SO_LINGER, &option)
}

/// Keeps the descriptor out of child processes.
pub(crate) fn close_on_exec(fd: RawFd) -> io::Result<()> {
    // SAFETY: takes plain integers.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) }).map(|_| ())
}
