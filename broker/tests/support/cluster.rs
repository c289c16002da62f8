//! Three brokers, each on its simulated machine, that are members of one Raft group.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use broker::config::{Config, GroupLayout};
use broker::shard::siblings::{Mailbox, mailboxes};
use broker::shard::{Shard, Start};
use bytes::Bytes;
use remoting::body::{Body, RaftGroupState};
use remoting::header::raft::TransferLeaderHeader;
use remoting::{Command, RequestCode, ResponseCode};
use runtime::channel::{Promise, promise};
use runtime::sim::{Node, Simulation};
use transport::Connection;

use super::{Client, LIMIT, Place, Sent, config, send_header, sent};

const NODES: usize = 3;
const PORT: u16 = 10_911;
/// Between the ports of two shards.
const STRIDE: u16 = 100;
/// Time for one answer of a node that may be gone.
const SHORT: Duration = Duration::from_millis(200);

/// The machines, and the processes on them.
pub struct Cluster {
    pub simulation: Simulation,
    pub machines: Vec<Node>,
    clients: Node,
    keys: Vec<(String, String)>,
    /// Of each shard of a process that runs.
    stops: [Vec<Promise<()>>; NODES],
    /// Why a broker has ended.
    ended: Arc<Mutex<Vec<String>>>,
    /// How long something holds a shard whose log has been read.
    lingers: Duration,
}

fn linger(shard: &Rc<Shard>, time: Duration) {
    let shard = Rc::clone(shard);
    let holding = async move {
        runtime::sleep(time).await;
        drop(shard);
    };
    if !time.is_zero() {
        runtime::spawn(holding).detach();
    }
}

fn ip(at: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 1 + u8::try_from(at).expect("few"))
}

/// Where the clients of a node connect.
pub fn addr(at: usize) -> SocketAddr {
    shard_addr(at, 0)
}

/// Where the clients of a node connect that want one of its shards.
pub fn shard_addr(at: usize, shard: u16) -> SocketAddr {
    (ip(at), PORT + STRIDE * shard).into()
}

impl Cluster {
    /// Nothing runs yet. All brokers have these keys.
    pub fn new(seed: u64, keys: &[(&str, &str)]) -> Self {
        let simulation = Simulation::new(seed);
        let machines = (0..NODES).map(|at| simulation.node(&format!("n{at}"), ip(at))).collect();
        let clients = simulation.node("clients", Ipv4Addr::new(10, 0, 0, 9));
        let keys = keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let (stops, ended) = Default::default();
        let lingers = Duration::ZERO;
        Self { simulation, machines, clients, keys: keys.collect(), stops, ended, lingers }
    }

    /// All run, and take messages for topic `T`.
    pub fn founded(seed: u64, keys: &[(&str, &str)]) -> Self {
        let mut cluster = Self::new(seed, keys);
        (0..NODES).for_each(|at| cluster.start(at));
        cluster.client(|| async {
            let (leader, _) = leader().await;
            Client::connect(addr(leader)).await.create_topic("T", 1).await;
        });
        cluster
    }

    /// From now on something holds the shards of nodes that are started, for so long from when their logs are read.
    pub fn linger(&mut self, time: Duration) {
        self.lingers = time;
    }

    /// Starts a member of the group.
    pub fn start(&mut self, at: usize) {
        let own = format!("n{at}");
        self.start_with(
            at,
            &[
                ("enableDLegerCommitLog", "true"),
                ("dLegerPeers", "n0-10.0.0.1:40911;n1-10.0.0.2:40911;n2-10.0.0.3:40911"),
                ("dLegerSelfId", &own),
            ],
        );
    }

    /// Starts a broker without replicas.
    pub fn start_alone(&mut self, at: usize) {
        self.start_with(at, &[]);
    }

    fn start_with(&mut self, at: usize, more: &[(&str, &str)]) {
        assert!(self.stops[at].is_empty(), "it runs");
        let place = Place { ip: ip(at), port: PORT, dir: "/store".into() };
        let keys = self.keys.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let keys: Vec<_> = keys.chain(more.iter().copied()).collect();
        let config = config(&place, &keys);
        let ips: Vec<Option<IpAddr>> = (0..NODES).map(|at| Some(ip(at).into())).collect();
        let layouts = config.raft_group.as_ref().map(|group| group.layouts(&config, &ips));
        let mut layouts = layouts.map(|layouts| layouts.expect("they fit").into_iter());
        for (number, mailbox) in (0..).zip(mailboxes(config.shards)) {
            let group = layouts.as_mut().map(|layouts| layouts.next().expect("one for each"));
            self.start_shard((at, number), Arc::clone(&config), group, mailbox);
        }
    }

    fn start_shard(
        &mut self,
        (at, number): (usize, u32),
        config: Arc<Config>,
        group: Option<GroupLayout>,
        mailbox: Mailbox,
    ) {
        let ((stop, stopped), (ready, _)) = (promise(), promise());
        let advertised = ip(at).into();
        let start = Start { config, number, advertised, group, mailbox, ready, stop: stopped };
        let (ended, lingers) = (Arc::clone(&self.ended), self.lingers);
        let run = move || async move {
            if let Err(error) = broker::shard::run_seen(start, |shard| linger(shard, lingers)).await
            {
                let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
                ended.push(format!("n{at}: {error}"));
            }
        };
        drop(self.machines[at].start(&format!("shard-{number}"), run));
        self.stops[at].push(stop);
    }

    /// Why brokers have ended with an error, so far.
    pub fn ended(&self) -> Vec<String> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its process is killed.
    pub fn crash(&mut self, at: usize) {
        self.machines[at].crash();
        self.stops[at].clear();
    }

    /// Its power goes.
    pub fn lose_power(&mut self, at: usize) {
        self.machines[at].power_cut();
        self.stops[at].clear();
    }

    /// Begins to stop in good order.
    pub fn tell_to_stop(&mut self, at: usize) {
        assert!(!self.stops[at].is_empty(), "it runs");
        for stop in self.stops[at].drain(..) {
            assert!(stop.fulfil(()).is_ok(), "it runs");
        }
    }

    /// Stops in good order, within five seconds.
    pub fn stop(&mut self, at: usize) {
        self.tell_to_stop(at);
        self.run_for(Duration::from_secs(5));
        self.machines[at].crash();
    }

    /// Nothing gets from one node to another, both ways. Clients reach both.
    pub fn cut(&self, one: usize, other: usize) {
        self.simulation.cut(&self.machines[one], &self.machines[other]);
    }

    /// All nodes reach each other.
    pub fn mend(&self) {
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            self.simulation.mend(&self.machines[one], &self.machines[other]);
        }
    }

    pub fn run_for(&self, time: Duration) {
        self.simulation.run_for(time);
    }

    /// Runs `main` on a machine of its own, to its end.
    pub fn client<F, Fut, T>(&self, main: F) -> T
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        let run = self.clients.start("client", main);
        self.simulation.join(run, LIMIT).expect("it ends in time")
    }

    /// Starts `main` on the clients' machine; it goes on by itself.
    pub fn background<F, Fut>(&self, main: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        drop(self.clients.start("background", main));
    }

    /// Who leads, as soon as somebody takes a message for topic `T`.
    pub fn leader(&self) -> usize {
        self.client(|| async { leader().await.0 })
    }

    /// The others.
    pub fn others(at: usize) -> [usize; 2] {
        [(at + 1) % NODES, (at + 2) % NODES]
    }
}

/// Sends to all nodes that do not say that they follow, in turn, until one has stored it itself; which one, and what it has
/// answered.
pub async fn leader() -> (usize, Sent) {
    loop {
        for at in 0..NODES {
            if !follows(at).await
                && let Some(Ok(sent)) = try_send(at, b"who leads", SHORT).await
                && stored_by(&sent) == at
            {
                return (at, sent);
            }
        }
        runtime::sleep(Duration::from_millis(2)).await;
    }
}

/// Whether a node says that it is one of a group and does not lead it.
pub async fn follows(at: usize) -> bool {
    let asked = async {
        let connection = connect(at).await?;
        let state = Command::request(RequestCode::GetRaftGroupState);
        connection.request(state, SHORT).await.ok()
    };
    let answer = runtime::timeout(SHORT, asked).await.ok().flatten();
    let state = answer.filter(|answer| answer.code == ResponseCode::Success.code());
    state
        .is_some_and(|state| RaftGroupState::decode(&state.body).expect("a state").role != "LEADER")
}

/// The node whose address is in the id of a message.
pub fn stored_by(sent: &Sent) -> usize {
    let is_its = |at: &usize| sent.id.starts_with(&format!("{:08X}", ip(*at).to_bits()));
    (0..NODES).find(is_its).expect("a node has stored it")
}

async fn connect(at: usize) -> Option<Connection> {
    let limits = transport::Limits::default();
    transport::connect(addr(at), limits, std::rc::Rc::new(transport::NoRequests)).await.ok()
}

/// Sends to a node, on a connection of its own; `None` without an answer within `limit`.
pub async fn try_send(
    at: usize,
    body: &'static [u8],
    limit: Duration,
) -> Option<Result<Sent, (ResponseCode, String)>> {
    try_send_bytes(at, Bytes::from_static(body), limit).await
}

/// The same.
pub async fn try_send_bytes(
    at: usize,
    body: Bytes,
    limit: Duration,
) -> Option<Result<Sent, (ResponseCode, String)>> {
    let answered = async {
        let client = Client { connection: connect(at).await? };
        let header = send_header("T", 0);
        let command = Command::request(RequestCode::SendMessageV2).with_ext(&header);
        let command = command.with_body(body);
        Some(sent(&client.connection.request(command, limit).await.ok()?))
    };
    runtime::timeout(limit, answered).await.ok().flatten()
}

/// How the group looks to a node.
pub async fn state(at: usize) -> RaftGroupState {
    let client = Client::connect(addr(at)).await;
    let answer = client.ask(Command::request(RequestCode::GetRaftGroupState)).await;
    RaftGroupState::decode(&answer.body).expect("a state")
}

/// Has the leader make place for another member.
pub async fn transfer(from: usize, to: usize) -> Command {
    let state = state(from).await;
    let label = format!("n{to}");
    let to = state.members.iter().find(|member| member.label == label).expect("it is a member");
    let header = TransferLeaderHeader {
        group: &state.group,
        store: Some(&to.store),
        hold_millis: Some(600_000),
        at_least: None,
        away: None,
    };
    Client::connect(addr(from)).await.request(RequestCode::TransferRaftLeader, &header).await
}
