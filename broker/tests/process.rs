//! `mqbroker` and `mqshutdown` as processes: options, signals, locks, threads.

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

const MQBROKER: &str = env!("CARGO_BIN_EXE_mqbroker");
const MQSHUTDOWN: &str = env!("CARGO_BIN_EXE_mqshutdown");
const LIMIT: Duration = Duration::from_secs(30);

/// A directory that goes with the test, and what is in it.
struct Place {
    dir: PathBuf,
    port: u16,
}

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("process-{name}-{}", std::process::id());
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        drop(fs::remove_dir_all(&dir));
        fs::create_dir_all(&dir).expect("a writable target directory");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("it is bound").port();
        Self { dir, port }
    }

    /// A configuration file with these lines on top of the usual ones.
    fn conf(&self, lines: &str) -> PathBuf {
        let text = format!(
            "brokerName = broker-a\nlistenPort = {}\nbindAddress = 127.0.0.1\nstorePathRootDir = {}\n\
             mappedFileSizeCommitLog = 64MiB\nflushDiskType = SYNC_FLUSH\n{lines}",
            self.port,
            self.dir.join("store").display()
        );
        let path = self.dir.join("broker.conf");
        fs::write(&path, text).expect("our directory");
        path
    }

    fn start(&self, conf: &Path) -> Running {
        let running = self.spawn(conf);
        running.wait_for("the broker serves");
        running
    }

    fn spawn(&self, conf: &Path) -> Running {
        let log = self.dir.join("broker.log");
        let out = fs::File::create(&log).expect("our directory");
        let child = mqbroker(&["-c", &conf.display().to_string()])
            .stdout(out.try_clone().expect("a file"))
            .stderr(out)
            .spawn()
            .expect("mqbroker starts");
        Running { child, log }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.dir));
    }
}

fn mqbroker(args: &[&str]) -> Command {
    let mut command = Command::new(MQBROKER);
    command.args(args).env_remove("NAMESRV_ADDR").env("RUST_LOG", "info").stdin(Stdio::null());
    command
}

fn output(args: &[&str]) -> (bool, String, String) {
    let Output { status, stdout, stderr } = mqbroker(args).output().expect("mqbroker runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.success(), text(stdout), text(stderr))
}

/// A broker process; killed when dropped.
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

    fn ended(&mut self) -> bool {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status.success();
            }
            assert!(Instant::now() < end, "it does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGTERM; true when it ended with code 0.
    fn terminate(mut self) -> bool {
        runtime::process::terminate(self.child.id()).expect("our child");
        self.ended()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn options_print_and_refuse() {
    let place = Place::new("options");
    let conf = place.conf("sendMessageThreadPoolNums = 3\nbrokerNmae = x\n");
    let conf = conf.display().to_string();
    let (ok, all, warnings) = output(&["-c", &conf, "-n", "a:1;b:2;", "-p"]);
    assert!(ok);
    assert!(all.contains("\nnamesrvAddr=a:1;b:2;\n") && all.contains("\nshards=1\n"), "{all}");
    assert!(all.contains("\npopCkStayBufferTime=10000\n"));
    assert!(warnings.contains("broker.conf:8: unknown key `brokerNmae`"), "{warnings}");
    let (ok, important, _) = output(&["-c", &conf, "-m"]);
    assert!(ok && important.contains("\nflushDiskType=SYNC_FLUSH\n"), "{important}");
    assert!(!important.contains("popCk") && important.len() < all.len() / 4);

    let (ok, _, error) = output(&["-c", "/nowhere/broker.conf"]);
    assert!(!ok && error.contains("/nowhere/broker.conf"), "{error}");
    let (ok, _, error) = output(&["--colour"]);
    assert!(!ok && error.contains("--colour"), "{error}");
    let (ok, _, error) = output(&["-c", &conf, "--enable-proxy"]);
    assert!(!ok && error.contains("the gRPC proxy is not in this build"), "{error}");
    let (ok, _, _) = output(&["-c", &conf, "--enable-proxy=false", "-pc", "proxy.json", "-p"]);
    assert!(ok);
    assert_eq!(output(&["-c", &conf, "-m"]).1, important, "nothing is logged between the keys");
    let (ok, help, _) = output(&["--help"]);
    assert!(ok && help.contains("flushDiskType = ASYNC_FLUSH"), "{help}");
}

#[test]
fn a_configuration_that_asks_for_more_does_not_start() {
    let place = Place::new("refused");
    let conf = place.conf("enableDLegerCommitLog = true\ndLegerGroup = broker-a\n");
    let (ok, _, error) = output(&["-c", &conf.display().to_string()]);
    assert!(!ok && error.contains("`dLegerPeers = ` is not possible"), "{error}");
    let conf = place.conf("shards = 64\nshardPortStride = 1\n");
    let (ok, log, error) = output(&["-c", &conf.display().to_string()]);
    assert!(!ok && error.contains("64 shards need a core each"), "{error}");
    assert!(error.contains("`shards` (") && error.contains("broker.conf:7) sets it"), "{error}");
    assert_logged(&log, &error, "mqbroker");

    let (ok, log, error) = output(&["-c", "/nowhere/broker.conf"]);
    assert!(!ok && error.contains("/nowhere/broker.conf"), "{error}");
    assert_logged(&log, &error, "mqbroker");
    assert!(!place.dir.join("store").exists(), "nothing was made");
}

/// A Raft group whose members are not all there is laid out, which the log has, and waits.
#[test]
fn a_raft_group_is_laid_out_and_waits_for_its_members() {
    let place = Place::new("group");
    let raft = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = raft.local_addr().expect("it is bound").port();
    let conf = place.conf(&format!(
        "enableDLegerCommitLog = true\ndLegerSelfId = n0\ndLegerPeers = n0-localhost:{port};n1-10.0.0.2:{port}\n"
    ));
    let conf = conf.display().to_string();
    let (ok, _, error) = output(&["-c", &conf]);
    assert!(!ok && error.contains(&format!("port {port} of 127.0.0.1 is in use")), "{error}");
    let sets_it = format!("`n0-localhost:{port}` in `dLegerPeers` (");
    assert!(error.contains(&sets_it), "{error}");
    drop(raft);

    let (ok, keys, _) = output(&["-c", &conf, "-m"]);
    assert!(ok && keys.contains("\ndLegerSelfId=n0\n"), "{keys}");
    assert!(!place.dir.join("store").exists(), "nothing was made");
    let running = place.start(Path::new(&conf));
    running.wait_for("the group is not founded yet: n1");
    let log = running.log();
    assert!(running.terminate(), "it stops though it waits");
    assert!(log.contains(&format!("members=n0-127.0.0.1:{port};n1-10.0.0.2:{port}")), "{log}");
    assert!(log.contains("`n0-localhost") && log.contains("is 127.0.0.1 here"), "{log}");
    assert!(log.contains("an even number gains nothing"), "{log}");
}

/// What is said on the standard error is in the log as well, each line an event of its own.
#[track_caller]
fn assert_logged(log: &str, error: &str, program: &str) {
    let message = error.strip_prefix(&format!("{program}: ")).expect("the program's name");
    for line in message.lines() {
        let logged = |event: &str| event.contains(" ERROR ") && event.ends_with(line);
        assert!(log.lines().any(logged), "no ERROR line `{line}` in:\n{log}");
    }
}

#[test]
fn a_store_that_can_be_none_is_refused() {
    let place = Place::new("no-directory");
    let conf = place.conf("").display().to_string();
    let store = place.dir.join("store");
    fs::write(&store, "a file").expect("our directory");
    let (ok, _, error) = output(&["-c", &conf]);
    let expected = format!("{} is a file, not a directory", store.display());
    assert!(!ok && error.contains(&expected), "{error}");
    assert!(error.contains("`storePathRootDir` (") && error.contains("broker.conf:4)"), "{error}");
}

#[test]
fn it_stops_in_good_order_and_says_how_it_starts() {
    let place = Place::new("signals");
    let conf = place.conf("");
    let running = place.start(&conf);
    let log = running.log();
    assert!(log.contains("store created"), "{log}");
    let success = format!(
        "The broker[broker-a, 127.0.0.1:{}] boot success. serializeType=JSON\n",
        place.port
    );
    assert!(log.contains(&success), "{log}");
    assert!(!log.contains("this host cannot do it"), "it reaches itself: {log}");
    let mut running = running;
    runtime::process::terminate(running.child.id()).expect("our child");
    assert!(running.ended());
    assert!(running.log().contains("stopping signal=SIGTERM"), "{}", running.log());

    let running = place.start(&conf);
    assert_eq!(running.log().matches("clean start").count(), 1, "{}", running.log());
    assert!(!running.log().contains("unclean start"));
    drop(running);
    let running = place.start(&conf);
    assert_eq!(running.log().matches("unclean start").count(), 1, "{}", running.log());
    assert!(running.terminate());
}

#[test]
fn a_store_and_a_port_belong_to_one_process() {
    let place = Place::new("locks");
    let conf = place.conf("");
    let running = place.start(&conf);
    let id = running.child.id().to_string();
    let other = Place::new("locks-other");
    let same_store = other.conf("").display().to_string();
    let text = fs::read_to_string(&same_store).expect("our file");
    let store = |place: &Place| place.dir.join("store").display().to_string();
    fs::write(&same_store, text.replace(&store(&other), &store(&place))).expect("our directory");
    let (ok, _, error) = output(&["-c", &same_store]);
    assert!(!ok && error.contains("is in use by process") && error.contains(&id), "{error}");

    let same_port = other.conf("").display().to_string();
    let text = fs::read_to_string(&same_port).expect("our file");
    let port = |place: &Place| format!("listenPort = {}", place.port);
    fs::write(&same_port, text.replace(&port(&other), &port(&place))).expect("our directory");
    let (ok, _, error) = output(&["-c", &same_port]);
    let expected = format!("port {} of 127.0.0.1 is in use by another process", place.port);
    assert!(!ok && error.contains(&expected), "{error}");
    assert!(
        error.contains("`listenPort` (") && error.contains("broker.conf:2) sets it"),
        "{error}"
    );
    assert!(!other.dir.join("store").exists(), "nothing was made");

    let foreign = fs::read_to_string(&same_port).expect("our file");
    let foreign = foreign.replace("bindAddress = 127.0.0.1", "bindAddress = 192.0.2.1");
    fs::write(&same_port, foreign).expect("our directory");
    let (ok, _, error) = output(&["-c", &same_port]);
    assert!(!ok && error.contains("192.0.2.1 is no address of this host"), "{error}");
    assert!(error.contains("`bindAddress` (") && error.contains("broker.conf:3)"), "{error}");
    assert!(running.terminate(), "the first one goes on meanwhile");
}

#[test]
fn an_address_that_clients_cannot_dial_is_told() {
    let place = Place::new("address");
    // An address that is nobody's (RFC 5737), and a port on which somebody else listens.
    let conf = place.conf("brokerIP1 = 127.0.0.2\n");
    let running = place.start(&conf);
    running.wait_for("this host cannot do it");
    assert!(running.log().contains("Set brokerIP1"), "{}", running.log());
    assert!(running.terminate());
}

#[test]
fn an_address_for_clients_that_nobody_knows_is_named_with_its_line() {
    let place = Place::new("unknown-address");
    // A name that never has an address (RFC 6761).
    let conf = place.conf("brokerIP1 = nowhere.invalid\n").display().to_string();
    let (ok, _, error) = output(&["-c", &conf]);
    assert!(!ok && error.contains("nowhere.invalid"), "{error}");
    let line = format!("`brokerIP1` ({conf}:7) sets it: name an address that clients can dial");
    assert!(error.contains(&line), "{error}");
}

/// Name and core of a shard's thread; `None` for any other, and for one that ends meanwhile: the
/// kernel's workers of `io_uring` come and go, and are threads of the process as well.
fn pinned_shard(task: &Path) -> Option<(String, usize)> {
    let name = fs::read_to_string(task.join("comm")).ok()?;
    let status = fs::read_to_string(task.join("status")).ok()?;
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let core = allowed.expect("a list").trim().parse().ok()?;
    name.starts_with("shard-").then(|| (name.trim().to_owned(), core))
}

#[test]
fn each_shard_has_a_core_a_port_and_a_store() {
    let cores = runtime::allowed_cores();
    if cores.len() < 2 {
        println!("skipped: this machine has one core only");
        return;
    }
    let place = Place::new("shards");
    let conf =
        place.conf("shards = 2\nshardPortStride = 7\nnamesrvAddr = 127.0.0.1:1;127.0.0.1:2\n");
    let running = place.start(&conf);
    for (name, port) in [("broker-a", place.port), ("broker-a-1", place.port + 7)] {
        let success = format!(
            "The broker[{name}, 127.0.0.1:{port}] boot success. serializeType=JSON and name server is \
             127.0.0.1:1;127.0.0.1:2\n"
        );
        assert!(running.log().contains(&success), "{}", running.log());
    }
    let tasks = fs::read_dir(format!("/proc/{}/task", running.child.id())).expect("our child");
    let mut pinned: Vec<_> =
        tasks.filter_map(|task| pinned_shard(&task.expect("a thread").path())).collect();
    pinned.sort();
    let expected = [("shard-0".to_owned(), cores[0]), ("shard-1".to_owned(), cores[1])];
    assert_eq!(pinned, expected, "one pinned thread for each shard");
    for port in [place.port, place.port + 7] {
        TcpStream::connect(("127.0.0.1", port)).expect("a shard listens");
    }
    for shard in ["shard-0", "shard-1"] {
        assert!(place.dir.join("store").join(shard).join("log").is_dir());
    }
    assert!(running.terminate());
    assert_fixed_at_two(&place);
}

/// Each shard has a group of its own, which is not to lose a member because of another one.
#[test]
fn a_shard_of_groups_whose_store_does_not_open_is_given_up_and_the_others_serve() {
    if runtime::allowed_cores().len() < 2 {
        println!("skipped: this machine has one core only");
        return;
    }
    let place = Place::new("given-up");
    let raft = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = raft.local_addr().expect("it is bound").port();
    drop(raft);
    let conf = place.conf(&format!(
        "shards = 2\nshardPortStride = 7\nenableDLegerCommitLog = true\ndLegerSelfId = n0\n\
         dLegerPeers = n0-127.0.0.1:{port};n1-10.0.0.2:{port}\n"
    ));
    assert!(place.start(&conf).terminate());
    let spoil = |shard: &str| {
        let identity = place.dir.join("store").join(shard).join("store");
        fs::write(identity, [0; 4096]).expect("our directory");
    };
    spoil("shard-1");
    let running = place.start(&conf);
    running.wait_for("this shard is given up");
    let log = running.log();
    let line = log.lines().find(|line| line.contains("this shard is given up")).expect("a line");
    for part in ["ERROR", "shard=1", "store/shard-1", "no identity file", "start the broker again"]
    {
        assert!(line.contains(part), "{part}: {line}");
    }
    TcpStream::connect(("127.0.0.1", place.port)).expect("the other one listens");
    TcpStream::connect(("127.0.0.1", place.port + 7)).expect_err("this one does not");
    assert!(!running.terminate(), "the code at the end tells of it too");
    spoil("shard-0");
    let (ok, _, error) = output(&["-c", &conf.display().to_string()]);
    assert!(!ok && error.contains("shard 0: ") && error.contains("no identity file"), "{error}");
}

/// The store at `place` was made with two shards.
fn assert_fixed_at_two(place: &Place) {
    let one = place.conf("shards = 1\n").display().to_string();
    let (ok, _, error) = output(&["-c", &one]);
    assert!(!ok && error.contains("holds the store of a broker with 2 shards"), "{error}");
    assert!(error.contains("broker.conf:7) asks for 1;"), "{error}");
    assert!(error.contains("broker.conf:7) to 2, or `storePathRootDir` ("), "{error}");
    let default = place.conf("").display().to_string();
    let (ok, _, error) = output(&["-c", &default]);
    assert!(!ok && error.contains("`shards` asks for 1;"), "{error}");

    // An identity that cannot be read: the directories still tell the number.
    for shard in ["shard-0", "shard-1"] {
        let identity = place.dir.join("store").join(shard).join("store");
        fs::write(identity, [0; 4096]).expect("our directory");
    }
    let (ok, _, error) = output(&["-c", &default]);
    assert!(!ok && error.contains("holds the store of a broker with 2 shards"), "{error}");
    let two = place.conf("shards = 2\n").display().to_string();
    let (ok, _, error) = output(&["-c", &two]);
    assert!(!ok && error.contains("this is no identity file of a store"), "{error}");
}

#[test]
fn an_option_without_effect_is_told() {
    let place = Place::new("proxy");
    let log = place.dir.join("broker.log");
    let out = fs::File::create(&log).expect("our directory");
    let conf = place.conf("").display().to_string();
    let child = mqbroker(&["-c", &conf, "-pc", "proxy.json"]).stdout(out).spawn();
    let running = Running { child: child.expect("mqbroker starts"), log };
    running.wait_for("the broker serves");
    let expected = "option -pc (--proxyConfig proxy.json) has no effect: the gRPC proxy is not in";
    assert!(running.log().contains(expected), "{}", running.log());
    assert!(running.terminate());
}

#[test]
fn mqshutdown_stops_what_it_finds() {
    let place = Place::new("shutdown");
    let conf = place.conf("");
    let mut running = place.start(&conf);
    let id = running.child.id().to_string();
    let shutdown = |args: &[&str]| {
        let output = Command::new(MQSHUTDOWN).args(args).output().expect("mqshutdown runs");
        (output.status.success(), String::from_utf8(output.stdout).expect("text"))
    };
    // Our child stays in the process table until we have asked for its end.
    let waiting = std::thread::spawn(move || running.ended());
    let (ok, out) = shutdown(&["broker", "--pid", &id]);
    assert!(ok, "{out}");
    assert!(out.contains(&format!("mqbroker (process {id}) is told to stop")), "{out}");
    assert!(out.contains(&format!("mqbroker (process {id}) has stopped")), "{out}");
    assert!(waiting.join().expect("a thread"), "it ended with code 0");
    let (ok, out) = shutdown(&["broker", "--pid", &id]);
    assert!(!ok && out.contains("is running on this host"), "{out}");
    let (ok, _) = shutdown(&["kitchen"]);
    assert!(!ok);
}

#[test]
fn a_signal_while_it_starts_is_heard() {
    let place = Place::new("early");
    let conf = place.conf("");
    let mut running = place.spawn(&conf);
    running.wait_for("broker starts");
    runtime::process::terminate(running.child.id()).expect("our child");
    assert!(running.ended(), "{}", running.log());
    let log = running.log();
    let ends = ["stopped before it served", "stopped in good order"];
    assert!(ends.iter().any(|end| log.contains(end)), "{log}");
    assert!(place.start(&conf).terminate(), "the store is as before");
}

#[test]
fn a_second_signal_ends_a_stop_that_takes_long() {
    let place = Place::new("twice");
    // A NameServer that says nothing holds up the good-bye for a second.
    let mute = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = mute.local_addr().expect("it is bound");
    let conf = place.conf(&format!("namesrvAddr = {addr}\n"));
    let mut running = place.start(&conf);
    let id = running.child.id();
    runtime::process::terminate(id).expect("our child");
    running.wait_for("shard stops");
    std::thread::sleep(Duration::from_millis(250));
    runtime::process::terminate(id).expect("our child");
    assert!(!running.ended(), "{}", running.log());
    assert_eq!(running.child.wait().expect("our child").code(), Some(143));
    let log = running.log();
    assert!(log.contains("mqbroker: SIGTERM for the second time"), "{log}");
    assert!(!log.contains("stopped in good order"), "{log}");
}

/// Waits until the broker listens.
fn until_it_listens(child: &mut Child, port: u16) {
    let end = Instant::now() + LIMIT;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let status = child.try_wait().expect("our child");
        assert!(status.is_none() && Instant::now() < end, "it does not listen: {status:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Ends the broker by SIGTERM; its exit code.
fn exit_code(mut child: Child) -> Option<i32> {
    runtime::process::terminate(child.id()).expect("our child");
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().expect("our child") {
            return status.code();
        }
        assert!(Instant::now() < end, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_broker_outlives_who_reads_its_log() {
    let place = Place::new("closed");
    let conf = place.conf("").display().to_string();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = mqbroker(&["-c", &conf]);
    command.stdout(writer.try_clone().expect("a pipe")).stderr(writer);
    let mut child = command.spawn().expect("mqbroker starts");
    drop((reader, command));
    until_it_listens(&mut child, place.port);
    assert_eq!(exit_code(child), Some(0));
}

#[test]
fn a_reader_that_takes_nothing_does_not_stop_the_broker() {
    use std::io::Write;
    let place = Place::new("blocked");
    let conf = place.conf("").display().to_string();
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let mut command = mqbroker(&["-c", &conf]);
    command.stdout(writer.try_clone().expect("a pipe")).stderr(writer.try_clone().expect("a pipe"));
    // More than a pipe holds: this thread waits until the pipe is closed.
    let filling = std::thread::spawn(move || writer.write_all(&[b'x'; 1 << 20]));
    std::thread::sleep(Duration::from_millis(200));
    let mut child = command.spawn().expect("mqbroker starts");
    drop(command);
    until_it_listens(&mut child, place.port);
    assert_eq!(exit_code(child), Some(0));
    drop(reader);
    filling.join().expect("it ends").expect_err("nobody reads");
}

#[test]
fn a_fatal_line_comes_out_although_nobody_reads_the_log() {
    use std::io::{Read, Write};
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let mut command = mqbroker(&["-c", "/nowhere/broker.conf"]);
    command.stdout(writer.try_clone().expect("a pipe")).stderr(Stdio::piped());
    let filling = std::thread::spawn(move || writer.write_all(&[b'x'; 1 << 20]));
    std::thread::sleep(Duration::from_millis(200));
    let mut child = command.spawn().expect("mqbroker starts");
    drop(command);
    let mut text = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut text).expect("text");
    assert!(text.contains("mqbroker: ") && text.contains("/nowhere/broker.conf"), "{text}");
    assert_eq!(child.wait().expect("our child").code(), Some(1));
    drop(reader);
    filling.join().expect("it ends").expect_err("nobody reads");
}
