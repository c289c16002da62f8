//! One history: a group under load while things happen to its members; then all is well again, and it must go on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use raft::{Member, MemberId};
use runtime::sim::{Node, Simulation};

use crate::board::{Board, Taken};
use crate::dice::Dice;
use crate::{invariants, node};

const PORT: u16 = 40911;
const LIMIT: Duration = Duration::from_secs(120);
/// Messages that are sent at a time.
const MOST_AT_ONCE: u64 = 30;

struct Machine {
    node: Node,
    board: Board,
    alive: bool,
}

/// A group, and what the driver knows of it.
struct History {
    sim: Simulation,
    dice: Dice,
    machines: Vec<Machine>,
    next: u32,
    /// How many times as many messages as usual are sent: some fill several segments, which are trimmed.
    load: u64,
    /// Terms, and who led in them.
    led: BTreeSet<(u64, usize)>,
    cut_off: BTreeSet<usize>,
}

/// Plays the history of this seed, and checks it: its trace.
pub fn run(seed: u64) -> u64 {
    let sim = Simulation::new(seed);
    let mut dice = Dice::new(seed);
    let count = if dice.below(4) == 0 { 5 } else { 3 };
    let machine = |at: u8| Machine {
        node: sim.node(&format!("n{at}"), Ipv4Addr::new(10, 0, 0, at + 1)),
        board: Board::default(),
        alive: false,
    };
    let machines = (0..count).map(machine).collect();
    let (led, cut_off) = (BTreeSet::new(), BTreeSet::new());
    let load = if dice.below(3) == 0 { 10 } else { 1 };
    let mut history = History { sim, dice, machines, next: 0, load, led, cut_off };
    history.found();
    for _ in 0..history.dice.below(12) + 4 {
        history.something_happens();
    }
    history.all_is_well();
    history.check();
    history.sim.trace_hash()
}

impl History {
    fn addr(&self, at: usize) -> SocketAddr {
        SocketAddr::from((self.machines[at].node.ip(), PORT))
    }

    fn start(&mut self, at: usize) {
        let (listen, machine) = (self.addr(at), &mut self.machines[at]);
        assert!(!machine.alive, "it runs already");
        let board = machine.board.clone();
        drop(machine.node.start("member", move || node::live(listen, board)));
        machine.alive = true;
    }

    /// Runs until that holds.
    fn until(&mut self, what: &str, holds: impl Fn(&[Machine]) -> bool) {
        let end = self.sim.now() + LIMIT;
        while !holds(&self.machines) {
            assert!(self.sim.now() < end, "not within {LIMIT:?}: {what}");
            self.run_for(Duration::from_millis(2));
        }
    }

    /// Lets time pass, and looks who leads.
    fn run_for(&mut self, time: Duration) {
        self.sim.run_for(time);
        for (at, machine) in self.machines.iter().enumerate() {
            self.led.extend(machine.board.notes().leads.map(|term| (term, at)));
        }
        invariants::one_leader_a_term(&self.led);
    }

    fn found(&mut self) {
        for at in 0..self.machines.len() {
            self.start(at);
        }
        let opened =
            |machines: &[Machine]| machines.iter().all(|one| one.board.notes().id.is_some());
        self.until("all are open", opened);
        let members: BTreeMap<MemberId, Member> = (0..self.machines.len())
            .map(|at| {
                let id = self.machines[at].board.notes().id.unwrap();
                (id, Member { label: format!("n{at}"), addr: self.addr(at) })
            })
            .collect();
        self.machines[0].board.notes().found = Some(members);
    }

    /// Sends some messages to whoever thinks that it leads, and lets something happen, or nothing.
    fn something_happens(&mut self) {
        self.send();
        let at = self.dice.below(self.machines.len() as u64) as usize;
        let what = self.dice.below(11);
        match what {
            0 => self.die(at, false),
            1 => self.die(at, true),
            2 => self.cut(at),
            3 => self.mend(),
            4 => self.machines[at].node.disk().slow(1 + self.dice.below(30) as u32),
            5 => self.machines[at].node.disk().stall(Duration::from_millis(self.dice.below(400))),
            6 => self.leader_dies(),
            7 => (0..self.machines.len()).for_each(|at| self.die(at, true)),
            8 => self.machines.iter().for_each(|machine| machine.board.notes().trim = true),
            _ => {}
        }
        let time = 1 + self.dice.below(600);
        self.run_for(Duration::from_millis(time));
        for at in 0..self.machines.len() {
            if !self.machines[at].alive && self.dice.below(3) > 0 {
                self.start(at);
            }
        }
    }

    fn send(&mut self) {
        let count = (self.dice.below(MOST_AT_ONCE) * self.load) as u32;
        let leads = |machine: &&Machine| machine.alive && machine.board.notes().leads.is_some();
        let leaders: Vec<_> = self.machines.iter().filter(leads).collect();
        if leaders.is_empty() {
            return;
        }
        let to = leaders[self.dice.below(leaders.len() as u64) as usize];
        to.board.notes().to_send.extend(self.next..self.next + count);
        self.next += count;
    }

    fn die(&mut self, at: usize, with_power: bool) {
        let machine = &mut self.machines[at];
        if !machine.alive {
            return;
        }
        match with_power {
            true => machine.node.power_cut(),
            false => machine.node.crash(),
        }
        machine.board.forget_life();
        machine.alive = false;
    }

    fn leader_dies(&mut self) {
        let leads = |machine: &Machine| machine.alive && machine.board.notes().leads.is_some();
        if let Some(at) = self.machines.iter().position(leads) {
            let with_power = self.dice.below(2) == 0;
            self.die(at, with_power);
        }
    }

    fn cut(&mut self, at: usize) {
        self.cut_off.insert(at);
        for other in (0..self.machines.len()).filter(|other| *other != at) {
            self.sim.cut(&self.machines[at].node, &self.machines[other].node);
        }
    }

    fn mend(&mut self) {
        for at in std::mem::take(&mut self.cut_off) {
            for other in (0..self.machines.len()).filter(|other| *other != at) {
                self.sim.mend(&self.machines[at].node, &self.machines[other].node);
            }
        }
    }

    /// Nothing happens any more, and all members are there: the group must go on.
    fn all_is_well(&mut self) {
        self.mend();
        for at in 0..self.machines.len() {
            self.machines[at].node.disk().heal();
            if !self.machines[at].alive {
                self.start(at);
            }
        }
        self.goes_on();
        self.until("all have the same", |machines| {
            let mut applied = machines.iter().map(|machine| machine.board.notes().applied);
            let first = applied.next().unwrap();
            first > 0 && applied.all(|applied| applied == first)
        });
    }

    /// A message is acknowledged; another one is sent when nobody knows what became of the one before.
    fn goes_on(&mut self) {
        let first = self.next;
        let mut sent_to = None;
        let end = self.sim.now() + LIMIT;
        let acknowledged = |machine: &Machine| {
            machine.board.notes().acknowledged.iter().any(|taken| taken.number >= first)
        };
        while !self.machines.iter().any(acknowledged) {
            assert!(self.sim.now() < end, "the group goes on");
            let newest = self.next.saturating_sub(1);
            let given_up = sent_to
                .is_none_or(|at: usize| self.machines[at].board.notes().unknown.contains(&newest));
            let leads = |machine: &Machine| machine.board.notes().leads.is_some();
            if given_up && let Some(at) = self.machines.iter().position(leads) {
                self.machines[at].board.notes().to_send.push_back(self.next);
                (self.next, sent_to) = (self.next + 1, Some(at));
            }
            self.run_for(Duration::from_millis(2));
        }
    }

    fn check(&mut self) {
        for machine in &self.machines {
            machine.board.notes().report_wanted = true;
        }
        let told = |machine: &Machine| machine.board.notes().report.is_some();
        self.until("all report", |machines| machines.iter().all(told));
        let mut reports: Vec<Vec<Taken>> =
            self.machines.iter().map(|one| one.board.notes().report.take().unwrap()).collect();
        invariants::forget_what_some_have_trimmed(&mut reports);
        invariants::all_are_the_same(&reports);
        for machine in &self.machines {
            let acknowledged = machine.board.notes().acknowledged.clone();
            invariants::nothing_acknowledged_is_lost(&acknowledged, &reports[0]);
            invariants::order_is_kept(&acknowledged);
        }
        invariants::nothing_is_there_twice(&reports[0]);
        eprintln!(
            "DBG restarts {} first {:?} len {} load {}",
            self.machines.iter().map(|m| m.board.notes().restarts).sum::<u32>(),
            reports[0].first().map(|t| t.queue_offset),
            reports[0].len(),
            self.load
        );
        for machine in &self.machines {
            machine.board.notes().stop = true;
        }
        self.sim.run_for(Duration::from_secs(2));
    }
}
