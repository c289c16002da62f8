//! A connection with blocking system calls, for one request at a time: what the floor is measured with, and what a plain
//! client does. Between a request and its answer the thread does nothing else, so that it adds the least to their time.

// It is compared with what the kernel does without the runtime; no simulation stands in for it.
#![allow(clippy::disallowed_methods)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use runtime::Instant;
use runtime::channel::Flag;

use super::pump::{CLOSED, End, LATE, take};
use crate::limits::{CONNECT, READ_CHUNK, TICK};
use crate::wire::Load;

/// How long the executor's other tasks may have to wait while answers come.
const YIELD_EVERY: Duration = Duration::from_millis(1);

/// Connects. Blocks the thread, for [`CONNECT`] at most.
///
/// # Errors
/// Why there is no connection.
pub fn dial(addr: SocketAddr) -> Result<TcpStream, String> {
    let connected = || -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&addr, CONNECT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TICK))?;
        stream.set_write_timeout(Some(CONNECT))?;
        Ok(stream)
    };
    connected().map_err(|error| error.to_string())
}

/// Serves `load` over `stream`, as [`pump`](super::pump) does, but blocks the thread while an answer is awaited: the executor's
/// other tasks run every millisecond while answers come, and every [`TICK`] while none does.
///
/// Closes the connection when it returns. Once polled it is not to be dropped: an answer may be half read.
pub async fn block(mut stream: TcpStream, load: &mut dyn Load, abandon: &Flag) -> End {
    let mut unread = Unread { bytes: vec![0; READ_CHUNK], filled: 0 };
    let mut out = Vec::new();
    let mut yielded = runtime::now();
    loop {
        load.fill(&mut out);
        if load.is_done() {
            return End::Done;
        }
        if let Err(error) = stream.write_all(&out) {
            return End::Lost(error.to_string());
        }
        out.clear();
        let read = unread.read(&mut stream);
        let now = runtime::now();
        match read.and_then(|()| unread.hand_over(load, now)) {
            Ok(()) if load.is_overdue(now) => return End::Lost(LATE.into()),
            Ok(()) => {}
            Err(end) => return end,
        }
        if now - yielded > YIELD_EVERY {
            yielded = now;
            runtime::yield_now().await;
            if abandon.is_raised() {
                return End::Abandoned;
            }
        }
    }
}

/// What was received and belongs to no whole frame yet.
struct Unread {
    /// Longer than what is unread.
    bytes: Vec<u8>,
    filled: usize,
}

impl Unread {
    /// Waits for bytes, at most [`TICK`].
    fn read(&mut self, stream: &mut TcpStream) -> Result<(), End> {
        if self.filled == self.bytes.len() {
            self.bytes.resize(2 * self.filled, 0); // no further than a frame may go
        }
        match stream.read(&mut self.bytes[self.filled..]) {
            Ok(0) => Err(End::Lost(CLOSED.into())),
            Ok(read) => {
                self.filled += read;
                Ok(())
            }
            Err(error) if is_no_error(&error) => Ok(()),
            Err(error) => Err(End::Lost(error.to_string())),
        }
    }

    fn hand_over(&mut self, load: &mut dyn Load, at: Instant) -> Result<(), End> {
        let taken = take(load, &self.bytes[..self.filled], at)?;
        self.bytes.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        Ok(())
    }
}

/// Whether time was up, or a signal came.
fn is_no_error(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
