//! `turbopump cluster` as an operator uses it: real processes on this machine.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test starts processes, makes its own directories and finds its own ports"
)]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const TURBOPUMP: &str = env!("CARGO_BIN_EXE_turbopump");
const LIMIT: Duration = Duration::from_secs(30);

/// One cluster at a time: a small machine has few cores.
static TURN: Mutex<()> = Mutex::new(());

/// A directory, and ports that are free, for a cluster that is stopped and removed when this is dropped.
struct Place {
    dir: PathBuf,
    namesrv: u16,
    listen: u16,
    raft: u16,
    _turn: MutexGuard<'static, ()>,
}

/// How far the ports of two groups lie above the first of each kind.
const NAMES: [u16; 2] = [0, 1];
const LISTENS: [u16; 6] = [0, 10, 20, 1000, 1010, 1020];
const RAFTS: [u16; 6] = [0, 1, 2, 1000, 1001, 1002];

/// A port that is free, and so are those so far above it. None of them is one that Linux gives to connections that go out.
fn free_port(from: u16, distances: &[u16]) -> u16 {
    let start = u16::try_from(std::process::id() % 500).expect("below five hundred");
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut ports = (0..40).map(|step| from + start + 37 * step);
    ports
        .find(|port| distances.iter().all(|distance| free(port + distance)))
        .expect("there are free ports")
}

impl Place {
    fn new(name: &str) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("cluster-{name}-{}", std::process::id());
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        drop(fs::remove_dir_all(&dir));
        fs::create_dir_all(&dir).expect("a writable target directory");
        let namesrv = free_port(21_000, &NAMES);
        let (listen, raft) = (free_port(23_000, &LISTENS), free_port(26_000, &RAFTS));
        Self { dir, namesrv, listen, raft, _turn: turn }
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn run(&self, command: &str, options: &[&str]) -> Output {
        let mut process = Command::new(TURBOPUMP);
        process.args(["cluster", command, "--data"]).arg(self.data()).args(options);
        // What the environment says about other clusters does not count.
        process.env("NAMESRV_ADDR", "192.0.2.1:9876").stdin(Stdio::null());
        process.output().expect("turbopump runs")
    }

    fn start_with(&self, options: &[&str]) -> Output {
        let ports = [self.namesrv, self.listen, self.raft].map(|port| port.to_string());
        let [namesrv, listen, raft] = &ports;
        let given = ["--namesrv-port", namesrv, "--listen-port", listen, "--raft-port", raft];
        self.run("start", &[&given, options].concat())
    }

    /// What a process prints that does what it is told.
    #[track_caller]
    fn done(&self, output: &Output) -> String {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}{errors}{}", self.logs());
        text
    }

    /// The ends of all logs, for a message.
    fn logs(&self) -> String {
        let folders = fs::read_dir(self.data()).into_iter().flatten().flatten();
        let logs = folders.filter_map(|folder| fs::read_to_string(folder.path().join("log")).ok());
        let ends = logs.map(|log| {
            let lines: Vec<&str> = log.lines().collect();
            lines[lines.len().saturating_sub(8)..].join("\n")
        });
        ends.collect::<Vec<_>>().join("\n---\n")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.run("stop", &[]));
        for pid in self.pid_files() {
            drop(signal("-KILL", pid));
        }
        drop(fs::remove_dir_all(&self.dir));
    }
}

impl Place {
    /// The process ids that lie in files.
    fn pid_files(&self) -> Vec<u32> {
        let files = fs::read_dir(self.data().join("pids")).into_iter().flatten().flatten();
        let pid = |path: PathBuf| fs::read_to_string(path).ok()?.trim().parse().ok();
        files.filter_map(|file| pid(file.path())).collect()
    }
}

fn signal(name: &str, pid: u32) -> std::io::Result<std::process::ExitStatus> {
    Command::new("kill").args([name, &pid.to_string()]).stderr(Stdio::null()).status()
}

/// The lines of the first table: name, pid, port and role.
fn rows(text: &str) -> Vec<(String, Option<u32>, u16, String)> {
    let table = text.lines().skip_while(|line| !line.starts_with("process ")).skip(1);
    let row = |line: &str| {
        let mut fields = line.split_whitespace();
        let (name, pid, port) = (fields.next()?, fields.next()?, fields.next()?);
        let role = fields.collect::<Vec<_>>().join(" ");
        Some((name.to_owned(), pid.parse().ok(), port.parse().ok()?, role))
    };
    table.map_while(row).collect()
}

fn leader(text: &str) -> Option<(String, u32)> {
    let leads = rows(text).into_iter().find(|(_, _, _, role)| role == "leader")?;
    Some((leads.0, leads.1?))
}

fn count(text: &str, role: &str) -> usize {
    rows(text).iter().filter(|row| row.3 == role).count()
}

/// Asks for the state until it is as wanted.
fn status_until(place: &Place, wanted: impl Fn(&str) -> bool) -> Output {
    let end = Instant::now() + LIMIT;
    loop {
        let output = place.run("status", &[]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if wanted(&text) {
            return output;
        }
        assert!(Instant::now() < end, "{text}{}", place.logs());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_group_survives_the_kill_of_its_leader_and_what_was_killed_comes_back() {
    let place = Place::new("kill");
    let text = place.done(&place.start_with(&[]));
    assert_eq!(rows(&text).len(), 4, "{text}");
    assert_eq!((count(&text, "leader"), count(&text, "follower")), (1, 2), "{text}");
    assert_eq!(count(&text, "NameServer"), 1, "{text}");
    for words in
        ["group RaftNode00  cluster RaftCluster", "it can lose 1 node", "#Label", "kill -9 "]
    {
        assert!(text.contains(words), "{text}");
    }
    for (name, pid, port, _) in rows(&text) {
        TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let file = place.data().join("pids").join(port.to_string());
        let file = fs::read_to_string(file).expect("a file");
        assert_eq!(file.trim().parse().ok(), pid, "{name}");
    }

    let again = place.done(&place.run("start", &[]));
    assert!(again.contains("all processes run already"), "{again}");
    let pids = |text: &str| rows(text).into_iter().map(|row| (row.0, row.1)).collect::<Vec<_>>();
    assert_eq!(pids(&again), pids(&text), "nothing was started twice");

    let (name, pid) = leader(&text).expect("one leads");
    assert!(signal("-KILL", pid).expect("kill runs").success());
    let follows = |text: &str| leader(text).is_some_and(|(other, _)| other != name);
    let output = status_until(&place, follows);
    assert_eq!(output.status.code(), Some(1), "one does not run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(rows(&text).iter().any(|row| row.0 == name && row.1.is_none()), "{text}");
    assert!(text.contains("it cannot lose a node now"), "{text}");

    let text = place.done(&place.run("start", &[]));
    assert!(text.contains(&format!("{name} is started")), "{text}");
    assert!(text.contains("it can lose 1 node"), "{text}");
    assert!(place.run("status", &[]).status.success());

    let pids: Vec<u32> = rows(&text).iter().filter_map(|row| row.1).collect();
    let text = place.done(&place.run("stop", &[]));
    assert!(text.contains("4 processes have stopped"), "{text}");
    for pid in pids {
        // One that has ended and that nobody has waited for yet has no arguments any more.
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(arguments.is_empty(), "{pid} is gone");
    }
    assert_eq!(place.pid_files(), Vec::<u32>::new());
    let text = place.done(&place.run("stop", &[]));
    assert!(text.contains("nothing of the cluster"), "{text}");
    assert_eq!(place.run("status", &[]).status.code(), Some(1));
}

#[test]
fn two_groups_come_with_two_name_servers_and_one_that_is_paused_is_stopped_too() {
    let place = Place::new("two");
    let text = place.done(&place.start_with(&["--groups", "2"]));
    assert_eq!((count(&text, "leader"), count(&text, "follower")), (2, 4), "{text}");
    assert_eq!(count(&text, "NameServer"), 2, "{text}");
    let namesrv = format!("127.0.0.1:{};127.0.0.1:{}", place.namesrv, place.namesrv + 1);
    assert!(text.contains(&namesrv), "{text}");
    let conf = fs::read_to_string(place.data().join("RaftNode01-n2/broker.conf")).expect("a file");
    for line in [
        format!("namesrvAddr = {namesrv}"),
        format!("listenPort = {}", place.listen + 1020),
        "brokerName = RaftNode01".to_owned(),
        "dLegerSelfId = n2".to_owned(),
    ] {
        assert!(conf.lines().any(|one| one == line), "no `{line}` in:\n{conf}");
    }
    let paused = rows(&text)[2].1.expect("it runs");
    assert!(signal("-STOP", paused).expect("kill runs").success());
    let text = place.done(&place.run("stop", &[]));
    assert!(text.contains("8 processes have stopped"), "{text}");
}

#[test]
fn a_port_that_is_taken_is_named_with_whoever_has_it_and_nothing_is_started() {
    let place = Place::new("port");
    let taken = TcpListener::bind(("127.0.0.1", place.raft + 1)).expect("it is free");
    let output = place.start_with(&[]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    let port = place.raft + 1;
    for words in [
        format!("port {port} of 127.0.0.1, for the group of RaftNode00-n1, is in use"),
        format!("process {} listens there", std::process::id()),
        "--raft-port".to_owned(),
    ] {
        assert!(error.contains(&words), "no `{words}` in: {error}");
    }
    assert_eq!(place.pid_files(), Vec::<u32>::new(), "nothing was started");
    assert!(!place.data().join("cluster.conf").exists(), "other ports may still be chosen");
    drop(taken);
}

#[test]
fn options_that_are_not_those_of_the_cluster_that_is_there_are_refused() {
    let place = Place::new("other");
    let output = place.run("status", &[]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("there is no cluster in ") && error.contains("--data"), "{error}");
    fs::create_dir_all(place.data()).expect("our directory");
    fs::write(place.data().join("cluster.conf"), "groups = 1\n").expect("our directory");
    let output = place.run("start", &["--groups", "2"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("--groups 2, but the cluster in ") && error.contains("with 1"),
        "{error}"
    );
    fs::write(place.data().join("cluster.conf"), "# ours\ngroups = many\n").expect("our directory");
    for command in ["start", "status", "stop"] {
        let output = place.run(command, &[]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1));
        assert!(error.contains("cluster.conf:2: `groups = many`"), "{error}");
    }
    let output = place.run("start", &["--raft-port", "70000"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("option --raft-port") && error.contains("65535"), "{error}");
    assert_eq!(place.pid_files(), Vec::<u32>::new(), "nothing was started");
}
