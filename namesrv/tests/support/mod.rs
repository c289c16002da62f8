//! A peer of the NameServer: speaks for brokers and clients.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use namesrv::{Config, NameServer, start};
use remoting::body::{
    Body, DataVersion, RegisterBrokerBody, TopicConfig, TopicConfigs, TopicRouteData,
};
use remoting::command::EncodeExt;
use remoting::header::route::{BrokerHeader, RegisterBrokerHeader};
use remoting::{Command, RequestCode};
use runtime::sim::Simulation;
use runtime::{Placement, Spec};
use transport::{Connection, Limits, NoRequests, connect};

/// Longest time of one test: virtual in the simulation, real on the sockets.
const LIMIT: Duration = Duration::from_secs(600);
/// Time for one answer.
const SOON: Duration = Duration::from_secs(2);

/// Runs the test in a simulation, and on real sockets. It gets the address to bind.
pub fn everywhere<F, Fut>(test: F)
where
    F: FnOnce(SocketAddr) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    in_simulation(test.clone());
    let spec = Spec { name: "namesrv-test".into(), placement: Placement::Any, busy_poll: None };
    let bounded =
        move || async move { runtime::timeout(LIMIT, test(([127, 0, 0, 1], 0).into())).await };
    let executor = runtime::start(spec, bounded).expect("an executor");
    executor.join().expect("the run ends").expect("the run ends in time");
}

/// For tests that take minutes of the clock.
pub fn in_simulation<F, Fut>(test: F)
where
    F: FnOnce(SocketAddr) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let simulation = Simulation::new(11);
    let node = simulation.node("node", [10, 0, 0, 1].into());
    let executor = node.start("test", move || test(([10, 0, 0, 1], 0).into()));
    simulation.join(executor, LIMIT).expect("the simulated run ends in time");
}

pub async fn namesrv(listen: SocketAddr) -> NameServer {
    namesrv_with(Config { listen, ..Config::default() }).await
}

pub async fn namesrv_with(config: Config) -> NameServer {
    start(config).await.expect("a free port")
}

/// A connection to a NameServer.
pub struct Peer(pub Connection);

impl Peer {
    pub async fn to(server: &NameServer) -> Peer {
        Peer::at(server.local_addr()).await
    }

    pub async fn at(addr: SocketAddr) -> Peer {
        let connection = connect(addr, Limits::default(), Rc::new(NoRequests)).await;
        Peer(connection.expect("the NameServer listens"))
    }

    pub async fn ask(&self, command: Command) -> Command {
        self.0.request(command, SOON).await.expect("an answer")
    }

    pub async fn ask_with(&self, code: RequestCode, header: &dyn EncodeExt) -> Command {
        self.ask(Command::request(code).with_ext(header)).await
    }

    /// The code of the answer, and the route if it is 0.
    pub async fn route(&self, topic: &str) -> (i32, Option<TopicRouteData>) {
        let answer = self.ask_with(RequestCode::GetRouteinfoByTopic, &[("topic", topic)]).await;
        let route =
            (answer.code == 0).then(|| TopicRouteData::decode(&answer.body).expect("a route"));
        (answer.code, route)
    }

    /// The addresses of a topic's brokers.
    pub async fn addrs(&self, topic: &str) -> Vec<String> {
        let (_, route) = self.route(topic).await;
        let brokers = route.into_iter().flat_map(|route| route.broker_datas);
        brokers.flat_map(|broker| broker.broker_addrs.into_values()).collect()
    }

    pub async fn register(&self, broker: &Broker<'_>) -> Command {
        let body = broker.body().encode();
        self.ask(
            Command::request(RequestCode::RegisterBroker)
                .with_ext(&broker.header())
                .with_body(body),
        )
        .await
    }

    pub async fn unregister(&self, broker: &Broker<'_>) -> Command {
        let header = BrokerHeader {
            broker_name: broker.name,
            broker_addr: broker.addr,
            cluster_name: "C",
            broker_id: broker.id,
        };
        self.ask_with(RequestCode::UnregisterBroker, &header).await
    }
}

/// A broker of cluster C.
#[derive(Clone, Copy)]
pub struct Broker<'a> {
    pub name: &'a str,
    pub addr: &'a str,
    pub id: i64,
    pub topics: &'a [&'a str],
    pub counter: i64,
    pub timeout: Option<i64>,
}

pub const BROKER: Broker<'static> = Broker {
    name: "b",
    addr: "10.1.1.1:10911",
    id: 0,
    topics: &["T", "U"],
    counter: 1,
    timeout: None,
};

impl Broker<'_> {
    pub fn header(&self) -> RegisterBrokerHeader<'_> {
        RegisterBrokerHeader {
            broker_name: self.name,
            broker_addr: self.addr,
            cluster_name: "C",
            ha_server_addr: "10.1.1.1:10912",
            broker_id: self.id,
            heartbeat_timeout_millis: self.timeout,
            enable_acting_master: None,
            compressed: None,
            body_crc32: None,
        }
    }

    pub fn version(&self) -> DataVersion {
        DataVersion { counter: self.counter, state_version: 0, timestamp: 1 }
    }

    pub fn body(&self) -> RegisterBrokerBody {
        let topic = |name: &&str| TopicConfig {
            topic_name: (*name).to_owned(),
            read_queue_nums: 4,
            write_queue_nums: 4,
            ..TopicConfig::default()
        };
        let table: BTreeMap<_, _> =
            self.topics.iter().map(|name| ((*name).to_owned(), topic(name))).collect();
        let topics = TopicConfigs {
            data_version: self.version(),
            topic_config_table: table,
            ..TopicConfigs::default()
        };
        RegisterBrokerBody { topics, ..RegisterBrokerBody::default() }
    }
}

/// Waits, in small steps, until the topic has that many addresses; fails after ten seconds.
pub async fn until_addrs(peer: &Peer, topic: &str, count: usize) {
    for _ in 0..1000 {
        if peer.addrs(topic).await.len() == count {
            return;
        }
        runtime::sleep(Duration::from_millis(10)).await;
    }
    panic!("{topic} never had {count} addresses");
}
