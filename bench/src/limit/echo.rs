//! Frames that go to another thread and back over loopback, one at a time.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::{Extent, Measured, Sizes, repeat};
use crate::error::BenchError;

/// Longest wait for an answer of a thread that does nothing else.
const ANSWER: Duration = Duration::from_secs(30);

/// A connection whose other end answers each request at once.
pub struct Echo {
    stream: TcpStream,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Echo {
    /// Starts the other end, a thread that lives as long as the connection.
    ///
    /// # Errors
    /// [`BenchError::Floor`].
    pub fn start(sizes: Sizes) -> Result<Echo, BenchError> {
        Echo::connected(sizes)
            .map_err(|source| BenchError::Floor { what: "loopback".to_owned(), source })
    }

    fn connected(sizes: Sizes) -> io::Result<Echo> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let addr = listener.local_addr()?;
        let body = move || {
            // It ends when the connection does; who waits for an answer then has the error.
            drop(serve(&listener, sizes));
        };
        std::thread::Builder::new().name("echo".to_owned()).spawn(body)?;
        let stream = TcpStream::connect_timeout(&addr, ANSWER)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        Ok(Echo { stream, request: vec![7; sizes.request], reply: vec![0; sizes.reply] })
    }

    /// One window of requests, each answered before the next.
    ///
    /// # Errors
    /// [`BenchError::Floor`].
    pub fn window(&mut self, extent: Extent, stop: &AtomicBool) -> Result<Measured, BenchError> {
        let measured = repeat(extent, stop, || {
            self.stream.write_all(&self.request)?;
            self.stream.read_exact(&mut self.reply)
        });
        measured.map_err(|source| BenchError::Floor { what: "loopback".to_owned(), source })
    }
}

fn serve(listener: &TcpListener, sizes: Sizes) -> io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let mut request = vec![0; sizes.request];
    let reply = vec![7; sizes.reply];
    loop {
        stream.read_exact(&mut request)?;
        stream.write_all(&reply)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_answered() {
        let mut echo = Echo::start(Sizes { request: 1500, reply: 300, write: 4096 }).unwrap();
        let extent = Extent { duration: None, count: Some(50) };
        let measured = echo.window(extent, &AtomicBool::new(false)).unwrap();
        assert_eq!(measured.latencies.len(), 50);
        assert!(echo.reply.iter().all(|byte| *byte == 7));
    }
}
