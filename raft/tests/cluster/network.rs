//! What is wrong with the network of a history.

use std::collections::BTreeSet;
use std::time::Duration;

use runtime::sim::Simulation;

use crate::machine::Machine;
use crate::witness::Witness;

/// The ways that are cut, each from one machine to another.
#[derive(Default)]
pub struct Network {
    cut: BTreeSet<(usize, usize)>,
    rough: BTreeSet<(usize, usize)>,
}

/// A network, and who is on it.
pub struct On<'a> {
    pub sim: &'a Simulation,
    pub machines: &'a [Machine],
    pub witness: &'a Witness,
}

impl Network {
    /// Nothing gets from `from` to `to`.
    pub fn cut(&mut self, on: &On<'_>, from: usize, to: usize) {
        on.sim.cut_way(&on.machines[from].node, &on.machines[to].node);
        self.cut.insert((from, to));
        self.tell(on);
    }

    /// Everything between the two takes longer, and some of it gets lost.
    pub fn roughen(&mut self, on: &On<'_>, pair: (usize, usize), longer: Duration, lost_in: u64) {
        let (one, other) = pair;
        on.sim.roughen(&on.machines[one].node, &on.machines[other].node, longer, lost_in);
        self.rough.insert((one, other));
    }

    /// All is as usual.
    pub fn mend(&mut self, on: &On<'_>) {
        let node = |at: usize| &on.machines[at].node;
        for (from, to) in std::mem::take(&mut self.cut) {
            on.sim.mend(node(from), node(to));
        }
        for (one, other) in std::mem::take(&mut self.rough) {
            on.sim.smooth(node(one), node(other));
        }
        self.tell(on);
    }

    /// Tells the witness who reaches nobody.
    fn tell(&self, on: &On<'_>) {
        for (at, machine) in on.machines.iter().enumerate() {
            let mut others = (0..on.machines.len()).filter(|other| *other != at);
            let alone = others.all(|other| self.cut.contains(&(at, other)));
            if let Some(id) = machine.id() {
                on.witness.seen().acknowledged.alone(id, alone.then(|| on.sim.now()));
            }
        }
    }
}
