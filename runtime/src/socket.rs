//! The socket calls that std does not offer in the shape needed.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
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
    let fd = tcp_socket(addr, 0)?;
    set_option(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, &1i32)?;
    // SAFETY: the call reads `len` bytes of an address.
    let bind = |raw, len| unsafe { libc::bind(fd.as_raw_fd(), raw, len) };
    check(with_raw(addr, bind))?;
    Ok(fd)
}

/// A socket that does not block, on its way to `addr`. Once it can be written to, or fails, its error tells which.
pub(crate) fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let fd = tcp_socket(addr, libc::SOCK_NONBLOCK)?;
    // SAFETY: the call reads `len` bytes of an address.
    let connect = |raw, len| unsafe { libc::connect(fd.as_raw_fd(), raw, len) };
    match check(with_raw(addr, connect)) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(TcpStream::from(fd)),
    }
}

fn tcp_socket(addr: SocketAddr, flags: libc::c_int) -> io::Result<OwnedFd> {
    let family = if addr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | flags;
    // SAFETY: takes and returns plain integers.
    let fd = check(unsafe { libc::socket(family, kind, 0) })?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives `call` the address as the kernel wants it: a pointer and its bytes, for the time of the call.
fn with_raw<R>(
    addr: SocketAddr,
    call: impl FnOnce(*const libc::sockaddr, libc::socklen_t) -> R,
) -> R {
    match addr {
        SocketAddr::V4(v4) => {
            let raw = libc::sockaddr_in {
                sin_family: family(libc::AF_INET),
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            };
            call((&raw const raw).cast(), socklen::<libc::sockaddr_in>())
        }
        SocketAddr::V6(v6) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: family(libc::AF_INET6),
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            call((&raw const raw).cast(), socklen::<libc::sockaddr_in6>())
        }
    }
}

fn family(family: libc::c_int) -> libc::sa_family_t {
    libc::sa_family_t::try_from(family).expect("address families are small")
}

fn socklen<A>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<A>()).expect("socket structures are small")
}

fn set_option<V>(fd: RawFd, level: i32, name: i32, value: &V) -> io::Result<()> {
    let pointer = std::ptr::from_ref(value).cast();
    // SAFETY: `pointer` points to a value of `socklen::<V>()` bytes, which the kernel only reads.
    check(unsafe { libc::setsockopt(fd, level, name, pointer, socklen::<V>()) }).map(|_| ())
}

/// Frees the port at once, even while a wait for connections is in the kernel. Best effort: closing frees it too, a
/// little later.
pub(crate) fn stop_listening(listener: &TcpListener) {
    // SAFETY: takes plain integers. An error means that it does not listen any more.
    let _ = unsafe { libc::shutdown(listener.as_raw_fd(), libc::SHUT_RDWR) };
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
