//! Our broker and our NameServers as simulated machines: who finds whom, and what is noticed when one dies.

#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use broker::config::{Config, KEYS, Surroundings};
use broker::shard::Start;
use broker::shard::siblings::mailboxes;
use config::{Settings, Source};
use remoting::body::{Body, TopicRouteData};
use remoting::{Command, RequestCode};
use runtime::channel::{Promise, promise};
use runtime::sim::{Node, Simulation};
use transport::{Limits, NoRequests};

const SECOND: Duration = Duration::from_secs(1);
const NAMESRV: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];
const BROKER: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 1);

struct Cluster {
    simulation: Simulation,
    namesrv: [Node; 2],
    broker: Node,
    client: Node,
}

impl Cluster {
    fn new(seed: u64) -> Self {
        let simulation = Simulation::new(seed);
        let namesrv = [0, 1].map(|n| simulation.node(["ns0", "ns1"][n], NAMESRV[n]));
        let broker = simulation.node("broker", BROKER);
        let client = simulation.node("client", CLIENT);
        namesrv.iter().for_each(start_namesrv);
        Self { simulation, namesrv, broker, client }
    }

    /// Starts the broker; it stops in good order when the promise is fulfilled.
    fn start_broker(&self) -> Promise<()> {
        let (stop, stopped) = promise();
        let (ready, _) = promise();
        let start = Start {
            config: broker_config(),
            number: 0,
            advertised: IpAddr::V4(BROKER),
            mailbox: mailboxes(1).remove(0),
            ready,
            stop: stopped,
        };
        drop(self.broker.start("shard-0", move || broker::shard::run(start)));
        stop
    }

    /// Where NameServer `number` says that topic TBW102 is; `None` when it does not answer.
    fn route(&self, number: usize) -> Option<Vec<String>> {
        let addr = SocketAddr::from((NAMESRV[number], 9876));
        let asked = self.client.start("client", move || route(addr));
        self.simulation.join(asked, SECOND * 10).expect("the question ends")
    }

    /// How long it takes until NameServer `number` tells `expected`.
    fn until_route(&self, number: usize, expected: &[&str], limit: Duration) -> Duration {
        let start = self.simulation.now();
        while self.route(number).is_none_or(|route| route != expected) {
            let took = self.simulation.now() - start;
            assert!(took < limit, "NameServer {number} does not tell {expected:?} after {took:?}");
            self.simulation.run_for(Duration::from_millis(20));
        }
        self.simulation.now() - start
    }
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

fn broker_config() -> Arc<Config> {
    let addrs = format!("{}:9876;{}:9876", NAMESRV[0], NAMESRV[1]);
    let mut settings = Settings::defaults(&KEYS);
    for (key, value) in [
        ("brokerName", "broker-a"),
        ("namesrvAddr", addrs.as_str()),
        ("storePathRootDir", "/store"),
        ("flushDiskType", "SYNC_FLUSH"),
        ("mappedFileSizeCommitLog", "64MiB"),
    ] {
        settings.set(&Source::option("test"), key, value).expect("a key and a value for it");
    }
    let around =
        Surroundings { home: Some(PathBuf::from("/")), host_name: "test".to_owned(), cores: 2 };
    Arc::new(Config::from_settings(&settings, &around).expect("a configuration"))
}

async fn route(addr: SocketAddr) -> Option<Vec<String>> {
    let connection = transport::connect(addr, Limits::default(), Rc::new(NoRequests)).await.ok()?;
    let request = Command::request(RequestCode::GetRouteinfoByTopic);
    let answer = connection.request(request.with_ext(&[("topic", "TBW102")]), SECOND).await.ok()?;
    connection.close();
    if answer.code != 0 {
        return Some(Vec::new());
    }
    let route = TopicRouteData::decode(&answer.body).expect("a route");
    let addrs = route.broker_datas.into_iter().flat_map(|broker| broker.broker_addrs.into_values());
    Some(addrs.collect())
}

const HERE: [&str; 1] = ["10.0.1.1:10911"];

#[test]
fn every_nameserver_knows_the_broker_and_forgets_it_at_once() {
    for seed in 1..=3 {
        let cluster = Cluster::new(seed);
        let stop = cluster.start_broker();
        cluster.until_route(0, &HERE, SECOND * 3);
        cluster.until_route(1, &HERE, SECOND);
        stop.fulfil(()).expect("it runs");
        assert!(cluster.until_route(0, &[], SECOND * 2) < SECOND * 2, "seed {seed}");
        cluster.until_route(1, &[], SECOND);

        let stop = cluster.start_broker();
        cluster.until_route(0, &HERE, SECOND * 3);
        cluster.broker.crash();
        assert!(cluster.until_route(0, &[], SECOND * 2) < SECOND * 2, "seed {seed}");
        drop(stop);
    }
}

#[test]
fn a_nameserver_that_dies_is_missed_by_nobody_and_finds_the_broker_when_it_is_back() {
    for seed in 1..=3 {
        let cluster = Cluster::new(seed);
        let stop = cluster.start_broker();
        cluster.until_route(0, &HERE, SECOND * 3);
        cluster.namesrv[0].crash();
        assert_eq!(cluster.route(0), None);
        assert_eq!(cluster.route(1).as_deref(), Some(&HERE.map(str::to_owned)[..]));
        cluster.simulation.run_for(SECOND * 15);
        start_namesrv(&cluster.namesrv[0]);
        let back = cluster.until_route(0, &HERE, SECOND * 8);
        assert!(back < SECOND * 6, "seed {seed}: {back:?}");
        stop.fulfil(()).expect("it runs");
        cluster.until_route(0, &[], SECOND * 2);
    }
}
