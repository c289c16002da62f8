//! One NameServer and one broker that serve each other.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use super::drivers::Workshop;
use super::failure::{Failure, Trying, Verdict};
use super::process::Running;
use super::servers::{Maker, Plan};
use crate::frame::{self, Parsed};

/// A JVM on a busy machine takes its time; ours serve within a second.
const START_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Request codes the harness asks itself (RocketMQ 5.5.0, `RequestCode`).
const GET_ROUTEINFO_BY_TOPIC: i32 = 105;

/// What a cluster is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// Whose NameServer.
    pub namesrv: Maker,
    /// Whose broker.
    pub broker: Maker,
    /// Shards of the broker.
    pub shards: u16,
}

impl Spec {
    /// Both servers of one maker, one shard.
    #[must_use]
    pub fn of(maker: Maker) -> Self {
        Self { namesrv: maker, broker: maker, shards: 1 }
    }
}

/// A running NameServer and a broker that is registered with it.
#[derive(Debug)]
pub struct Cluster {
    /// What it was made of.
    pub spec: Spec,
    /// Files of the servers and of whoever talks to them.
    pub dir: PathBuf,
    namesrv_plan: Plan,
    broker_plan: Plan,
    namesrv: Running,
    /// `None` between two lives of the broker.
    broker: Option<Running>,
}

impl Cluster {
    /// Starts both in an empty directory and waits until clients can use them.
    ///
    /// # Errors
    /// If one of them does not come up, with the end of its log.
    pub fn start(shop: &Workshop, spec: Spec, dir: &Path) -> Verdict<Self> {
        fs::create_dir_all(dir).trying(dir.display().to_string())?;
        let namesrv_plan = Plan::namesrv(shop, spec.namesrv, dir)?;
        let broker_plan = Plan::broker(shop, spec.broker, dir, namesrv_plan.port, spec.shards)?;
        let mut namesrv = start(&namesrv_plan)?;
        let port = namesrv_plan.port;
        namesrv.wait_until("its port", START_LIMIT, || Ok(connect(port).is_ok()))?;
        let dir = dir.to_owned();
        let mut cluster = Self { spec, dir, namesrv_plan, broker_plan, namesrv, broker: None };
        cluster.start_broker()?;
        Ok(cluster)
    }

    /// Starts the broker on its store and port, and waits until each of its names has a route.
    ///
    /// # Errors
    /// If it does not come up.
    ///
    /// # Panics
    /// If it runs.
    pub fn start_broker(&mut self) -> Verdict {
        assert!(self.broker.is_none(), "one broker on one store");
        let mut broker = start(&self.broker_plan)?;
        let (namesrv, plan) = (self.namesrv_plan.port, &self.broker_plan);
        let names: BTreeSet<&str> = plan.broker_names.iter().map(String::as_str).collect();
        broker.wait_until("its registration", START_LIMIT, || {
            let routed = routed_brokers(namesrv, "TBW102").unwrap_or_default();
            Ok(names.iter().all(|name| routed.contains(*name)) && connect(plan.port).is_ok())
        })?;
        self.broker = Some(broker);
        Ok(())
    }

    /// Stops the broker with SIGTERM.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop_broker(&mut self) -> Verdict<ExitStatus> {
        let mut broker = self.broker.take().expect("it runs");
        broker.stop(STOP_LIMIT)
    }

    /// Kills the broker with SIGKILL.
    pub fn kill_broker(&mut self) {
        self.broker.take().expect("it runs").kill();
    }

    /// Whether both servers run.
    pub fn is_alive(&mut self) -> bool {
        let broker = self.broker.as_mut().is_some_and(|broker| broker.ended().is_none());
        broker && self.namesrv.ended().is_none()
    }

    /// `host:port` of the NameServer.
    #[must_use]
    pub fn namesrv_address(&self) -> String {
        format!("127.0.0.1:{}", self.namesrv_plan.port)
    }

    /// Port of the NameServer.
    #[must_use]
    pub fn namesrv_port(&self) -> u16 {
        self.namesrv_plan.port
    }

    /// Port of the broker's first shard.
    #[must_use]
    pub fn broker_port(&self) -> u16 {
        self.broker_plan.port
    }

    /// `host:port` of each shard.
    #[must_use]
    pub fn broker_addresses(&self) -> Vec<String> {
        self.broker_plan.addresses()
    }

    /// Broker name of each shard.
    #[must_use]
    pub fn broker_names(&self) -> &[String] {
        &self.broker_plan.broker_names
    }

    /// The process of the NameServer.
    #[must_use]
    pub fn namesrv_pid(&self) -> u32 {
        self.namesrv.pid()
    }

    /// The process of the broker.
    ///
    /// # Panics
    /// If it does not run.
    #[must_use]
    pub fn broker_pid(&self) -> u32 {
        self.broker.as_ref().expect("it runs").pid()
    }

    /// The log of the broker, all its lives.
    #[must_use]
    pub fn broker_log(&self) -> String {
        fs::read_to_string(self.broker_plan.log()).unwrap_or_default()
    }

    /// The ends of both logs, for a failure.
    #[must_use]
    pub fn tails(&self) -> String {
        let tail = |plan: &Plan| {
            format!("  end of the log of {}:\n{}", plan.name, super::process::tail(&plan.log()))
        };
        tail(&self.namesrv_plan) + &tail(&self.broker_plan)
    }

    /// Stops both; what does not stop is killed.
    ///
    /// # Errors
    /// If one had to be killed.
    pub fn stop(mut self) -> Verdict {
        if self.broker.is_some() {
            self.stop_broker()?;
        }
        self.namesrv.stop(STOP_LIMIT)?;
        Ok(())
    }
}

fn start(plan: &Plan) -> Verdict<Running> {
    Running::start(&plan.name, &mut plan.command(), &plan.log())
}

/// A connection to a port of this host, with a limit on every read and write.
///
/// # Errors
/// What the system reports.
pub fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream =
        TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), ANSWER_LIMIT)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.set_write_timeout(Some(ANSWER_LIMIT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends one request over a connection of its own and reads the answer.
///
/// # Errors
/// If there is no answer.
pub fn ask(port: u16, request: &[u8]) -> Verdict<Parsed> {
    let what = || format!("asking port {port}");
    let mut stream = connect(port).trying(what())?;
    stream.write_all(request).trying(what())?;
    let answer = frame::read(&mut stream).trying(what())?;
    let answer =
        answer.ok_or_else(|| Failure::Wrong(format!("port {port} closed instead of answering")))?;
    Parsed::of(&answer).trying(what())
}

/// The broker names that a NameServer lists for a topic; none if it knows no route.
///
/// # Errors
/// If it does not answer, or not in JSON.
pub fn routed_brokers(namesrv: u16, topic: &str) -> Verdict<BTreeSet<String>> {
    let ext = [("topic", topic), ("acceptStandardJsonOnly", "true")];
    let answer = ask(namesrv, &frame::request(GET_ROUTEINFO_BY_TOPIC, 0, 1, &ext, b""))?;
    if answer.code != 0 {
        return Ok(BTreeSet::new());
    }
    let route: serde_json::Value = serde_json::from_slice(&answer.body)
        .map_err(|error| Failure::Wrong(format!("the route of {topic} is not JSON: {error}")))?;
    let brokers = route["brokerDatas"].as_array().cloned().unwrap_or_default();
    Ok(brokers
        .iter()
        .filter_map(|broker| Some(broker["brokerName"].as_str()?.to_owned()))
        .collect())
}
