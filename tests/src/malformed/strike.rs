//! Sending malformed frames to a server and holding it to what it owes.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use super::{Due, Malformed};
use crate::frame::{self, Parsed};
use crate::harness::cluster::connect;

/// Half-open connections that one striker keeps before it lets go of the oldest.
const HELD_MAX: usize = 16;

/// Number of the request that must be answered although what came before it is not.
const PROBE_OPAQUE: i64 = 77;

/// What a server did, by kind of frame: how often it answered, and how often it closed.
pub type Tally = BTreeMap<&'static str, (u64, u64)>;

/// How a server met its due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Met {
    Answered,
    Closed,
}

/// One sender of malformed frames: a connection that it uses until the server closes it.
#[derive(Debug)]
pub struct Striker {
    port: u16,
    /// A request that the server answers with success.
    probe: Vec<u8>,
    stream: Option<TcpStream>,
    held: Vec<TcpStream>,
    /// What the server did so far.
    pub tally: Tally,
}

impl Striker {
    /// Against a port of this host; `code` and `ext` are a request that its server answers.
    #[must_use]
    pub fn new(port: u16, code: i32, ext: &[(&str, &str)]) -> Self {
        let opaque = i32::try_from(PROBE_OPAQUE).expect("small");
        let probe = frame::request(code, 0, opaque, ext, b"");
        Self { port, probe, stream: None, held: Vec::new(), tally: Tally::new() }
    }

    /// Sends one frame. The server has five seconds for what it owes.
    ///
    /// # Errors
    /// `TimedOut` or `WouldBlock` if it did neither answer nor close; `ConnectionRefused` if it is gone.
    pub fn strike(&mut self, malformed: &Malformed) -> io::Result<()> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.port)?,
        };
        if malformed.due == Due::Nothing {
            return self.hold(stream, &malformed.bytes);
        }
        let met = match self.deliver(&mut stream, malformed) {
            Ok(met) => met,
            Err(error) if is_closed(&error) => Met::Closed,
            Err(error) => return Err(error),
        };
        let counts = self.tally.entry(malformed.kind).or_default();
        match met {
            Met::Answered => {
                counts.0 += 1;
                self.stream = Some(stream);
            }
            Met::Closed => counts.1 += 1,
        }
        Ok(())
    }

    fn deliver(&self, stream: &mut TcpStream, malformed: &Malformed) -> io::Result<Met> {
        stream.write_all(&malformed.bytes)?;
        match malformed.due {
            Due::Verdict | Due::Nothing => answer(stream, None),
            Due::Silence => {
                stream.write_all(&self.probe)?;
                answer(stream, Some(PROBE_OPAQUE))
            }
            Due::Patience => {
                stream.shutdown(Shutdown::Write)?;
                drain(stream)?;
                Ok(Met::Closed)
            }
        }
    }

    /// Leaves the frame unfinished and the connection open.
    fn hold(&mut self, mut stream: TcpStream, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = stream.write_all(bytes) {
            return if is_closed(&error) { Ok(()) } else { Err(error) };
        }
        if self.held.len() == HELD_MAX {
            drop(self.held.remove(0));
        }
        self.held.push(stream);
        Ok(())
    }
}

/// Waits for a reply, past the requests that a server may send itself.
fn answer(stream: &mut TcpStream, opaque: Option<i64>) -> io::Result<Met> {
    while let Some(frame) = frame::read(stream)? {
        let seen = Parsed::of(&frame)?;
        if !seen.is_reply() {
            continue;
        }
        return match opaque {
            Some(opaque) if seen.opaque != opaque => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("an answer nobody wants: {seen:?}"),
            )),
            _ => Ok(Met::Answered),
        };
    }
    Ok(Met::Closed)
}

/// Reads until the server closes.
fn drain(stream: &mut TcpStream) -> io::Result<()> {
    let mut ignored = [0_u8; 4_096];
    while stream.read(&mut ignored)? > 0 {}
    Ok(())
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
    };
    let kinds = [BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof];
    kinds.contains(&error.kind())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server of one connection that reads once and then does this.
    fn server(act: fn(&mut TcpStream)) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0_u8; 4_096]).unwrap() > 0);
            act(&mut stream);
        });
        port
    }

    fn strike(port: u16, due: Due) -> (io::Result<()>, Tally) {
        let mut striker = Striker::new(port, 105, &[]);
        let bytes = frame::request(9_999, 0, 5, &[], b"");
        let result = striker.strike(&Malformed { kind: "kind", bytes, due });
        (result, striker.tally)
    }

    fn reply(stream: &mut TcpStream, opaque: i32) {
        stream.write_all(&frame::request(3, 1, opaque, &[], b"")).unwrap();
    }

    #[test]
    fn an_answer_and_an_end_are_told_apart() {
        let (result, tally) = strike(server(|stream| reply(stream, 5)), Due::Verdict);
        result.unwrap();
        assert_eq!(tally["kind"], (1, 0));
        let (result, tally) = strike(server(|_| {}), Due::Verdict);
        result.unwrap();
        assert_eq!(tally["kind"], (0, 1));
    }

    #[test]
    fn a_server_that_keeps_silent_fails() {
        let silent = |stream: &mut TcpStream| drop(stream.read_to_end(&mut Vec::new()));
        let (result, tally) = strike(server(silent), Due::Verdict);
        let kind = result.unwrap_err().kind();
        assert!([io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut].contains(&kind), "{kind}");
        assert!(tally.is_empty());
    }

    #[test]
    fn an_answer_to_what_wants_none_fails() {
        let (result, _) = strike(server(|stream| reply(stream, 5)), Due::Silence);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
