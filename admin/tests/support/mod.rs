//! Brokers as processes, a NameServer, and clients.

use std::fs::{self, File};
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use broker::boot::{self, ConfigFile};
use client::{Client, Form, Message, Options, Pull, PullStatus};
use model::Record;
use runtime::channel::{Promise, promise};
use runtime::{Executor, Placement, Spec};

/// Says to this program that it is a broker, and with which file.
const CONF: &str = "MQADMIN_TEST_BROKER";
/// Distance of the port for the other members from the one for clients.
const RAFT: u16 = 5;
const TOPIC: &str = "T";
/// What is waited for must come within this time.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A broker, if this process was started as one.
pub fn be_a_broker() {
    let Ok(conf) = std::env::var(CONF) else { return };
    boot::log_to_stdout();
    let file = ConfigFile::read(Path::new(&conf)).expect("our file");
    let loaded = boot::load(&[], Some(&file), &[]).expect("our keys");
    let signals = runtime::process::stop_signals_second_ends("broker").expect("signals");
    let config = loaded.config().expect("our configuration");
    let Some(mut broker) = boot::start(config, signals).expect("it starts") else { return };
    broker.wait_for_signal();
    broker.stop().expect("it stops in good order");
}

/// A node of the group.
pub struct Node {
    pub label: String,
    pub port: u16,
    dir: PathBuf,
    process: Option<Child>,
}

impl Node {
    pub fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills it, as `kill -9` does.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("our child");
        process.wait().expect("our child");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

/// A directory, a NameServer, and nodes. All ends when it is dropped.
pub struct Lab {
    dir: PathBuf,
    namesrv: (SocketAddr, Promise<()>, Option<Executor<()>>),
    pub nodes: Vec<Node>,
}

impl Lab {
    /// With three nodes that found a group.
    pub fn new() -> Self {
        let name = format!("mqadmin-{}", std::process::id());
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&dir).expect("a writable target directory");
        let mut lab = Self { dir, namesrv: namesrv(), nodes: Vec::new() };
        (0..3).for_each(|at| lab.prepare(&format!("n{at}")));
        (0..3).for_each(|at| lab.start(at, &[0, 1, 2]));
        lab
    }

    pub fn namesrv(&self) -> String {
        self.namesrv.0.to_string()
    }

    /// One more node, which does not run yet.
    pub fn prepare(&mut self, label: &str) {
        let (port, dir) = (free_port(), self.dir.join(format!("store-{label}")));
        self.nodes.push(Node { label: label.to_owned(), port, dir, process: None });
    }

    /// Starts a node, in whose file these are the members.
    pub fn start(&mut self, at: usize, members: &[usize]) {
        let peer = |at: &usize| {
            let node = &self.nodes[*at];
            format!("{}-127.0.0.1:{}", node.label, node.port + RAFT)
        };
        let peers: Vec<String> = members.iter().map(peer).collect();
        let node = &self.nodes[at];
        let text = format!(
            "brokerName = broker-a\nlistenPort = {}\nbindAddress = 127.0.0.1\nbrokerIP1 = 127.0.0.1\nnamesrvAddr = {}\n\
             storePathRootDir = {}\nmappedFileSizeCommitLog = 16MiB\nmaxMessageSize = 1MiB\ntailBudget = 4MiB\n\
             enableDLegerCommitLog = true\ndLegerGroup = g\ndLegerPeers = {}\ndLegerSelfId = {}\n\
             raftHeartbeatMillis = 100\nraftElectionMinMillis = 500\nraftElectionMaxMillis = 1000\n",
            node.port,
            self.namesrv(),
            node.dir.display(),
            peers.join(";"),
            node.label
        );
        let conf = self.dir.join(format!("{}.conf", node.label));
        fs::write(&conf, text).expect("our directory");
        let log = File::create(self.log_of(at)).expect("our directory");
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "this_program_is_a_broker_when_it_is_told_so", "--nocapture"])
            .env(CONF, &conf)
            .env_remove("NAMESRV_ADDR")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn();
        self.nodes[at].process = Some(child.expect("it starts"));
    }

    fn log_of(&self, at: usize) -> PathBuf {
        self.dir.join(format!("{}.log", self.nodes[at].label))
    }

    /// What all nodes have said, for the one who reads of a failure.
    pub fn said(&self) -> String {
        let of = |at: usize| {
            let log = fs::read_to_string(self.log_of(at)).unwrap_or_default();
            format!("{}:\n{log}\n", self.nodes[at].label)
        };
        (0..self.nodes.len()).map(of).collect()
    }

    #[track_caller]
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let end = Instant::now() + LIMIT;
        while !holds() {
            assert!(Instant::now() < end, "not within {LIMIT:?}: {what}:\n{}", self.said());
            sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.nodes.clear();
        if let Some(executor) = self.namesrv.2.take() {
            let (_, stop, _) = &mut self.namesrv;
            // It may have ended by itself.
            std::mem::replace(stop, promise().0).fulfil(()).unwrap_or_default();
            drop(executor.join());
        }
        if !std::thread::panicking() {
            drop(fs::remove_dir_all(&self.dir));
        }
    }
}

fn spec(name: &str) -> Spec {
    Spec { name: name.to_owned(), placement: Placement::Any, busy_poll: None }
}

fn namesrv() -> (SocketAddr, Promise<()>, Option<Executor<()>>) {
    let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let config = namesrv::Config { listen, ..namesrv::Config::default() };
    let (stop, told) = promise();
    let executor = runtime::start(spec("namesrv"), move || async move {
        let server = namesrv::start(config).await.expect("the port is free");
        told.await.unwrap_or(());
        server.stop().await;
    });
    (listen, stop, Some(executor.expect("an executor")))
}

/// A port that is free, and so is the one for the other members. Not one of those that Linux gives to connections that go out.
fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 8_000).expect("below eight thousand");
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    loop {
        let port = 21_000 + start + NEXT.fetch_add(11, Ordering::Relaxed);
        if free(port) && free(port + RAFT) {
            return port;
        }
    }
}

/// `mqadmin` with these words, not begun yet.
pub fn mqadmin(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mqadmin"));
    command.args(words.split(' ')).env_remove("NAMESRV_ADDR").stdin(Stdio::null());
    command
}

/// Runs it to its end; its exit code, and all that it says.
pub fn run(words: &str) -> (i32, String) {
    let Output { status, stdout, stderr } = mqadmin(words).output().expect("mqadmin runs");
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    println!("$ mqadmin {words}\n{said}");
    (status.code().expect("nobody kills it"), said)
}

/// Has a client do something.
pub fn as_client<T, F, Fut>(deed: F) -> T
where
    T: Send + 'static,
    F: FnOnce(Client) -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let run = move || async move { deed(Client::new(Options::new(""))).await };
    let executor = runtime::start(spec("client"), run).expect("an executor");
    executor.join().expect("it ends by itself")
}

/// Sends one message to whoever takes it; whether it was acknowledged.
pub fn send(lab: &Lab, number: u32) -> bool {
    let addrs: Vec<String> = lab.nodes.iter().map(Node::addr).collect();
    as_client(move |client| async move {
        let body = number.to_be_bytes();
        for addr in &addrs {
            let message =
                Message { topic: TOPIC, queue: Some(0), body: &body, ..Message::default() };
            if client.send(addr, "PG", &message, Form::Short).await.is_ok() {
                return true;
            }
        }
        false
    })
}

/// The numbers of all messages that a node has.
pub fn read(node: &Node) -> Vec<u32> {
    let addr = node.addr();
    as_client(move |client| async move {
        let mut all = Vec::new();
        loop {
            let pull = Pull {
                group: "G",
                topic: TOPIC,
                queue: 0,
                offset: i64::try_from(all.len()).expect("few"),
                max: 32,
                tags: Some("*"),
                hold: None,
                commit: None,
            };
            let Ok(pulled) = client.pull(&addr, &pull).await else { return all };
            if pulled.status != PullStatus::Found {
                return all;
            }
            let mut rest = &pulled.records[..];
            while !rest.is_empty() {
                let record = Record::parse(rest).expect("a whole record");
                all.push(u32::from_be_bytes(record.body().try_into().expect("a body of ours")));
                rest = &rest[record.bytes().len()..];
            }
        }
    })
}
