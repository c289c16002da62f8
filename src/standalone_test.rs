//! The standalone process: what it says, what it takes, how it ends.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test starts processes, makes its own directories and finds its own ports"
)]

use std::fs;
use std::io::Write;
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
        self.command_on(&self.dir.join("data"))
    }

    fn command_on(&self, data: &Path) -> Command {
        let mut command = Command::new(TURBOPUMP);
        command.args(["--data", &data.display().to_string()]);
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
        self.refused_with(&[])
    }

    fn refused_with(&self, options: &[&str]) -> String {
        self.refused_on(&self.dir.join("data"), options)
    }

    fn refused_on(&self, data: &Path, options: &[&str]) -> String {
        let output = self.command_on(data).args(options).output().expect("turbopump runs");
        let Output { status, stdout, stderr } = output;
        assert!(!status.success());
        let (log, error) = (String::from_utf8(stdout), String::from_utf8(stderr));
        let (log, error) = (log.expect("text"), error.expect("text"));
        let message = error.strip_prefix("turbopump: ").expect("the program's name");
        let line = message.lines().next().expect("a line");
        let logged = |event: &str| event.contains(" ERROR ") && event.ends_with(line);
        assert!(log.lines().any(logged), "no ERROR line `{line}` in:\n{log}");
        error
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
    assert!(error.contains(&expected) && error.contains("--namesrv-port sets it"), "{error}");
    assert!(!other.dir.join("data").exists(), "nothing was made");

    let mut other = Place::new("second-other");
    other.broker = place.broker;
    let error = other.refused();
    let expected = format!("port {} of 127.0.0.1 is in use by another process", place.broker);
    assert!(error.contains(&expected) && error.contains("--listen-port sets it"), "{error}");
    assert!(!other.dir.join("data").exists(), "nothing was made");

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
    let error = place.refused_with(&["--shards", "200"]);
    assert!(error.contains("200 shards need a core each"), "{error}");
    assert!(error.contains("--shards sets it"), "{error}");
    assert!(!place.dir.join("data").exists(), "nothing was made");
}

#[test]
fn ports_and_addresses_that_cannot_be_are_told_by_their_options() {
    let mut place = Place::new("ports");
    let error = place.refused_with(&["--host", "192.0.2.1"]);
    assert!(error.contains("192.0.2.1 is no address of this host"), "{error}");
    assert!(error.contains("--host sets it") && !error.contains("--namesrv-port"), "{error}");

    place.namesrv = place.broker;
    let error = place.refused();
    let port = place.broker;
    let expected = format!("--listen-port {port} and --namesrv-port {port} are the same");
    assert!(error.contains(&expected) && !error.contains("process"), "{error}");

    // It comes to no listening.
    (place.broker, place.namesrv) = (10_911, 11_011);
    let error = place.refused_with(&["--shards", "2"]);
    assert!(error.contains("--namesrv-port 11011 is also the port of shard 1"), "{error}");
    assert!(error.contains("--listen-port 10911 and 1 × 100"), "{error}");
    assert!(!place.dir.join("data").exists(), "nothing was made");
}

#[test]
fn data_that_are_a_file_or_of_other_shards_are_told_by_their_option() {
    let place = Place::new("data");
    let data = place.dir.join("data");
    fs::write(&data, "a file").expect("our directory");
    let error = place.refused();
    assert!(error.contains(&format!("{} is a file, not a directory", data.display())), "{error}");
    assert!(error.contains("--data sets it"), "{error}");
    let below = data.join("below");
    let error = place.refused_on(&below, &[]);
    let expected = format!("{} cannot be the data directory: ", below.display());
    assert!(error.contains(&expected), "{error}");
    assert!(error.contains(&format!("{} is a file", data.display())), "{error}");
    fs::remove_file(&data).expect("our file");

    if runtime::allowed_cores().len() < 2 {
        println!("the rest is skipped: this machine has one core only");
        return;
    }
    assert!(place.start().terminate());
    let mut other = Place::new("data-shards");
    // A port of which the one for shard 1 is free as well.
    while TcpListener::bind(("127.0.0.1", other.broker + 100)).is_err() {
        other = Place::new("data-shards");
    }
    let error = other.refused_on(&data, &["--shards", "2"]);
    assert!(error.contains("a broker with 1 shard, and --shards asks for 2"), "{error}");
    assert!(error.contains("set --shards to 1, or --data to another directory"), "{error}");
}

#[test]
fn data_in_memory_are_warned_of() {
    let mounts = fs::read_to_string("/proc/mounts").expect("the kernel tells");
    if !mounts.lines().any(|line| line.starts_with("tmpfs /dev/shm tmpfs ")) {
        println!("skipped: this machine has no tmpfs at /dev/shm");
        return;
    }
    let mut place = Place::new("memory");
    drop(fs::remove_dir_all(&place.dir));
    place.dir = PathBuf::from(format!("/dev/shm/standalone-memory-{}", std::process::id()));
    fs::create_dir_all(&place.dir).expect("a writable directory");
    let output = place.dir.join("log");
    let out = fs::File::create(&output).expect("our directory");
    let mut command = place.command();
    let child = command.stdout(out.try_clone().expect("a file")).stderr(out).spawn();
    let mut running = Running { child: child.expect("turbopump starts"), log: output };
    running.wait_for("is on a tmpfs, which is memory");
    let line = running.log();
    let line = line.lines().find(|line| line.contains("tmpfs")).expect("it was there");
    assert!(line.contains(" WARN ") && line.contains("--data sets it"), "{line}");
    drop(running.child.kill());
    drop(running.child.wait());
}

#[test]
fn a_peer_that_speaks_another_protocol_is_told() {
    let place = Place::new("foreign");
    let running = place.start();
    for (bytes, words) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "the peer speaks HTTP, "),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "the peer speaks HTTP/2, "),
        (&[0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3], "the peer speaks TLS, "),
    ] {
        let mut peer = TcpStream::connect(("127.0.0.1", place.broker)).expect("it listens");
        peer.write_all(bytes).expect("it reads");
        running.wait_for(words);
    }
    assert!(running.terminate());
}
