//! One history: a cluster under load while things happen to it; then all is well again, and it must go on.

use std::time::Duration;

use runtime::sim::{Node, Simulation};

use crate::clients::consumer::Consumer;
use crate::clients::stock::Stock;
use crate::clients::{operator, producer, reader, watcher};
use crate::dice::Dice;
use crate::machine::{Disk, Machine};
use crate::names::NameServer;
use crate::network::Network;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::witness::Witness;

const PRODUCERS: u64 = 4;
const CONSUMERS: u64 = 3;
const READERS: u64 = 2;
/// The longest time between two things that happen, in milliseconds.
const STEP_MAX: u64 = 1_500;
/// The same where leases of locks run out, and whatever else takes a minute.
const SLOW_STEP_MAX: u64 = 40_000;
/// What nodes come to is looked at this often.
const LOOK: Duration = Duration::from_millis(20);
/// Time in which groups are founded, and take messages.
const FOUND_LIMIT: Duration = Duration::from_secs(60);
/// So much is acknowledged before anything happens.
const AT_FIRST: u64 = 20;

/// A cluster, and what the driver knows of it.
pub struct History {
    pub sim: Simulation,
    pub dice: Dice,
    pub plan: Plan,
    pub machines: Vec<Machine>,
    pub names: Vec<NameServer>,
    pub clients: Node,
    pub network: Network,
    pub witness: Witness,
    /// Disks that are slow, or stand still.
    pub slow: Vec<bool>,
    /// Addresses of the NameServers, for clients.
    pub namesrvs: String,
    tells: bool,
}

/// Plays the history of this seed, and checks it.
pub fn run(seed: u64) -> Outcome {
    let mut history = History::new(seed);
    history.begin();
    for _ in 0..history.plan.steps {
        history.step();
    }
    history.all_is_well();
    history.goes_on();
    history.check();
    history.outcome()
}

impl History {
    fn new(seed: u64) -> Self {
        let sim = Simulation::new(seed);
        let mut dice = Dice::new(seed);
        let plan = Plan::draw(&mut dice, seed);
        let names: Vec<_> = (0..plan.name_servers).map(|at| NameServer::new(&sim, at)).collect();
        let addrs: Vec<String> = names.iter().map(|names| names.addr().to_string()).collect();
        let namesrvs = addrs.join(";");
        let nodes = plan.nodes;
        let witness = Witness::default();
        let machines: Vec<_> =
            (0..nodes).map(|at| Machine::new(&sim, at, &plan, &namesrvs, &witness)).collect();
        let mut network = Network::default();
        network.places.extend(machines.iter().map(|machine| machine.node.clone()));
        network.places.extend(names.iter().map(|names| names.node.clone()));
        let clients = sim.node("clients", [10, 0, 2, 1].into());
        network.places.push(clients.clone());
        let slow = vec![false; nodes];
        let tells = std::env::var_os("TELL").is_some();
        Self { sim, dice, plan, machines, names, clients, network, witness, slow, namesrvs, tells }
    }

    /// For whoever reads of a failure.
    pub fn note(&self, what: &str) {
        if self.tells {
            eprintln!("{:?}: {what}", Duration::from_nanos(self.sim.now().as_nanos()));
        }
    }

    pub fn stock(&self) -> impl FnOnce() -> Stock + Send + 'static {
        let (names, witness) = (self.namesrvs.clone(), self.witness.clone());
        move || Stock::new(&names, &witness)
    }

    /// Everything is started, and takes messages.
    fn begin(&mut self) {
        self.note(&format!("{:?}", self.plan));
        self.names.iter_mut().for_each(NameServer::start);
        self.machines.iter_mut().for_each(Machine::start);
        self.start_clients();
        self.until("groups take messages", FOUND_LIMIT, |history| {
            history.witness.seen().acknowledged >= AT_FIRST
        });
    }

    fn start_clients(&self) {
        for _ in 0..PRODUCERS {
            let stock = self.stock();
            drop(self.clients.start("producer", move || producer::run(stock())));
        }
        for number in 0..CONSUMERS {
            let stock = self.stock();
            let consumer = move || Consumer { stock: stock(), number, names: 0 }.run();
            drop(self.clients.start("consumer", consumer));
        }
        for _ in 0..READERS {
            let stock = self.stock();
            drop(self.clients.start("reader", move || reader::run(stock())));
        }
        let stock = self.stock();
        drop(self.clients.start("operator", move || operator::run(stock())));
        let (witness, of) = (self.witness.clone(), (self.plan.nodes, self.plan.shards));
        let names: Vec<String> = self.namesrvs.split(';').map(str::to_owned).collect();
        let watch = move || async move {
            let stocks = names.iter().map(|names| Stock::new(names, &witness)).collect();
            watcher::run(stocks, of).await;
        };
        drop(self.clients.start("watcher", watch));
    }

    fn step(&mut self) {
        let which = self.dice.below(self.plan.faults.len() as u64) as usize;
        self.happens(self.plan.faults[which]);
        self.tell_who_is_alone();
        let longest = if self.plan.is_slow { SLOW_STEP_MAX } else { STEP_MAX };
        let time = 1 + self.dice.below(longest);
        self.run_for(Duration::from_millis(time));
        self.revive();
        self.tell_who_is_alone();
    }

    /// Runs until that holds.
    pub fn until(&mut self, what: &str, limit: Duration, holds: impl Fn(&Self) -> bool) {
        let end = self.sim.now() + limit;
        while !holds(self) {
            assert!(self.sim.now() < end, "not within {limit:?}: {what}");
            self.run_for(LOOK);
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        let end = self.sim.now() + time;
        while self.sim.now() < end {
            self.sim.run_for(LOOK.min(end - self.sim.now()));
            for at in 0..self.machines.len() {
                if let Some(why) = self.machines[at].look() {
                    self.note(&format!("n{at} has ended: {why}"));
                }
            }
            self.tell_of_trouble();
        }
    }

    /// Tells the witness which nodes may not be registered at which NameServers: something is wrong with the one, the other or the way
    /// between them; or with so many nodes that nobody can lead.
    fn tell_of_trouble(&self) {
        let (now, nodes) = (self.sim.now(), self.machines.len());
        let well: Vec<bool> = (0..nodes).map(|at| self.is_well(at)).collect();
        let majority = 2 * well.iter().filter(|well| **well).count() > nodes;
        for (number, names) in self.names.iter().enumerate() {
            let there =
                names.runs && !names.stands_still && self.network.is_well_at(nodes + number);
            for (at, is_well) in well.iter().enumerate() {
                if !majority || !there || !is_well {
                    self.witness.seen().routes.trouble(at, number, now);
                }
            }
        }
    }

    fn is_well(&self, at: usize) -> bool {
        self.machines[at].works() && !self.slow[at] && self.network.is_well_at(at)
    }

    pub fn tell_who_is_alone(&self) {
        let nodes = self.machines.len();
        for at in 0..nodes {
            let others = (0..nodes).filter(|other| *other != at);
            let reached = others.filter(|other| self.network.is_there(at, *other)).count();
            let majority = 1 + reached > nodes / 2;
            self.witness.seen().alone.reaches(at, majority, self.sim.now());
        }
    }

    /// Some of what is wrong passes.
    fn revive(&mut self) {
        if self.dice.below(3) == 0 {
            self.note("the network is mended");
            self.network.mend(&self.sim);
        }
        for names in &mut self.names {
            if self.dice.below(3) > 0 {
                names.go_on();
                names.start();
            }
        }
        for at in 0..self.machines.len() {
            let passes = self.dice.below(3) > 0;
            if passes {
                self.recovers(at);
            }
        }
    }

    fn recovers(&mut self, at: usize) {
        let dice = self.dice.below(2) == 0;
        let machine = &mut self.machines[at];
        machine.go_on();
        if machine.disk == Disk::Bad && dice {
            // What has failed is not tried again before the next start.
            machine.die(false);
            machine.disk = Disk::Well;
        }
        if machine.disk != Disk::Bad {
            machine.node.disk().heal();
            self.slow[at] = false;
        }
        let starts = !machine.lives();
        machine.start();
        if starts {
            self.note(&format!("n{at} starts"));
        }
    }
}
