//! One history: a group under load while things happen to its members; then all is well again, and it must go on.

use std::collections::BTreeMap;
use std::time::Duration;

use raft::{Member, MemberId};
use runtime::sim::Simulation;

use crate::board::Disk;
use crate::dice::Dice;
use crate::machine::Machine;
use crate::network::{Network, On};
use crate::operator::Operator;
use crate::outcome::Outcome;
use crate::settings::flush_of;
use crate::witness::Witness;

/// Time to open the stores at first.
const OPEN_LIMIT: Duration = Duration::from_secs(10);
/// Time in which members that were founded have a leader.
const FOUND_LIMIT: Duration = Duration::from_secs(20);
/// Messages that are sent at a time, times the load.
const MOST_AT_ONCE: u64 = 30;
/// The longest time between two things that happen, in milliseconds.
const STEP_MAX: u64 = 600;
/// Members look at what the driver wants this often, and the driver at them.
pub const LOOK: Duration = Duration::from_millis(2);

/// A group, and what the driver knows of it.
pub struct History {
    pub sim: Simulation,
    pub dice: Dice,
    pub machines: Vec<Machine>,
    pub witness: Witness,
    pub operator: Operator,
    network: Network,
    /// The number of the next message.
    pub next: u32,
    plan: Plan,
}

/// What kind of a history it is.
struct Plan {
    /// Things that happen.
    steps: u64,
    /// How many times as many messages as usual are sent: some fill several segments, which are trimmed.
    load: u64,
    /// The log is trimmed often.
    trims: bool,
    /// The group is changed.
    changes: bool,
    /// One of the members sleeps until this step: it will be far behind.
    sleeps: Option<(usize, u64)>,
}

impl Plan {
    fn draw(dice: &mut Dice, count: u64) -> Self {
        let trims = dice.below(5) > 0;
        let steps = 8 + dice.below(24);
        let load = if trims { 3 + dice.below(5) } else { 1 };
        let sleeper = (dice.below(count) as usize, 6 + dice.below(steps));
        let sleeps = (trims && dice.below(5) > 0).then_some(sleeper);
        Self { steps, load, trims, changes: dice.below(2) == 0, sleeps }
    }
}

/// Plays the history of this seed, and checks it.
pub fn run(seed: u64) -> Outcome {
    let sim = Simulation::new(seed);
    let mut dice = Dice::new(seed);
    let founders = if dice.below(4) == 0 { 5 } else { 3 };
    let plan = Plan::draw(&mut dice, founders);
    // One more, to take the place of another.
    let flush = flush_of(seed);
    let machines = (0..=founders).map(|at| Machine::new(&sim, at as u8, flush)).collect();
    let (witness, operator) = (Witness::default(), Operator::default());
    let network = Network::default();
    let mut history = History { sim, dice, machines, witness, operator, network, next: 0, plan };
    history.found(founders as usize);
    if history.dice.below(4) > 0 {
        history.until("a first leader", FOUND_LIMIT, |machines| {
            machines.iter().any(|machine| machine.leads().is_some())
        });
    }
    for step in 0..history.plan.steps {
        history.step(step);
    }
    history.all_is_well();
    history.goes_on();
    history.check()
}

impl History {
    /// Runs until that holds.
    pub fn until(&mut self, what: &str, limit: Duration, holds: impl Fn(&[Machine]) -> bool) {
        let end = self.sim.now() + limit;
        while !holds(&self.machines) {
            assert!(self.sim.now() < end, "not within {limit:?}: {what}");
            self.run_for(LOOK);
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        self.sim.run_for(time);
        self.machines.iter_mut().for_each(Machine::look);
    }

    fn found(&mut self, founders: usize) {
        for machine in &mut self.machines[..founders] {
            machine.start(&self.witness);
        }
        self.until("all are open", OPEN_LIMIT, |machines| {
            machines[..founders].iter().all(|machine| machine.id().is_some())
        });
        let founding = &mut self.machines[..founders];
        let members: BTreeMap<MemberId, Member> =
            founding.iter().map(|machine| (machine.id().unwrap(), machine.member())).collect();
        self.witness.seen().groups.founded(members.keys().copied().collect());
        // Each of them founds the group at its next start, and at all later ones; some do at once.
        for machine in founding {
            machine.board.notes().found = Some(members.clone());
        }
        let first = self.dice.below(founders as u64) as usize;
        for at in 0..founders {
            if at == first || self.dice.below(2) == 0 {
                self.machines[at].die(self.dice.below(2) == 0);
                self.machines[at].start(&self.witness);
            }
        }
    }

    fn step(&mut self, step: u64) {
        self.send();
        if self.plan.trims && self.dice.below(2) == 0 {
            self.machines.iter().for_each(|machine| machine.board.notes().trim = true);
        }
        if self.plan.changes {
            self.operator.act(&mut self.machines, &mut self.dice, &self.witness);
        }
        self.something_happens();
        let time = 1 + self.dice.below(STEP_MAX);
        self.run_for(Duration::from_millis(time));
        self.revive(step);
    }

    /// Whoever is dead may live again, and whoever has failed is dead sooner or later.
    fn revive(&mut self, step: u64) {
        for at in 0..self.machines.len() {
            let machine = &mut self.machines[at];
            if machine.board.notes().failed.is_some() && self.dice.below(2) == 0 {
                machine.die(self.dice.below(2) == 0);
            }
            let sleeps = self.plan.sleeps.is_some_and(|(who, until)| who == at && step < until);
            if sleeps && step > 0 {
                machine.die(false);
            }
            if !sleeps && !machine.lives() && self.dice.below(3) > 0 {
                if machine.board.notes().disk != Disk::Well && self.dice.below(2) == 0 {
                    machine.node.disk().heal();
                    machine.board.notes().disk = Disk::Well;
                }
                machine.start(&self.witness);
            }
        }
    }

    /// Sends some messages to whoever thinks that it leads.
    pub fn send(&mut self) {
        let count = self.dice.below(MOST_AT_ONCE * self.plan.load) as u32;
        let leaders: Vec<_> =
            self.machines.iter().filter(|machine| machine.leads().is_some()).collect();
        if leaders.is_empty() {
            return;
        }
        let to = leaders[self.dice.below(leaders.len() as u64) as usize];
        for number in self.next..self.next + count {
            self.witness.seen().acknowledged.sent(number, self.sim.now());
            to.board.notes().to_send.push_back(number);
        }
        self.next += count;
    }

    fn on_network(&mut self) -> (&mut Network, On<'_>) {
        let on = On { sim: &self.sim, machines: &self.machines, witness: &self.witness };
        (&mut self.network, on)
    }

    pub fn cut_way(&mut self, from: usize, to: usize) {
        let (network, on) = self.on_network();
        network.cut(&on, from, to);
    }

    pub fn roughen_between(&mut self, one: usize, other: usize, longer: Duration, lost_in: u64) {
        let (network, on) = self.on_network();
        network.roughen(&on, (one, other), longer, lost_in);
    }

    pub fn mend(&mut self) {
        let (network, on) = self.on_network();
        network.mend(&on);
    }
}
