//! Groups whose members are machines in a network of its own, so that links between them can be cut or take their time.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tests::harness::cluster::group_name;
use tests::harness::failure::{Failure, Trying, Verdict, expect};
use tests::harness::lab::{Home, Lab};
use tests::harness::process;
use tests::net::Net;
use tests::net::group::{Group, State};
use tests::net::node::{NAMESRV_PORT, Node, PORT, RAFT_PORT};

use crate::group::millis;

/// What its namespaces are called by.
pub const PROGRAM: &str = "failovers";
/// Members of each group.
const MEMBERS: usize = 3;
/// From one group's ports on a machine to the next one's.
const BETWEEN_GROUPS: u16 = 100;
/// Until groups are founded, or whole again, on a busy machine.
const WELL_LIMIT: Duration = Duration::from_secs(120);
/// Until a majority has another leader, told by `mqadmin`, which waits for nodes that do not answer.
const LEADER_LIMIT: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// What a land is made of.
pub struct Plan {
    /// Machines, site by site. NameServers begin with `ns`, those of clients with `client`.
    pub sites: &'static [&'static [&'static str]],
    /// The machines of each group's members, in the order of their labels.
    pub groups: &'static [[&'static str; MEMBERS]],
    /// The number of the member that should lead, for each group.
    pub preferred: &'static [usize],
    /// How long a packet takes from one site to the other; `None` where there is one site.
    pub late: Option<Duration>,
}

/// Its machines, and what runs on them.
pub struct Land {
    // Dropped before the network that they run in.
    namesrvs: Vec<Node>,
    /// Group by group, and in each by the number in the member's label.
    brokers: Vec<Node>,
    /// The first is asked from the first client's machine, and so on.
    groups: Vec<Group>,
    addresses: String,
    dir: PathBuf,
    net: Net,
}

/// Does something in a land of its own, which must end in good order.
///
/// # Errors
/// What is done reports, or a server that has ended by itself; with the ends of all logs.
pub fn within(
    lab: &mut Lab,
    plan: &Plan,
    body: impl FnOnce(&Lab, &mut Land) -> Verdict,
) -> Verdict {
    lab.end_cluster()?;
    let dir = lab.new_dir("land")?;
    let mut land = Land::new(lab, plan, &dir)?;
    let done = land.start(plan).and_then(|()| body(lab, &mut land)).and_then(|()| land.stop());
    if done.is_err() {
        println!("{}  files: {}", land.tails(), dir.display());
    } else if !lab.keep {
        drop(land);
        fs::remove_dir_all(&dir).trying(dir.display().to_string())?;
    }
    done
}

impl Land {
    fn new(lab: &Lab, plan: &Plan, dir: &Path) -> Verdict<Self> {
        let mut net = Net::of_sites(PROGRAM, plan.sites)?;
        if plan.sites.len() > 1 {
            let mut relay = Command::new(own_program()?);
            relay.arg("--wire");
            let late = plan.late.map(|late| (late, &mut relay));
            net.join(late, &dir.join("wire.log"))?;
        }
        let names = || plan.sites.iter().flat_map(|site| site.iter().copied());
        let node = |name: &str, machine: &str, program: &str| {
            Node::new(name, net.number(machine), lab.shop.bin.join(program), dir)
        };
        let namesrvs = names().filter(|name| name.starts_with("ns"));
        let namesrvs = namesrvs.map(|name| node(name, name, "mqnamesrv"));
        let namesrvs = namesrvs.collect::<Verdict<Vec<_>>>()?;
        let mut brokers = Vec::new();
        for (group, machines) in (0..).zip(plan.groups) {
            for (own, machine) in machines.iter().enumerate() {
                let name = format!("{}-n{own}", group_name(group));
                let broker = node(&name, machine, "mqbroker")?;
                brokers.push(broker.on_cores_of(usize::from(group) + own));
            }
        }
        let addresses = namesrvs
            .iter()
            .map(|node| format!("{}:{NAMESRV_PORT}", net.address(node.machine)))
            .collect::<Vec<_>>()
            .join(";");
        let group = |name: &str| Group {
            program: lab.shop.bin.join("mqadmin"),
            machine: net.number(name),
            namesrvs: addresses.clone(),
            dir: dir.to_owned(),
        };
        let groups = names().filter(|name| name.starts_with("client")).map(group).collect();
        Ok(Self { namesrvs, brokers, groups, addresses, dir: dir.to_owned(), net })
    }

    fn start(&mut self, plan: &Plan) -> Verdict {
        for node in &mut self.namesrvs {
            let address = self.net.address(node.machine);
            node.configure(&format!("listenPort={NAMESRV_PORT}\nbindAddress={address}\n"))?;
            node.start(&self.net)?;
        }
        for at in 0..self.brokers.len() {
            let conf = self.broker_conf(plan, at);
            self.brokers[at].configure(&conf)?;
            self.brokers[at].start(&self.net)?;
        }
        self.until_well()?;
        // Whoever was elected first hands over after some seconds.
        let are_led = |states: &[State]| {
            (0..)
                .zip(plan.preferred)
                .all(|(group, preferred)| leader_in(states, &group_name(group)) == Some(*preferred))
        };
        self.until(0, WELL_LIMIT, "those lead that should", are_led).map(|_| ())
    }

    fn broker_conf(&self, plan: &Plan, at: usize) -> String {
        let (group, own) = (u16::try_from(at / MEMBERS).expect("a few"), at % MEMBERS);
        let (port, raft) = (self.port(at), RAFT_PORT + group * BETWEEN_GROUPS);
        let peers: Vec<String> = (0..MEMBERS)
            .map(|member| (member, self.address(usize::from(group) * MEMBERS + member)))
            .map(|(member, address)| format!("n{member}-{address}:{raft}"))
            .collect();
        let (name, address) = (group_name(group), self.address(at));
        let mut conf = format!(
            "brokerClusterName=DefaultCluster\nbrokerName={name}\nlistenPort={port}\nbindAddress={address}\n\
             brokerIP1={address}\nnamesrvAddr={}\nstorePathRootDir={}\nflushDiskType=SYNC_FLUSH\n\
             mappedFileSizeCommitLog=67108864\nenableDLegerCommitLog=true\ndLegerPeers={}\n\
             dLegerSelfId=n{own}\npreferredLeaderId=n{}\n",
            self.addresses,
            self.brokers[at].store().display(),
            peers.join(";"),
            plan.preferred[usize::from(group)],
        );
        if let Some([heartbeat, min, max]) = millis() {
            conf += &format!("raftHeartbeatMillis={heartbeat}\nraftElectionMinMillis={min}\n");
            conf += &format!("raftElectionMaxMillis={max}\n");
        }
        conf
    }

    fn port(&self, at: usize) -> u16 {
        PORT + u16::try_from(at / MEMBERS).expect("a few") * BETWEEN_GROUPS
    }

    fn address(&self, at: usize) -> String {
        self.net.address(self.brokers[at].machine)
    }

    /// What a client on the machine of this name is told.
    pub fn home(&self, machine: &str) -> Home {
        let brokers = (0..self.brokers.len()).step_by(MEMBERS);
        let brokers = brokers.map(|at| format!("{}:{}", self.address(at), self.port(at)));
        Home {
            dir: self.dir.clone(),
            namesrv: self.addresses.clone(),
            brokers: brokers.collect(),
            inside: Some(self.net.namespace_of(self.net.number(machine))),
        }
    }

    /// The network.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// Waits until each group is whole and led by one of its members, as each client sees it.
    ///
    /// # Errors
    /// It takes too long, or a server ends meanwhile.
    pub fn until_well(&mut self) -> Verdict {
        let groups = self.brokers.len() / MEMBERS;
        let is_well = move |states: &[State]| {
            states.len() == groups && states.iter().all(|state| state.is_well(MEMBERS))
        };
        (0..self.groups.len()).try_for_each(|from| {
            self.until(from, WELL_LIMIT, "all groups are whole", is_well).map(|_| ())
        })
    }

    /// Which member leads a group, as it is seen from the machine of the client with this number.
    ///
    /// # Errors
    /// Nobody does within the limit, or a server ends meanwhile.
    pub fn leader(&mut self, from: usize, name: &str) -> Verdict<usize> {
        self.leader_that(from, name, |_| true)
    }

    /// Waits until another member leads than this one; which one that is.
    ///
    /// # Errors
    /// As [`Land::leader`].
    pub fn other_leader(&mut self, from: usize, name: &str, than: usize) -> Verdict<usize> {
        self.leader_that(from, name, |leader| leader != than)
    }

    fn leader_that(
        &mut self,
        from: usize,
        name: &str,
        wanted: impl Fn(usize) -> bool,
    ) -> Verdict<usize> {
        let leads = |states: &[State]| leader_in(states, name).is_some_and(&wanted);
        let states = self.until(from, LEADER_LIMIT, &format!("somebody leads {name}"), leads)?;
        Ok(leader_in(&states, name).expect("it was waited for"))
    }

    fn until(
        &mut self,
        from: usize,
        limit: Duration,
        what: &str,
        wanted: impl Fn(&[State]) -> bool,
    ) -> Verdict<Vec<State>> {
        let begin = Instant::now();
        loop {
            self.look()?;
            let states = self.groups[from].states(&self.net)?;
            if wanted(&states) {
                return Ok(states);
            }
            if begin.elapsed() > limit {
                let text = states.first().map_or("nobody answers", |state| &state.text);
                return Err(Failure::Wrong(format!("not within {limit:?}: {what}:\n{text}")));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Looks whether all servers run that should, and the link between the sites.
    ///
    /// # Errors
    /// One has ended by itself.
    pub fn look(&mut self) -> Verdict {
        self.net.look()?;
        self.namesrvs.iter_mut().chain(&mut self.brokers).try_for_each(Node::look)
    }

    /// Kills the member of a group.
    pub fn kill(&mut self, group: usize, member: usize) {
        self.brokers[group * MEMBERS + member].kill();
    }

    /// Starts it again.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start_again(&mut self, group: usize, member: usize) -> Verdict {
        self.brokers[group * MEMBERS + member].start(&self.net)
    }

    /// The machine of a group's member.
    pub fn machine(&self, group: usize, member: usize) -> usize {
        self.brokers[group * MEMBERS + member].machine
    }

    /// How long it takes from a client's machine to connect to each NameServer, at least.
    ///
    /// # Errors
    /// One does not answer.
    pub fn distances(&self, client: &str) -> Verdict<Vec<Duration>> {
        let from = self.net.number(client);
        let dial = |node: &Node| -> Verdict<Duration> {
            let address = format!("{}:{NAMESRV_PORT}", self.net.address(node.machine));
            let mut command = self.net.command(from, &own_program()?);
            command.args(["--dial", &address]);
            let seen = process::run("dial", &mut command, &self.dir, WELL_LIMIT)?.clean("dial")?;
            let micros = seen.out.trim().parse();
            micros.map(Duration::from_micros).map_err(|_| Failure::Wrong(seen.out.clone()))
        };
        self.namesrvs.iter().map(dial).collect()
    }

    fn stop(&mut self) -> Verdict {
        let all = self.brokers.iter_mut().chain(&mut self.namesrvs);
        all.map(|node| node.look().and(node.stop())).fold(Ok(()), Verdict::and)
    }

    fn tails(&self) -> String {
        self.namesrvs.iter().chain(&self.brokers).map(Node::tail).collect()
    }
}

/// The number in the label of the leader of a broker name.
fn leader_in(states: &[State], name: &str) -> Option<usize> {
    let state = states.iter().find(|state| state.name == name)?;
    state.leader.as_ref()?.strip_prefix('n')?.parse().ok()
}

fn own_program() -> Verdict<PathBuf> {
    env::current_exe().trying("the path of this program")
}

/// Connects three times and prints the shortest time in microseconds; for [`Land::distances`].
///
/// # Errors
/// Nobody listens there.
pub fn dial(address: &str) -> Verdict {
    let mut shortest = Duration::MAX;
    for _ in 0..3 {
        let begin = Instant::now();
        drop(std::net::TcpStream::connect(address).trying(format!("connecting to {address}"))?);
        shortest = shortest.min(begin.elapsed());
    }
    expect(shortest < Duration::MAX, || "it was measured".to_owned())?;
    println!("{}", shortest.as_micros());
    Ok(())
}
