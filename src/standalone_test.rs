//! The standalone process: what it says, what it takes, how it ends.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test starts processes, makes its own directories and finds its own ports"
)]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const TURBOPUMP: &str = env!("CARGO_BIN_EXE_turbopump");
const LIMIT: Duration = Duration::from_secs(30);
const MAX_RESIDENT_KIB: u64 = 256 * 1024;

struct Place {
    dir: PathBuf,
    broker: u16,
    namesrv: u16,
}

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("standalone-{name}-{}", std::process::id());
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        drop(fs::remove_dir_all(&dir));
        fs::create_dir_all(&dir).expect("a writable target directory");
        let free = || TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (one, two) = (free(), free());
        let port = |listener: &TcpListener| listener.local_addr().expect("it is bound").port();
        Self { dir, broker: port(&one), namesrv: port(&two) }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(TURBOPUMP);
        command.args(["--data", &self.dir.join("data").display().to_string()]);
        command.args(["--listen-port", &self.broker.to_string()]);
        command.args(["--namesrv-port", &self.namesrv.to_string()]);
        // What the environment says about other clusters does not count.
        command.env("NAMESRV_ADDR", "192.0.2.1:9876").stdin(Stdio::null());
        command
    }

    fn start(&self) -> Running {
        let log = self.dir.join("log");
        let out = fs::File::create(&log).expect("our directory");
        let child = self.command().stdout(out.try_clone().expect("a file")).stderr(out).spawn();
        let running = Running { child: child.expect("turbopump starts"), log };
        running.wait_for("Ctrl-C stops it.");
        running
    }

    /// Starts it where it cannot run, and returns what it says.
    fn refused(&self) -> String {
        let Output { status, stderr, .. } = self.command().output().expect("turbopump runs");
        assert!(!status.success());
        String::from_utf8(stderr).expect("text")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.dir));
    }
}

/// The process; killed when dropped.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("our file")
    }

    fn wait_for(&self, line: &str) {
        let end = Instant::now() + LIMIT;
        while !self.log().contains(line) {
            assert!(Instant::now() < end, "`{line}` is not in the log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).expect("our child");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// SIGTERM; true when it ended with code 0.
    fn terminate(mut self) -> bool {
        runtime::process::terminate(self.child.id()).expect("our child");
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                assert!(self.log().contains("stopped in good order"), "{}", self.log());
                return status.success();
            }
            assert!(Instant::now() < end, "it does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn it_says_what_it_does_and_takes_little() {
    let place = Place::new("start");
    let running = place.start();
    running.wait_for(&format!("namesrv=127.0.0.1:{}", place.namesrv));
    let log = running.log();
    for line in [
        format!(
            "The Name Server boot success. serializeType=JSON, address 127.0.0.1:{}",
            place.namesrv
        ),
        format!(
            "The broker[broker-a, 127.0.0.1:{}] boot success. serializeType=JSON and name server is 127.0.0.1:{}",
            place.broker, place.namesrv
        ),
        format!("NameServer   127.0.0.1:{}", place.namesrv),
        format!("broker       broker-a at 127.0.0.1:{}", place.broker),
        format!("data         {}", place.dir.join("data").display()),
        format!("produce -n 127.0.0.1:{} -t quickstart", place.namesrv),
    ] {
        assert!(log.contains(&line), "`{line}` is not in:\n{log}");
    }
    for port in [place.namesrv, place.broker] {
        TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    }
    let resident = running.resident_kib();
    assert!(resident <= MAX_RESIDENT_KIB, "{resident} KiB are resident at rest");
    assert!(running.terminate());
    let again = place.start();
    assert!(again.log().contains("clean start"), "{}", again.log());
    assert!(again.terminate());
}

#[test]
fn a_second_one_on_the_same_ports_or_data_says_so() {
    let place = Place::new("second");
    let running = place.start();
    let mut other = Place::new("second-other");
    other.namesrv = place.namesrv;
    let error = other.refused();
    let expected = format!("port {} of 127.0.0.1 is in use by another process", place.namesrv);
    assert!(error.contains(&expected), "{error}");

    let mut other = Place::new("second-other");
    other.broker = place.broker;
    let error = other.refused();
    let expected = format!("port {} of 127.0.0.1 is in use by another process", place.broker);
    assert!(error.contains(&expected), "{error}");

    let mut other = Place::new("second-other");
    let dir = std::mem::replace(&mut other.dir, place.dir.clone());
    let error = other.refused();
    other.dir = dir;
    assert!(error.contains(&format!("in use by process {}", running.child.id())), "{error}");
    assert!(running.terminate(), "the first one goes on meanwhile");
}

#[test]
fn more_shards_than_cores_are_refused() {
    let mut place = Place::new("shards");
    // It comes to no listening: low enough for the ports of all shards.
    place.broker = 10_000;
    let output = place.command().args(["--shards", "200"]).output().expect("turbopump runs");
    let error = String::from_utf8(output.stderr).expect("text");
    assert!(!output.status.success() && error.contains("200 shards need a core each"), "{error}");
}
