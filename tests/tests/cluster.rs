//! Our broker and our NameServers as simulated machines: who finds whom, and what is noticed when one dies.

#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bench::args::Failover;
use bench::failover::{Deed, Leader, Operator, failover_by};
use bench::interrupts::Interrupts;
use bench::report::Screen;
use bench::study::Session;
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
            group: None,
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

/// Says whether the broker shall run; the test sees to it.
struct Power(Arc<AtomicBool>);

impl Operator for Power {
    async fn pid_of(&self, _leader: &Leader) -> Result<Option<u32>, String> {
        Ok(None)
    }

    async fn act(&self, deed: Deed, _leader: &Leader) -> Result<(), String> {
        self.0.store(deed == Deed::Heal, Ordering::Relaxed);
        Ok(())
    }
}

fn two_kills() -> Failover {
    Failover {
        namesrv: format!("{}:9876;{}:9876", NAMESRV[0], NAMESRV[1]),
        topic: "T".to_owned(),
        group: "G".to_owned(),
        queues: 4,
        rate: 100,
        connections: 2,
        timeout: Duration::from_millis(100),
        fault: "kill".to_owned(),
        heal: Some("start".to_owned()),
        heal_after: Some(SECOND / 2),
        pid_of: None,
        broker: None,
        times: 2,
        every: SECOND * 2,
        settle: SECOND / 2,
        members: Some(1),
        wait: SECOND * 20,
        new_leader: false,
        median: None,
        worst: None,
    }
}

#[test]
fn a_broker_that_is_killed_under_probes_is_back_with_all_that_it_acknowledged() {
    let cluster = Cluster::new(1);
    let mut stop = Some(cluster.start_broker());
    cluster.until_route(0, &HERE, SECOND * 3);
    let shall_run = Arc::new(AtomicBool::new(true));
    let power = Power(shall_run.clone());
    let probing = cluster.client.start("mqbench", move || async move {
        let (interrupts, screen) = (Interrupts::default(), Screen::new(false, None));
        failover_by(&Session { interrupts, screen }, &two_kills(), &power).await
    });
    let start = cluster.simulation.now();
    while !probing.is_finished() {
        cluster.simulation.run_for(Duration::from_millis(5));
        assert!(cluster.simulation.now() - start < SECOND * 60, "the probes do not end");
        match (stop.is_some(), shall_run.load(Ordering::Relaxed)) {
            (true, false) => {
                cluster.broker.crash();
                stop = None;
            }
            (false, true) => stop = Some(cluster.start_broker()),
            _ => {}
        }
    }
    let outages = probing.join().expect("it has ended").expect("a run");
    assert_eq!(outages.verdict(), None, "{outages}");
    assert_eq!((outages.struck.all_ms.len(), outages.struck.open), (2, 0), "{outages}");
    // It is away for half a second by order.
    assert!(outages.struck.all_ms.iter().all(|window| *window > 400.0), "{outages}");
    let audit = outages.audit.expect("it is always made");
    assert_eq!((audit.lost, audit.twice, audit.looked_for), (0, 0, outages.acked), "{outages}");
    assert!(outages.acked > 200 && outages.errors > 50, "{outages}");
}
