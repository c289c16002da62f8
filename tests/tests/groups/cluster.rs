//! Three nodes of a broker, some that may join them, two NameServers and a client.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker::config::{Config, KEYS, Surroundings};
use broker::shard::siblings::mailboxes;
use broker::shard::{Start, StartError};
use client::{Client, ClientError, Form, Message, NewTopic, Options, Pull, PullStatus};
use config::{Settings, Source};
use model::Record;
use remoting::body::{Body, ClusterInfo};
use remoting::{Command, RequestCode};
use runtime::channel::{Promise, promise};
use runtime::sim::{Node, Simulation};
use runtime::{Executor, Instant};
use transport::{Limits, NoRequests};

pub const SECOND: Duration = Duration::from_secs(1);
/// What is waited for must come within this time, which is virtual.
const LIMIT: Duration = Duration::from_secs(30);
/// Nodes that found the group.
const NODES: usize = 3;
/// And those that may join it.
const MACHINES: usize = 6;
/// Those that may be another broker instead.
const OTHERS: Range<usize> = 3..5;
const NAMESRV: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 1);
/// Where nodes listen for each other, unless they have moved.
const RAFT_PORT: u16 = 40_911;
const TOPIC: &str = "T";

/// What a node runs.
struct Running {
    stops: Vec<Promise<()>>,
    shards: Vec<Executor<Result<(), StartError>>>,
    /// One that was left out.
    late: Option<(String, Start)>,
}

pub struct Cluster {
    simulation: Simulation,
    nodes: Vec<Node>,
    client: Node,
    shards: u32,
    running: [Option<Running>; MACHINES],
    /// How often the store of each node was moved away.
    moved: [u32; MACHINES],
    /// Where each node listens for the others, by its own configuration.
    pub raft_ports: [u16; MACHINES],
    /// Keys of the nodes' configurations beside the usual ones.
    pub keys: Vec<(&'static str, String)>,
    /// Nodes 3 and 4 are another broker: a group of their own, in which they are called as two of the first one.
    pub two_brokers: bool,
}

fn ip(at: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 1, u8::try_from(at + 1).expect("few"))
}

impl Cluster {
    pub fn new(seed: u64, shards: u32) -> Self {
        let simulation = Simulation::new(seed);
        for (name, ip) in ["ns0", "ns1"].into_iter().zip(NAMESRV) {
            start_namesrv(&simulation.node(name, ip));
        }
        let names = ["b0", "b1", "b2", "b3", "b4", "b5"];
        let nodes = (0..MACHINES).map(|at| simulation.node(names[at], ip(at))).collect();
        let client = simulation.node("client", CLIENT);
        let (running, moved, keys) = Default::default();
        let raft_ports = [RAFT_PORT; MACHINES];
        let two_brokers = false;
        Self { simulation, nodes, client, shards, running, moved, raft_ports, keys, two_brokers }
    }

    /// Whether a node is one of the other broker's.
    fn is_other(&self, at: usize) -> bool {
        self.two_brokers && OTHERS.contains(&at)
    }

    /// The members in the configuration of a node: those that found the group, and itself.
    fn peers_of(&self, at: usize) -> Vec<usize> {
        match self.is_other(at) {
            true => OTHERS.collect(),
            false => (0..NODES).chain((at >= NODES).then_some(at)).collect(),
        }
    }

    /// The number in the label of a node.
    fn number(&self, at: usize) -> usize {
        if self.is_other(at) { at - OTHERS.start } else { at }
    }

    /// Where clients reach a shard.
    pub fn addr(at: usize, shard: u32) -> String {
        format!("{}:{}", ip(at), 10_911 + 100 * shard)
    }

    pub fn now(&self) -> Instant {
        self.simulation.now()
    }

    pub fn run_for(&self, time: Duration) {
        self.simulation.run_for(time);
    }

    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let end = self.now() + LIMIT;
        while !holds(self) {
            assert!(self.now() < end, "not within {LIMIT:?}: {what}");
            self.run_for(Duration::from_millis(10));
        }
    }

    pub fn start_all(&mut self) {
        (0..NODES).for_each(|at| self.start(at));
    }

    pub fn start(&mut self, at: usize) {
        self.start_without(at, None);
    }

    /// Starts a node, without this shard if there is one.
    pub fn start_without(&mut self, at: usize, late: Option<u32>) {
        assert!(self.running[at].is_none(), "it runs already");
        let config = self.config(at);
        let peers = self.peers_of(at).into_iter();
        let ips: Vec<Option<IpAddr>> = peers.map(|at| Some(ip(at).into())).collect();
        let group = config.raft_group.as_ref().expect("there are groups");
        let layouts = group.layouts(&config, &ips).expect("they fit");
        let mut running = Running { stops: Vec::new(), shards: Vec::new(), late: None };
        for ((number, layout), mailbox) in (0..).zip(layouts).zip(mailboxes(self.shards)) {
            let ((stop, stopped), (ready, _)) = (promise(), promise());
            let start = Start {
                config: Arc::clone(&config),
                number,
                advertised: ip(at).into(),
                group: Some(layout),
                mailbox,
                ready,
                stop: stopped,
            };
            let name = format!("shard-{number}");
            running.stops.push(stop);
            if late == Some(number) {
                running.late = Some((name, start));
                continue;
            }
            let shard = self.nodes[at].start(&name, move || broker::shard::run(start));
            running.shards.push(shard);
        }
        self.running[at] = Some(running);
    }

    /// Starts a shard that was left out.
    pub fn start_late(&mut self, at: usize) {
        let running = self.running[at].as_mut().expect("its other shards run");
        let (name, start) = running.late.take().expect("one was left out");
        running.shards.push(self.nodes[at].start(&name, move || broker::shard::run(start)));
    }

    /// Takes a node's port for clients as soon as nobody has it, and gives it back after this time.
    pub fn steal_port(&self, at: usize, time: Duration) -> Executor<()> {
        let addr = SocketAddr::from((ip(at), 10_911));
        self.nodes[at].start("thief", move || async move {
            loop {
                if let Ok(listener) = runtime::TcpListener::bind(addr).await {
                    runtime::sleep(time).await;
                    return drop(listener);
                }
                runtime::sleep(Duration::from_micros(20)).await;
            }
        })
    }

    /// Starts a node as a broker without a group, which it refuses.
    pub fn start_alone(&mut self, at: usize) -> String {
        let config = Config { raft_group: None, ..(*self.config(at)).clone() };
        let ((stop, stopped), (ready, _)) = (promise(), promise());
        let start = Start {
            config: Arc::new(config),
            number: 0,
            advertised: ip(at).into(),
            group: None,
            mailbox: mailboxes(1).remove(0),
            ready,
            stop: stopped,
        };
        let shard = self.nodes[at].start("shard-0", move || broker::shard::run(start));
        let ended = self.simulation.join(shard, LIMIT).expect("it ends by itself");
        drop(stop);
        ended.expect_err("it is refused").to_string()
    }

    fn config(&self, at: usize) -> Arc<Config> {
        let addrs = format!("{}:9876;{}:9876", NAMESRV[0], NAMESRV[1]);
        let port = |peer: usize| if peer == at { self.raft_ports[at] } else { RAFT_PORT };
        let label = |at| format!("n{}", self.number(at));
        let peer = |peer: usize| format!("{}-{}:{}", label(peer), ip(peer), port(peer));
        let peers: Vec<String> = self.peers_of(at).into_iter().map(peer).collect();
        let (peers, own) = (peers.join(";"), label(at));
        let name = if self.is_other(at) { "broker-b" } else { "broker-a" };
        let (shards, dir) = (self.shards.to_string(), format!("/store-{}", self.moved[at]));
        let mut settings = Settings::defaults(&KEYS);
        for (key, value) in [
            ("brokerName", name),
            ("namesrvAddr", addrs.as_str()),
            ("storePathRootDir", &dir),
            ("mappedFileSizeCommitLog", "16MiB"),
            ("maxMessageSize", "1MiB"),
            ("enableDLegerCommitLog", "true"),
            ("dLegerPeers", &peers),
            ("dLegerSelfId", &own),
            ("shards", &shards),
        ] {
            settings.set(&Source::option("test"), key, value).expect("a key and a value for it");
        }
        for (key, value) in &self.keys {
            settings.set(&Source::option("test"), key, value).expect("a key and a value for it");
        }
        let around =
            Surroundings { home: Some(PathBuf::from("/")), host_name: "test".to_owned(), cores: 4 };
        Arc::new(Config::from_settings(&settings, &around).expect("a configuration"))
    }

    /// Kills the process of a node.
    pub fn crash(&mut self, at: usize) {
        self.nodes[at].crash();
        drop(self.running[at].take());
    }

    /// Tells a node to stop in good order.
    pub fn stop(&mut self, at: usize) {
        let running = self.running[at].as_mut().expect("it runs");
        for stop in running.stops.drain(..) {
            stop.fulfil(()).expect("it runs");
        }
    }

    /// Whether a node that was told to stop has ended, in good order.
    pub fn has_stopped(&mut self, at: usize) -> bool {
        let running = self.running[at].as_ref().expect("it was told to stop");
        if !running.shards.iter().all(Executor::is_finished) {
            return false;
        }
        let running = self.running[at].take().expect("it was there");
        for shard in running.shards {
            shard.join().expect("it ended by itself").expect("it ended in good order");
        }
        true
    }

    /// Waits until a node that was started has ended by itself, and says why.
    pub fn until_refused(&mut self, at: usize) -> String {
        self.until("it ends by itself", |cluster| {
            let running = cluster.running[at].as_ref().expect("it was started");
            running.shards.iter().any(Executor::is_finished)
        });
        let running = self.running[at].take().expect("it was there");
        let ended = running.shards.into_iter().find(Executor::is_finished).expect("one has");
        ended.join().expect("it ended by itself").expect_err("it is refused").to_string()
    }

    /// The node begins with an empty directory the next time.
    pub fn move_store(&mut self, at: usize) {
        self.moved[at] += 1;
    }

    /// The disk of a node has no room for another file of the log.
    pub fn refuse_files(&self, at: usize) {
        const EDQUOT: i32 = 122;
        let log = format!("/store-{}/log", self.moved[at]);
        self.nodes[at].disk().refuse_new_files(&log, EDQUOT);
    }

    pub fn heal_disk(&self, at: usize) {
        self.nodes[at].disk().heal();
    }

    pub fn cut(&self, one: usize, other: usize) {
        self.simulation.cut(&self.nodes[one], &self.nodes[other]);
    }

    pub fn mend(&self, one: usize, other: usize) {
        self.simulation.mend(&self.nodes[one], &self.nodes[other]);
    }

    /// An executor on the client's machine.
    pub fn on_client<T, F, Fut>(&self, deed: F) -> Executor<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
    {
        self.client.start("client", deed)
    }

    /// Waits for what runs on such an executor.
    pub fn join<T: Send + 'static>(&self, executor: Executor<T>, limit: Duration) -> T {
        self.simulation.join(executor, limit).expect("it ends in time")
    }

    /// Has the client do something, of which it may have no result if it takes too long.
    fn ask<T, F, Fut>(&self, limit: Duration, deed: F) -> Option<T>
    where
        T: Send + 'static,
        F: FnOnce(Client) -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
    {
        let asked = self.client.start("client", move || async move {
            let client = Client::new(Options::new("10.0.0.1:9876"));
            runtime::timeout(limit, deed(client)).await.ok()
        });
        self.simulation.join(asked, limit + SECOND).expect("it has a limit")
    }

    /// The addresses of a shard by broker id, as a NameServer has them; `None` if it does not answer.
    pub fn registered(&self, namesrv: usize, shard: u32) -> Option<Vec<(i64, String)>> {
        let addr = SocketAddr::from((NAMESRV[namesrv], 9876));
        let asked = self.client.start("client", move || cluster_info(addr));
        let info = self.simulation.join(asked, LIMIT).expect("the question ends")?;
        let name = if shard == 0 { "broker-a".to_owned() } else { format!("broker-a-{shard}") };
        let broker = info.broker_addr_table.get(&name);
        Some(broker.map_or_else(Vec::new, |one| one.broker_addrs.clone().into_iter().collect()))
    }

    /// Whether this node leads a shard: both NameServers say so, and it takes a message.
    pub fn leads(&self, at: usize, shard: u32) -> bool {
        let is_first = |namesrv| {
            let registered = self.registered(namesrv, shard).unwrap_or_default();
            registered.first() == Some(&(0, Self::addr(at, shard)))
        };
        is_first(0) && is_first(1)
    }

    /// Waits until one of these leads a shard, as both NameServers say.
    pub fn until_led(&mut self, shard: u32, among: &[usize]) -> usize {
        let mut leader = None;
        self.until("somebody leads", |cluster| {
            leader = among.iter().copied().find(|at| cluster.leads(*at, shard));
            leader.is_some()
        });
        leader.expect("it was just found")
    }

    pub fn send(&self, at: usize, shard: u32, number: u32) -> Result<i64, String> {
        self.send_within(at, shard, number, SECOND * 5)
    }

    /// Sends one message; its offset in the queue.
    pub fn send_within(
        &self,
        at: usize,
        shard: u32,
        number: u32,
        limit: Duration,
    ) -> Result<i64, String> {
        let addr = Self::addr(at, shard);
        let sent = self.ask(limit, move |client| async move { send(&client, &addr, number).await });
        sent.unwrap_or_else(|| Err("no answer".to_owned()))
    }

    /// Sends messages one after the other, each of which must be acknowledged.
    pub fn send_all(&self, at: usize, shard: u32, numbers: Range<u32>) -> Vec<u32> {
        let (addr, wanted) = (Self::addr(at, shard), numbers.clone());
        let sent = self.ask(LIMIT, move |client| async move {
            for number in numbers {
                send(&client, &addr, number).await?;
            }
            Ok::<_, String>(())
        });
        assert_eq!(sent, Some(Ok(())), "all are acknowledged");
        wanted.collect()
    }

    /// Sends messages of that many bytes, each of which must be acknowledged.
    pub fn send_large(&self, at: usize, shard: u32, bytes: usize, numbers: Range<u32>) {
        let addr = Self::addr(at, shard);
        let sent = self.ask(LIMIT, move |client| async move {
            for number in numbers {
                let mut body = vec![7; bytes];
                body[..4].copy_from_slice(&number.to_be_bytes());
                let message =
                    Message { topic: TOPIC, queue: Some(0), body: &body, ..Message::default() };
                client.send(&addr, "PG", &message, Form::Short).await.map_err(text)?;
            }
            Ok::<_, String>(())
        });
        assert_eq!(sent, Some(Ok(())), "all are acknowledged");
    }

    /// Sends a message of that many bytes; whether it is acknowledged.
    pub fn try_large(&self, at: usize, shard: u32, bytes: usize, number: u32) -> bool {
        let addr = Self::addr(at, shard);
        let sent = self.ask(LIMIT, move |client| async move {
            let mut body = vec![7; bytes];
            body[..4].copy_from_slice(&number.to_be_bytes());
            let message =
                Message { topic: TOPIC, queue: Some(0), body: &body, ..Message::default() };
            client.send(&addr, "PG", &message, Form::Short).await.map_err(text)
        });
        sent.is_some_and(|sent| sent.is_ok())
    }

    /// Sends messages, several at a time, and kills the node when some of them are acknowledged.
    pub fn send_and_die(
        &mut self,
        at: usize,
        shard: u32,
        numbers: Range<u32>,
        acknowledged: &mut Vec<u32>,
    ) {
        let (addr, enough) =
            (Self::addr(at, shard), numbers.start + (numbers.end - numbers.start) / 3);
        let done: Arc<Mutex<Vec<u32>>> = Arc::default();
        let (count, told) = (Arc::new(AtomicU32::new(numbers.start)), Arc::clone(&done));
        let counted = Arc::clone(&count);
        let sending = self.client.start("client", move || async move {
            let client = Rc::new(Client::new(Options::new("10.0.0.1:9876")));
            let all: Vec<_> = numbers
                .map(|number| {
                    let (client, addr, told) = (Rc::clone(&client), addr.clone(), told.clone());
                    let counted = Arc::clone(&counted);
                    runtime::spawn(async move {
                        if send(&client, &addr, number).await.is_ok() {
                            told.lock().expect("nobody panics").push(number);
                            counted.fetch_add(1, Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            for one in all {
                one.await;
            }
        });
        let some = || count.load(Ordering::Relaxed) >= enough || sending.is_finished();
        assert!(self.simulation.run_until(LIMIT, some), "some are acknowledged");
        self.crash(at);
        self.simulation.join(sending, LIMIT).expect("all are answered, or their connections lost");
        acknowledged.extend(done.lock().expect("nobody panics").iter());
    }

    /// The numbers of all messages that a node has, in the order of the queue.
    pub fn read(&self, at: usize, shard: u32) -> Vec<u32> {
        let addr = Self::addr(at, shard);
        let read = self.ask(LIMIT, move |client| async move { read(&client, &addr, 0).await });
        read.expect("it answers in time")
    }

    /// The same, from an offset on.
    pub fn read_from(&self, at: usize, shard: u32, offset: i64) -> Vec<u32> {
        let addr = Self::addr(at, shard);
        let read = self.ask(LIMIT, move |client| async move { read(&client, &addr, offset).await });
        read.expect("it answers in time")
    }

    /// A node has all these, each once, and those of one sender in their order.
    pub fn check(&self, at: usize, shard: u32, acknowledged: &[u32]) {
        let found = self.read(at, shard);
        for number in acknowledged {
            let times = found.iter().filter(|one| *one == number).count();
            assert_eq!(times, 1, "message {number} is there {times} times");
        }
    }

    /// Sends a message that creates its topic.
    pub fn create_by_send(&self, at: usize, topic: &'static str) {
        let addr = Self::addr(at, 0);
        let sent = self.ask(LIMIT, move |client| async move {
            let message = Message { topic, queue: Some(0), body: b"first", ..Message::default() };
            client.send(&addr, "PG", &message, Form::Short).await.map(drop).map_err(text)
        });
        assert_eq!(sent, Some(Ok(())));
    }

    pub fn create_topic(&self, at: usize, name: &'static str, queues: i32) {
        let addr = Self::addr(at, 0);
        let made = self.ask(LIMIT, move |client| async move {
            client.create_topic(&addr, &NewTopic::new(name, queues)).await.map_err(text)
        });
        assert_eq!(made, Some(Ok(())));
    }

    /// The queues of a topic that a node has.
    pub fn queues_of(&self, at: usize, shard: u32, topic: &'static str) -> i32 {
        let addr = Self::addr(at, shard);
        let count = self.ask(LIMIT, move |client| async move {
            let mut queue = 0;
            while client.max_offset(&addr, topic, queue).await.is_ok_and(|offset| offset == 0)
                && pull(&client, &addr, topic, queue, 0).await.is_ok()
            {
                queue += 1;
            }
            queue
        });
        count.expect("it answers in time")
    }

    /// Commits a group's offset, and waits for the answer.
    pub fn commit(&self, at: usize, group: &'static str, offset: i64) {
        let addr = Self::addr(at, 0);
        let done = self.ask(LIMIT, move |client| async move {
            client.commit_offset(&addr, group, TOPIC, 0, offset).await.map_err(text)
        });
        assert_eq!(done, Some(Ok(())));
    }

    pub fn committed(&self, at: usize, group: &'static str) -> Result<Option<i64>, String> {
        let addr = Self::addr(at, 0);
        let asked = self.ask(LIMIT, move |client| async move {
            client.group_offset(&addr, group, TOPIC, 0).await.map_err(text)
        });
        asked.expect("it answers in time")
    }
}

#[allow(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn text(error: ClientError) -> String {
    error.to_string()
}

fn start_namesrv(node: &Node) {
    let config = namesrv::Config {
        listen: SocketAddr::from((node.ip(), 9876)),
        ..namesrv::Config::default()
    };
    drop(node.start("namesrv", move || async move {
        let _server = namesrv::start(config).await.expect("the port is free");
        std::future::pending::<()>().await;
    }));
}

async fn cluster_info(addr: SocketAddr) -> Option<ClusterInfo> {
    let connection = transport::connect(addr, Limits::default(), Rc::new(NoRequests)).await.ok()?;
    let request = Command::request(RequestCode::GetBrokerClusterInfo);
    let answer = connection.request(request, SECOND).await.ok()?;
    connection.close();
    ClusterInfo::decode(&answer.body).ok()
}

pub async fn send(client: &Client, addr: &str, number: u32) -> Result<i64, String> {
    let body = number.to_be_bytes();
    let message = Message { topic: TOPIC, queue: Some(0), body: &body, ..Message::default() };
    let sent = client.send(addr, "PG", &message, Form::Short).await.map_err(text)?;
    Ok(sent.queue_offset)
}

async fn pull(
    client: &Client,
    addr: &str,
    topic: &str,
    queue: i32,
    offset: i64,
) -> Result<(PullStatus, Vec<u32>), String> {
    let pull = Pull {
        group: "G",
        topic,
        queue,
        offset,
        max: 32,
        tags: Some("*"),
        hold: None,
        commit: None,
    };
    let pulled = client.pull(addr, &pull).await.map_err(text)?;
    let (mut numbers, mut rest) = (Vec::new(), &pulled.records[..]);
    while !rest.is_empty() {
        let record = Record::parse(rest).expect("a whole record");
        let due = offset + i64::try_from(numbers.len()).expect("few");
        assert_eq!(record.queue_offset().0.cast_signed(), due, "there is no gap");
        let number = record.body().try_into().expect("a body of ours");
        numbers.push(u32::from_be_bytes(number));
        rest = &rest[record.bytes().len()..];
    }
    Ok((pulled.status, numbers))
}

async fn read(client: &Client, addr: &str, from: i64) -> Vec<u32> {
    let mut all = Vec::new();
    loop {
        let offset = from + i64::try_from(all.len()).expect("few");
        match pull(client, addr, TOPIC, 0, offset).await {
            Ok((PullStatus::Found, numbers)) => all.extend(numbers),
            Ok(_) | Err(_) => return all,
        }
    }
}
