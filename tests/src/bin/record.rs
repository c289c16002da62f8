//! `record CLIENT DIRECTORY PEER=LISTEN=UPSTREAM...`: passes connections through and keeps one frame of each
//! kind as a fixture. PEER is `namesrv` or `broker`; LISTEN and UPSTREAM are `host:port`. Ends with its input.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tests::frame::{self, Parsed};
use tests::recording::{Direction, Recording, Seen};

/// Requests of one connection that wait for a reply, by their sender and number.
type Pending = Arc<Mutex<HashMap<(Direction, i64), i64>>>;
type Shared = Arc<Mutex<Recording>>;

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [client, directory, routes @ ..] = &words[..] else {
        return Err(io::Error::other("usage: record CLIENT DIRECTORY PEER=LISTEN=UPSTREAM..."));
    };
    let recording = Arc::new(Mutex::new(Recording::create(Path::new(directory), client)?));
    for route in routes {
        let parts: Vec<&str> = route.split('=').collect();
        let [peer, listen, upstream] = parts[..] else {
            return Err(io::Error::other(format!("a route is PEER=LISTEN=UPSTREAM, not {route}")));
        };
        let listener = TcpListener::bind(listen)?;
        println!("listening on {listen} for {upstream}");
        let (peer, upstream) = (peer.to_owned(), upstream.to_owned());
        let recording = Arc::clone(&recording);
        thread::spawn(move || accept(&listener, &peer, &upstream, &recording));
    }
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn accept(listener: &TcpListener, peer: &str, upstream: &str, recording: &Shared) {
    for client in listener.incoming() {
        let passed = client.and_then(|client| {
            let server = TcpStream::connect(upstream)?;
            pass(client, server, peer, recording)
        });
        if let Err(error) = passed {
            eprintln!("connection to {upstream}: {error}");
        }
    }
}

fn pass(client: TcpStream, server: TcpStream, peer: &str, recording: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let pending = Pending::default();
    let ways = [
        (client.try_clone()?, server.try_clone()?, Direction::ToServer),
        (server, client, Direction::ToClient),
    ];
    for (from, to, direction) in ways {
        let pump = Pump {
            peer: peer.to_owned(),
            direction,
            pending: Arc::clone(&pending),
            recording: Arc::clone(recording),
        };
        thread::spawn(move || {
            if let Err(error) = pump.run(from, to) {
                eprintln!("{direction:?}: {error}");
            }
        });
    }
    Ok(())
}

/// One direction of one connection.
struct Pump {
    peer: String,
    direction: Direction,
    pending: Pending,
    recording: Shared,
}

impl Pump {
    fn run(&self, mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
        let ended = loop {
            match frame::read(&mut from) {
                Ok(Some(frame)) => {
                    self.note(&frame)?;
                    to.write_all(&frame)?;
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        // The other side may have closed both already.
        drop(to.shutdown(std::net::Shutdown::Both));
        drop(from.shutdown(std::net::Shutdown::Both));
        ended
    }

    fn note(&self, frame: &[u8]) -> io::Result<()> {
        let parsed = Parsed::of(frame)?;
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let request_code = if parsed.is_reply() {
            let asker = match self.direction {
                Direction::ToServer => Direction::ToClient,
                Direction::ToClient => Direction::ToServer,
            };
            pending.remove(&(asker, parsed.opaque))
        } else {
            pending.insert((self.direction, parsed.opaque), parsed.code);
            None
        };
        drop(pending);
        let mut recording = self.recording.lock().unwrap_or_else(PoisonError::into_inner);
        recording.keep(&Seen { peer: &self.peer, direction: self.direction, request_code, frame })
    }
}
