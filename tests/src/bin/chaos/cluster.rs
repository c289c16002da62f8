//! The machines of a run, what is wrong with each of them now, and how that ends.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::tests::harness::failure::{Failure, Verdict};
use ::tests::net::group::{Group, State};
use ::tests::net::node::{NAMESRV_PORT, Node};
use ::tests::net::{Means, Net};

use crate::PROGRAM;
use crate::disk::Throttle;

use crate::conf::{broker_conf, namesrv_conf, peer};
use crate::java::Java;
use crate::load::{Load, Sender};

/// Brokers that vote, and one machine more for who comes in place of another.
pub const VOTERS: usize = 3;
const BROKERS: usize = VOTERS + 1;
/// All machines, the brokers first.
const MACHINES: [&str; BROKERS + 3] = ["n0", "n1", "n2", "n3", "ns0", "ns1", "client"];
const CLIENT: usize = BROKERS + 2;
/// How often servers are looked at while time passes.
const LOOK: Duration = Duration::from_millis(50);
/// From the end of a fault until all is well again.
pub const WELL_LIMIT: Duration = Duration::from_secs(60);
/// Until a group is founded, and a NameServer knows it.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Where our programs are.
#[derive(Debug)]
pub struct Programs {
    dir: PathBuf,
}

impl Programs {
    /// # Errors
    /// One of them is missing.
    pub fn new(dir: PathBuf) -> Verdict<Self> {
        for name in ["mqbroker", "mqnamesrv", "mqbench", "mqadmin", "mqstore"] {
            if !dir.join(name).is_file() {
                let dir = dir.display();
                let text =
                    format!("{dir}/{name} is missing: cargo build --release --workspace --bins");
                return Err(Failure::Wrong(text));
            }
        }
        Ok(Self { dir })
    }

    /// One of them.
    pub fn named(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// All machines of a run.
pub struct Cluster {
    // Dropped before the network and the throttle that they run in.
    pub load: Option<Load>,
    pub java: Option<Java>,
    pub brokers: Vec<Node>,
    pub namesrvs: Vec<Node>,
    /// Where the members are; the last place of it is no member's.
    pub members: Vec<usize>,
    pub group: Group,
    pub sender: Sender,
    pub net: Net,
    pub means: Means,
    pub throttle: Option<Throttle>,
    /// Ways that are cut: from, to.
    cuts: BTreeSet<(usize, usize)>,
    bent: BTreeSet<usize>,
    slow: BTreeSet<u32>,
    pub addresses: String,
}

impl Cluster {
    /// Starts all, and waits until the group is well.
    pub fn start(programs: &Programs, dir: &Path) -> Verdict<Self> {
        let net = Net::new(PROGRAM, &MACHINES)?;
        let means = net.means()?;
        let node = |machine: usize, program: &str| {
            Node::new(MACHINES[machine], machine, programs.named(program), dir)
        };
        let broker = |at| Ok(node(at, "mqbroker")?.on_cores_of(at));
        let brokers = (0..BROKERS).map(broker).collect::<Verdict<Vec<_>>>()?;
        let namesrvs = [BROKERS, BROKERS + 1].map(|at| node(at, "mqnamesrv"));
        let namesrvs = namesrvs.into_iter().collect::<Verdict<Vec<_>>>()?;
        let addresses: Vec<String> = namesrvs
            .iter()
            .map(|node| format!("{}:{NAMESRV_PORT}", net.address(node.machine)))
            .collect();
        let addresses = addresses.join(";");
        let (program, namesrvs_of) = (programs.named("mqadmin"), addresses.clone());
        let (machine, own_dir) = (CLIENT, dir.to_owned());
        let group = Group { program, machine, namesrvs: namesrvs_of.clone(), dir: own_dir.clone() };
        let program = programs.named("mqbench");
        let sender = Sender { program, machine, namesrvs: namesrvs_of, dir: own_dir };
        let mut cluster = Self {
            load: None,
            java: None,
            brokers,
            namesrvs,
            members: (0..VOTERS).collect(),
            group,
            sender,
            net,
            means,
            throttle: Throttle::new(dir),
            cuts: BTreeSet::new(),
            bent: BTreeSet::new(),
            slow: BTreeSet::new(),
            addresses,
        };
        for at in 0..cluster.namesrvs.len() {
            cluster.start_namesrv(at)?;
        }
        for at in 0..VOTERS {
            cluster.start_broker(at)?;
        }
        cluster.until_well(START_LIMIT, "the group is founded")?;
        Ok(cluster)
    }

    /// Starts a NameServer.
    pub fn start_namesrv(&mut self, at: usize) -> Verdict {
        let node = &mut self.namesrvs[at];
        node.configure(&namesrv_conf(&self.net, node))?;
        node.start(&self.net)
    }

    /// Starts a broker as a member of the group of now, or as one that may become one.
    pub fn start_broker(&mut self, at: usize) -> Verdict {
        let mut peers = self.members.clone();
        if !peers.contains(&at) {
            peers.push(at);
        }
        let peers: Vec<String> =
            peers.iter().map(|at| peer(&self.net, &self.brokers[*at])).collect();
        let node = &self.brokers[at];
        node.configure(&broker_conf(&self.net, node, &self.addresses, &peers))?;
        self.brokers[at].start(&self.net)
    }

    /// Lets time pass, and looks at everything that should run.
    ///
    /// # Errors
    /// Something has ended by itself.
    pub fn pass(&mut self, time: Duration) -> Verdict {
        let end = Instant::now() + time;
        loop {
            self.look()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    fn look(&mut self) -> Verdict {
        let mut servers = self.brokers.iter_mut().chain(&mut self.namesrvs);
        servers.try_for_each(Node::look)?;
        self.load.as_mut().map_or(Ok(()), Load::look)?;
        self.java.as_mut().map_or(Ok(()), Java::look)
    }

    /// Where the leader is, as far as somebody says.
    pub fn leader(&self) -> Verdict<Option<usize>> {
        let state = self.group.state(&self.net)?;
        Ok(state.and_then(|state| state.leader).and_then(|label| self.at(&label)))
    }

    fn at(&self, label: &str) -> Option<usize> {
        self.brokers.iter().position(|node| node.name == label)
    }

    /// Waits until all members are there, one leads and the others follow; how long that took.
    ///
    /// # Errors
    /// It does not come to that in time, or a server ends by itself.
    pub fn until_well(&mut self, limit: Duration, what: &str) -> Verdict<Duration> {
        let begin = Instant::now();
        loop {
            self.look()?;
            let state = self.group.state(&self.net)?;
            let took = begin.elapsed();
            if state.as_ref().is_some_and(|state| self.is_well(state)) {
                return Ok(took);
            }
            if took > limit {
                let text = state.map_or("nobody answers".to_owned(), |state| state.text);
                let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
                let load = load.trim_end();
                let text =
                    format!("not within {limit:?}: {what} (load of the machine {load}):\n{text}");
                return Err(Failure::Wrong(text));
            }
            std::thread::sleep(LOOK * 4);
        }
    }

    fn is_well(&self, state: &State) -> bool {
        let named = state.voters.iter().filter_map(|label| self.at(label)).collect::<BTreeSet<_>>();
        state.is_well(VOTERS) && named == self.members.iter().copied().collect()
    }

    /// What `from` sends to `to` is lost from now on.
    pub fn cut(&mut self, from: usize, to: usize) -> Verdict {
        if from == to || !self.cuts.insert((from, to)) {
            return Ok(());
        }
        self.net.cut(from, to)
    }

    /// All machines but the one.
    pub fn others(&self, than: usize) -> Vec<usize> {
        (0..MACHINES.len()).filter(|machine| *machine != than).collect()
    }

    /// The packets of a broker are lost in part, or late.
    pub fn bend(&mut self, at: usize, bend: impl Fn(&Net, usize, Means) -> Verdict) -> Verdict {
        if !self.bent.insert(at) {
            return Ok(());
        }
        bend(&self.net, at, self.means)
    }

    /// The disk of a broker writes little.
    pub fn slow_disk(&mut self, at: usize) -> Verdict {
        let Some((throttle, pid)) = self.throttle.as_ref().zip(self.brokers[at].pid()) else {
            return Ok(());
        };
        self.slow.insert(pid);
        throttle.slow(pid)
    }

    /// The network and the disks are as they were, and nothing stands still.
    pub fn heal(&mut self) -> Verdict {
        for (from, to) in std::mem::take(&mut self.cuts) {
            self.net.mend(from, to)?;
        }
        for at in std::mem::take(&mut self.bent) {
            self.net.straighten(at, self.means)?;
        }
        for pid in std::mem::take(&mut self.slow) {
            self.throttle.as_ref().map_or(Ok(()), |throttle| throttle.release(pid))?;
        }
        self.brokers.iter_mut().for_each(Node::go_on);
        Ok(())
    }

    /// Whatever should run and does not is started.
    pub fn start_missing(&mut self) -> Verdict {
        for at in 0..self.namesrvs.len() {
            if !self.namesrvs[at].should_run() {
                self.start_namesrv(at)?;
            }
        }
        for at in self.members.clone() {
            if !self.brokers[at].should_run() {
                self.start_broker(at)?;
            }
        }
        Ok(())
    }
}
