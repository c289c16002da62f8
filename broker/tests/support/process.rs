//! `mqbroker` as a process.

#![allow(clippy::disallowed_types, reason = "a test starts processes")]

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

const MQBROKER: &str = env!("CARGO_BIN_EXE_mqbroker");

/// A broker that is killed, as `kill -9` does it, when it is dropped.
pub struct Broker(Child);

impl Broker {
    /// Starts it with a configuration file; its log goes to `log`, or to the test's own output.
    pub fn start(conf: &Path, log: Option<File>) -> Self {
        let (out, errors) = match log {
            Some(log) => (Stdio::from(log.try_clone().expect("a file")), Stdio::from(log)),
            None => (Stdio::inherit(), Stdio::inherit()),
        };
        let child = Command::new(MQBROKER)
            .arg("-c")
            .arg(conf)
            .env_remove("NAMESRV_ADDR")
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors)
            .spawn();
        Self(child.expect("mqbroker starts"))
    }

    /// Tells it to stop in good order.
    pub fn terminate(&self) {
        runtime::process::terminate(self.0.id()).expect("our child");
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("our child").is_some()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A port that is free and was not given before, and so are the others at these distances from it. None of them is one that Linux hands to
/// outgoing connections: a client that keeps dialling a broker that is down would some day be given the very port it
/// dials, and talk to itself.
pub fn free_port(distances: &[u16]) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 8_000).expect("below eight thousand");
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    loop {
        let port = 12_000 + start + NEXT.fetch_add(11, Ordering::Relaxed);
        if free(port) && distances.iter().all(|to| free(port + to)) {
            return port;
        }
    }
}
