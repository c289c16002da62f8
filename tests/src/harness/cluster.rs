//! NameServers and brokers that serve each other: one of each, or several, also as Raft groups.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::drivers::Workshop;
use super::failure::{Failure, Trying, Verdict};
use super::node::Node;
use super::servers::{BROKER_NAME, Maker, Membership, Plan, Seat, raft_port};
use crate::frame::{self, Parsed};

/// A JVM on a busy machine takes its time; ours serve within a second, and groups within a few.
const START_LIMIT: Duration = Duration::from_secs(90);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Request codes the harness asks itself (RocketMQ 5.5.0, `RequestCode`).
const GET_ROUTEINFO_BY_TOPIC: i32 = 105;
/// A topic that every broker serves.
const EVERYWHERE: &str = "TBW102";
/// The broker id of a master.
const MASTER: i64 = 0;

/// What a cluster is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// Whose NameServers.
    pub namesrv: Maker,
    /// Whose brokers.
    pub broker: Maker,
    /// NameServers.
    pub namesrvs: u16,
    /// Brokers that have nothing to do with each other, called `broker-a`, `broker-b` and so on: each a process of its
    /// own, or a Raft group.
    pub groups: u16,
    /// Processes of each: 1, or the members of a Raft group.
    pub members: u16,
    /// Shards of each process.
    pub shards: u16,
    /// The k-th group is to be led by its k-th member, counted round, as the shards of one group are. Otherwise the first
    /// member of each is preferred.
    pub spread: bool,
    /// The times of the groups, as [`Membership::millis`].
    pub millis: Option<[u32; 3]>,
}

impl Spec {
    /// A NameServer and a broker of one maker, with one shard.
    #[must_use]
    pub const fn of(maker: Maker) -> Self {
        Self {
            namesrv: maker,
            broker: maker,
            namesrvs: 1,
            groups: 1,
            members: 1,
            shards: 1,
            spread: false,
            millis: None,
        }
    }
}

/// The addresses of each broker name, by broker id.
pub type Route = BTreeMap<String, BTreeMap<i64, String>>;

/// Running NameServers, and brokers that are registered with all of them.
#[derive(Debug)]
pub struct Cluster {
    /// What it was made of.
    pub spec: Spec,
    /// Files of the servers and of whoever talks to them.
    pub dir: PathBuf,
    namesrvs: Vec<Node>,
    /// Group by group, and in each by the number in the member's label.
    brokers: Vec<Node>,
}

impl Cluster {
    /// Starts all in an empty directory and waits until clients can use them.
    ///
    /// # Errors
    /// If one of them does not come up, with the end of its log.
    pub fn start(shop: &Workshop, spec: Spec, dir: &Path) -> Verdict<Self> {
        fs::create_dir_all(dir).trying(dir.display().to_string())?;
        let mut cluster =
            Self { spec, dir: dir.to_owned(), namesrvs: Vec::new(), brokers: Vec::new() };
        for number in 0..spec.namesrvs {
            let dir = place(dir, (spec.namesrvs > 1).then(|| format!("namesrv-{number}")))?;
            cluster.namesrvs.push(Node::new(Plan::namesrv(shop, spec.namesrv, &dir)?));
        }
        for group in 0..spec.groups {
            cluster.plan_group(shop, group)?;
        }
        for number in 0..cluster.namesrvs.len() {
            cluster.start_namesrv(number)?;
        }
        cluster.start_brokers()?;
        Ok(cluster)
    }

    fn plan_group(&mut self, shop: &Workshop, group: u16) -> Verdict {
        let spec = self.spec;
        let namesrvs: Vec<u16> = self.namesrvs.iter().map(|node| node.plan.port).collect();
        let ports: Vec<u16> = (0..spec.members).map(|_| raft_port(spec.shards)).collect();
        let is_alone = spec.groups == 1 && spec.members == 1;
        for own in 0..usize::from(spec.members) {
            let name = group_name(group);
            let dir = place(&self.dir, (!is_alone).then(|| format!("{name}-n{own}")))?;
            let membership = (spec.members > 1).then(|| Membership {
                ports: ports.clone(),
                own,
                preferred: spec.spread.then(|| usize::from(group % spec.members)),
                millis: spec.millis,
            });
            let seat = Seat { name, shards: spec.shards, namesrvs: namesrvs.clone(), membership };
            self.brokers.push(Node::new(Plan::broker(shop, spec.broker, &dir, &seat)?));
        }
        Ok(())
    }

    /// Starts a NameServer and waits until it listens.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start_namesrv(&mut self, number: usize) -> Verdict {
        let node = &mut self.namesrvs[number];
        node.start()?;
        let port = node.plan.port;
        node.wait_until("its port", START_LIMIT, || Ok(connect(port).is_ok()))
    }

    /// Kills a NameServer with SIGKILL.
    pub fn kill_namesrv(&mut self, number: usize) {
        self.namesrvs[number].kill();
    }

    /// Starts every broker that does not run on its store and port, and waits as [`Cluster::wait_until_led`] does.
    ///
    /// # Errors
    /// If one does not come up.
    pub fn start_brokers(&mut self) -> Verdict {
        for node in self.brokers.iter_mut().filter(|node| !node.is_started()) {
            node.start()?;
        }
        self.wait_until_led()
    }

    /// Waits until each broker listens and each broker name has a route: those lead that should, and all others follow, at
    /// every NameServer that runs.
    ///
    /// # Errors
    /// If it takes too long, or a broker ends meanwhile.
    ///
    /// # Panics
    /// If a broker was killed or stopped and not started again.
    pub fn wait_until_led(&mut self) -> Verdict {
        let (masters, namesrvs) = (self.masters(), self.running_namesrvs());
        let members = usize::from(self.spec.members);
        let told = |namesrv: &u16| is_told(*namesrv, &masters, members);
        self.brokers.iter_mut().try_for_each(|node| {
            let port = node.plan.port;
            node.wait_until("its registration", START_LIMIT, || {
                Ok(namesrvs.iter().all(told) && connect(port).is_ok())
            })
        })
    }

    /// Stops all brokers with SIGTERM, all at once.
    ///
    /// # Errors
    /// If one does not end, not in good order, or has ended by itself before. The others are stopped all the same.
    pub fn stop_brokers(&mut self) -> Verdict {
        let looked = self.look();
        self.brokers.iter_mut().for_each(Node::ask_to_stop);
        looked.and(stop_all(&mut self.brokers))
    }

    /// Looks whether all run that should. A group goes on without a member that has died, and nobody else would notice.
    ///
    /// # Errors
    /// `Exit` with the end of its log for the first that has ended by itself.
    pub fn look(&mut self) -> Verdict {
        self.namesrvs.iter_mut().chain(&mut self.brokers).try_for_each(Node::look)
    }

    /// Kills a broker with SIGKILL: that of group `at / members` whose label has the number `at % members`.
    pub fn kill_broker(&mut self, at: usize) {
        self.brokers[at].kill();
    }

    /// Kills the members with this number of all groups, as if they were on one machine that loses its power.
    pub fn kill_node(&mut self, number: usize) {
        let members = usize::from(self.spec.members);
        assert!(number < members, "a node for each member of a group");
        for node in self.brokers.iter_mut().skip(number).step_by(members) {
            node.kill();
        }
    }

    /// Whether all servers run.
    pub fn is_alive(&mut self) -> bool {
        self.namesrvs.iter_mut().chain(&mut self.brokers).all(Node::is_alive)
    }

    /// `host:port` of each NameServer, as clients want them.
    #[must_use]
    pub fn namesrv_address(&self) -> String {
        let addresses = self.namesrvs.iter().map(|node| format!("127.0.0.1:{}", node.plan.port));
        addresses.collect::<Vec<_>>().join(";")
    }

    /// Port of the first NameServer.
    #[must_use]
    pub fn namesrv_port(&self) -> u16 {
        self.namesrvs[0].plan.port
    }

    /// Port of the first broker's first shard.
    #[must_use]
    pub fn broker_port(&self) -> u16 {
        self.brokers[0].plan.port
    }

    /// `host:port` of the master of each broker name, when those lead that should.
    #[must_use]
    pub fn broker_addresses(&self) -> Vec<String> {
        self.masters().into_values().collect()
    }

    /// Each broker name, and where its master is when those lead that should: the k-th member leads shard k, counted round,
    /// or as [`Spec::spread`] says.
    #[must_use]
    pub fn masters(&self) -> BTreeMap<String, String> {
        let mut masters = BTreeMap::new();
        for (number, group) in self.brokers.chunks(usize::from(self.spec.members)).enumerate() {
            let first = if self.spec.spread { number } else { 0 };
            for shard in 0..usize::from(self.spec.shards) {
                let plan = &group[(first + shard) % group.len()].plan;
                masters.insert(plan.broker_names[shard].clone(), plan.addresses().remove(shard));
            }
        }
        masters
    }

    /// Where each broker name listens at each member, in the order of their labels.
    #[must_use]
    pub fn addresses(&self) -> BTreeMap<String, Vec<String>> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for node in &self.brokers {
            for (name, address) in node.plan.broker_names.iter().zip(node.plan.addresses()) {
                all.entry(name.clone()).or_default().push(address);
            }
        }
        all
    }

    /// Whether every NameServer that runs has those as masters that should lead, and all others beside them.
    #[must_use]
    pub fn is_led(&self) -> bool {
        let (masters, members) = (self.masters(), usize::from(self.spec.members));
        self.running_namesrvs().iter().all(|namesrv| is_told(*namesrv, &masters, members))
    }

    /// Which broker leads a broker name, as the first NameServer that runs has it; `None` while there is nobody.
    #[must_use]
    pub fn leader_of(&self, name: &str) -> Option<usize> {
        let namesrv = *self.running_namesrvs().first()?;
        let address = route_of(namesrv, EVERYWHERE).ok()?.get(name)?.get(&MASTER)?.clone();
        self.brokers.iter().position(|node| node.plan.addresses().contains(&address))
    }

    fn running_namesrvs(&self) -> Vec<u16> {
        let running = self.namesrvs.iter().filter(|node| node.is_started());
        running.map(|node| node.plan.port).collect()
    }

    /// The process of the first NameServer.
    #[must_use]
    pub fn namesrv_pid(&self) -> u32 {
        self.namesrvs[0].pid()
    }

    /// The process of the first broker.
    ///
    /// # Panics
    /// If it does not run.
    #[must_use]
    pub fn broker_pid(&self) -> u32 {
        self.brokers[0].pid()
    }

    /// The ends of all logs, for a failure.
    #[must_use]
    pub fn tails(&self) -> String {
        self.namesrvs.iter().chain(&self.brokers).map(Node::tail).collect()
    }

    /// Stops all; what does not stop is killed.
    ///
    /// # Errors
    /// The first that had to be killed, did not end in good order, or has ended by itself before.
    pub fn stop(mut self) -> Verdict {
        let stopped = self.stop_brokers();
        stopped.and(stop_all(&mut self.namesrvs))
    }
}

#[cfg(test)]
impl Cluster {
    /// Shell scripts in the place of brokers, and no NameServer.
    pub(super) fn of_scripts(dir: &Path, scripts: &[&str]) -> Self {
        let node = |script: &&str| {
            let mut node = Node::new(Plan::script(Maker::Ours, dir, script));
            node.start().unwrap();
            node
        };
        let brokers = scripts.iter().map(node).collect();
        Self { spec: Spec::of(Maker::Ours), dir: dir.to_owned(), namesrvs: Vec::new(), brokers }
    }
}

/// Stops each that runs, whatever came of the ones before it.
fn stop_all(nodes: &mut [Node]) -> Verdict {
    let running = nodes.iter_mut().filter(|node| node.is_started());
    running.map(Node::stop).fold(Ok(()), Verdict::and)
}

/// The name of its first shards' broker: `broker-a` for the first group.
#[must_use]
pub fn group_name(group: u16) -> String {
    let letter = u8::try_from(group).ok().and_then(|group| b'a'.checked_add(group));
    let letter = letter.filter(u8::is_ascii_lowercase).expect("a few groups");
    let stem = BROKER_NAME.strip_suffix('a').expect("it ends in the first letter");
    format!("{stem}{}", char::from(letter))
}

/// A directory of its own for a server that is one of several.
fn place(dir: &Path, name: Option<String>) -> Verdict<PathBuf> {
    let dir = name.map_or_else(|| dir.to_owned(), |name| dir.join(name));
    fs::create_dir_all(&dir).trying(dir.display().to_string())?;
    Ok(dir)
}

/// Whether a NameServer has these masters, and so many members of each name.
fn is_told(namesrv: u16, masters: &BTreeMap<String, String>, members: usize) -> bool {
    let route = route_of(namesrv, EVERYWHERE).unwrap_or_default();
    masters.iter().all(|(name, master)| {
        let has = |have: &BTreeMap<i64, String>| {
            have.get(&MASTER) == Some(master) && have.len() == members
        };
        route.get(name).is_some_and(has)
    })
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

/// The brokers that a NameServer lists for a topic; none if it knows no route.
///
/// # Errors
/// If it does not answer, or not in JSON.
pub fn route_of(namesrv: u16, topic: &str) -> Verdict<Route> {
    let ext = [("topic", topic), ("acceptStandardJsonOnly", "true")];
    let answer = ask(namesrv, &frame::request(GET_ROUTEINFO_BY_TOPIC, 0, 1, &ext, b""))?;
    if answer.code != 0 {
        return Ok(Route::new());
    }
    let route: serde_json::Value = serde_json::from_slice(&answer.body)
        .map_err(|error| Failure::Wrong(format!("the route of {topic} is not JSON: {error}")))?;
    let brokers = route["brokerDatas"].as_array().cloned().unwrap_or_default();
    Ok(brokers.iter().filter_map(broker).collect())
}

fn broker(data: &serde_json::Value) -> Option<(String, BTreeMap<i64, String>)> {
    let addresses = data["brokerAddrs"].as_object()?.iter();
    let addresses = addresses.filter_map(|(id, at)| Some((id.parse().ok()?, at.as_str()?.into())));
    Some((data["brokerName"].as_str()?.to_owned(), addresses.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_called_by_letters() {
        assert_eq!([0, 1, 25].map(group_name), ["broker-a", "broker-b", "broker-z"]);
    }

    #[test]
    fn a_broker_of_a_route_has_an_address_for_each_id() {
        let data = serde_json::json!({
            "brokerName": "broker-a", "brokerAddrs": {"0": "127.0.0.1:1", "2": "127.0.0.1:2"}
        });
        let addresses = [(0, "127.0.0.1:1".to_owned()), (2, "127.0.0.1:2".to_owned())];
        assert_eq!(broker(&data), Some(("broker-a".to_owned(), addresses.into())));
        assert_eq!(broker(&serde_json::json!({"brokerName": "broker-a"})), None);
    }
}
