//! `turbopump cluster` as an operator uses it: real processes on this machine.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test starts processes, makes its own directories and finds its own ports"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bench::args::{CommandLine, Failover};
use bench::failover::{Outages, failover};
use bench::interrupts::Interrupts;
use bench::report::Screen;
use bench::study::Session;
use clap::Parser;

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

/// How the directories of these tests begin; at their end is the number of the process that made them.
const PREFIX: &str = "cluster-";

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
        let runs = Path::new(env!("CARGO_TARGET_TMPDIR"));
        forget_old_runs(runs);
        let dir = runs.join(format!("{PREFIX}{name}-{}", std::process::id()));
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
        run_at(&self.data(), command, options)
    }

    /// The options of `start` that name its ports.
    fn ports(&self) -> [String; 6] {
        let [namesrv, listen, raft] =
            [self.namesrv, self.listen, self.raft].map(|port| port.to_string());
        let [a, b, c] = ["--namesrv-port", "--listen-port", "--raft-port"].map(str::to_owned);
        [a, namesrv, b, listen, c, raft]
    }

    fn start_with(&self, options: &[&str]) -> Output {
        let ports = self.ports();
        let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
        self.run("start", &[&ports, options].concat())
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
        take_down(&self.dir);
    }
}

/// Takes down what a run has left that was killed: its processes have groups of their own, so nothing has ended them.
fn forget_old_runs(runs: &Path) {
    for entry in fs::read_dir(runs).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let of_run =
            name.strip_prefix(PREFIX).and_then(|rest| rest.rsplit_once('-')?.1.parse().ok());
        if of_run.is_some_and(|pid: u32| pid != std::process::id() && is_gone(pid)) {
            take_down(&entry.path());
        }
    }
}

/// Stops a cluster whose data lie in this directory of a test, by force in the end, and removes the directory.
fn take_down(dir: &Path) {
    drop(run_at(&dir.join("data"), "stop", &[]));
    for pid in processes_in(dir) {
        drop(signal("-KILL", pid));
    }
    drop(fs::remove_dir_all(dir));
}

/// The processes that were started with something in this directory.
fn processes_in(dir: &Path) -> Vec<u32> {
    let dir = dir.display().to_string();
    let is_in_it = |pid: &u32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).into_owned();
        arguments.split('\0').any(|one| Path::new(one).starts_with(&dir))
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != std::process::id()).filter(is_in_it).collect()
}

impl Place {
    /// The process ids that lie in files.
    fn pid_files(&self) -> Vec<u32> {
        let files = fs::read_dir(self.data().join("pids")).into_iter().flatten().flatten();
        let pid = |path: PathBuf| fs::read_to_string(path).ok()?.trim().parse().ok();
        files.filter_map(|file| pid(file.path())).collect()
    }
}

/// A command of `turbopump cluster` for the cluster in this directory.
fn command_at(data: &Path, command: &str, options: &[&str]) -> Command {
    let mut process = Command::new(TURBOPUMP);
    process.args(["cluster", command, "--data"]).arg(data).args(options);
    // What the environment says about other clusters does not count.
    process.env("NAMESRV_ADDR", "192.0.2.1:9876").stdin(Stdio::null());
    process
}

fn run_at(data: &Path, command: &str, options: &[&str]) -> Output {
    command_at(data, command, options).output().expect("turbopump runs")
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
    assert!(pids.iter().all(|pid| is_gone(*pid)), "{pids:?}");
    assert_eq!(place.pid_files(), Vec::<u32>::new());
    let text = place.done(&place.run("stop", &[]));
    assert!(text.contains("nothing of the cluster"), "{text}");
    let output = place.run("status", &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("none of its brokers runs"), "nobody else is asked: {text}");
}

/// What `mqadmin` says that is told so, and does it.
fn mqadmin(words: &str) -> String {
    let words = format!("mqadmin {words}");
    let line = admin::args::CommandLine::of_words(words.split(' ')).expect("good flags");
    let kept = admin::Kept::default();
    let done = async { admin::carry_out(&line.command, &kept).await };
    let done = runtime::block_on("mqadmin", done).expect("an executor");
    let said = kept.lines().join("\n");
    assert!(done.is_ok(), "{said}\n{done:?}");
    said
}

#[test]
fn a_cluster_is_complete_with_the_members_that_it_still_has() {
    let place = Place::new("fewer");
    place.done(&place.start_with(&[]));
    let remove = format!("removeMember -n 127.0.0.1:{} --member n2", place.namesrv);
    let said = mqadmin(&remove);
    assert!(said.contains("n2 is no member any more; it cannot lose a node now"), "{said}");
    let text = place.done(&place.run("start", &[]));
    assert!(text.contains("all processes run already"), "{text}");
    assert!(text.contains("is no member of the group"), "{text}");
    assert_eq!(count(&text, "is no member of the group any more"), 1, "{text}");
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

/// Whether there is no process with this id any more, or only one that nobody has waited for yet.
fn is_gone(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default().is_empty()
}

#[test]
fn what_a_killed_run_has_left_is_taken_down_by_the_next() {
    let gone = {
        let mut child = Command::new("true").spawn().expect("it runs");
        child.wait().expect("our child");
        child.id()
    };
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{PREFIX}left-{gone}"));
    fs::create_dir_all(&dir).expect("a writable target directory");
    let conf = dir.join("data/broker.conf");
    let mut left = Command::new("sh");
    left.args(["-c", "while :; do sleep 1; done", "sh", "-c"]).arg(&conf).process_group(0);
    let mut left = left.spawn().expect("sh runs");
    let place = Place::new("next");
    let ended = left.wait().expect("our child");
    assert!(!ended.success() && !dir.exists(), "{ended}");
    assert!(place.dir.exists(), "its own stays");
}

#[test]
fn a_start_that_is_interrupted_or_whose_terminal_is_closed_leaves_nothing_running() {
    for name in ["-INT", "-HUP"] {
        let place = Place::new("ended");
        let ports = place.ports();
        let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
        let mut start = command_at(&place.data(), "start", &ports);
        let mut start =
            start.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut lines = BufReader::new(start.stdout.take().expect("piped")).lines();
        let first = lines.next().expect("a line").expect("text");
        let pid = first.strip_prefix("namesrv0 is started: process ").expect("NameServers first");
        let pid: u32 = pid.parse().expect("a number");
        assert!(signal(name, start.id()).expect("kill runs").success());
        let rest: Vec<String> = lines.map(|line| line.expect("text")).collect();
        let output = start.wait_with_output().expect("it ends");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{name}: {first}\n{rest:?}\n{error}");
        assert!(
            error.contains("interrupted\nwhat this command started is stopped again"),
            "{error}"
        );
        assert!(is_gone(pid), "{name}: {rest:?}");
        assert_eq!(place.pid_files(), Vec::<u32>::new());
        let text = String::from_utf8_lossy(&place.run("status", &[]).stdout).into_owned();
        assert!(rows(&text).iter().all(|row| row.1.is_none()), "{text}");
    }
}

/// The words that a shell makes of the command on these lines that begins with `cargo run`, after the `--`.
fn words_of_mqbench(dir: &Path, hints: &str) -> Vec<String> {
    let lines = hints.lines().skip_while(|line| !line.contains("cargo run"));
    let end = lines.clone().position(|line| !line.ends_with('\\')).expect("it has an end");
    let command: Vec<&str> = lines.take(end + 1).collect();
    let cargo = "cargo() { printf '%s\\0' \"$@\"; }\n";
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{cargo}{}", command.join("\n"))).current_dir(dir);
    let output = shell.output().expect("sh runs");
    assert!(output.status.success(), "{command:?}");
    let words = String::from_utf8(output.stdout).expect("text");
    let words = words.split_terminator('\0').skip_while(|word| *word != "--");
    words.skip(1).map(str::to_owned).collect()
}

/// What `mqbench` comes to that is told so.
fn outages(words: Vec<String>) -> Outages {
    let words = ["mqbench".to_owned()].into_iter().chain(words);
    let line = CommandLine::try_parse_from(words).expect("good flags");
    let bench::args::Command::Failover(args) = line.command else { panic!("failover") };
    let second = Duration::from_secs(1);
    let args = Failover { times: 1, settle: second, timeout: second, ..args };
    runtime::block_on("mqbench", async {
        let session =
            Session { interrupts: Interrupts::default(), screen: Screen::new(false, None) };
        failover(&session, &args).await.expect("a run")
    })
    .expect("an executor")
}

#[test]
fn the_command_that_is_printed_kills_a_leader_and_starts_it_again_whatever_the_directory_is_called()
{
    let place = Place::new("it's \"one\" of $HOME; `id`");
    // By whichever path: it is one cluster.
    fs::create_dir_all(place.data()).expect("our directory");
    let link = place.dir.join("link");
    std::os::unix::fs::symlink(place.data(), &link).expect("our directory");
    let ports = place.ports();
    let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
    let text = place.done(&run_at(&link, "start", &ports));
    let pids = |text: &str| rows(text).into_iter().map(|row| row.1).collect::<Vec<_>>();
    let (_, killed) = leader(&text).expect("one leads");

    let words = words_of_mqbench(&place.dir, &text);
    let outages = outages(words);
    assert_eq!((outages.verdict(), outages.faults.len()), (None, 1), "{outages}{}", place.logs());
    assert!(is_gone(killed), "{outages}");

    let text = place.done(&place.run("status", &[]));
    assert!(pids(&text).iter().all(Option::is_some) && pids(&text).len() == 4, "{text}");
    assert_eq!(pids(&place.done(&run_at(&link, "status", &[]))), pids(&text));
    let stopped = place.done(&run_at(&link, "stop", &[]));
    assert!(stopped.contains("4 processes have stopped"), "{stopped}");
    assert_eq!(place.pid_files(), Vec::<u32>::new());
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
