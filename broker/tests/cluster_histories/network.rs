//! What is wrong with the network of a history. Places on it are numbers: the nodes, the NameServers behind them, and last the clients.

use std::collections::BTreeSet;
use std::time::Duration;

use runtime::sim::{Node, Simulation};

/// The ways that are cut, each from one place to another; and the rough ones.
#[derive(Default)]
pub struct Network {
    pub places: Vec<Node>,
    cut: BTreeSet<(usize, usize)>,
    rough: BTreeSet<(usize, usize)>,
}

impl Network {
    /// Nothing gets from `from` to `to`.
    pub fn cut_way(&mut self, sim: &Simulation, from: usize, to: usize) {
        sim.cut_way(&self.places[from], &self.places[to]);
        self.cut.insert((from, to));
    }

    pub fn roughen(&mut self, sim: &Simulation, pair: (usize, usize), longer: Duration, lost: u64) {
        let (one, other) = pair;
        sim.roughen(&self.places[one], &self.places[other], longer, lost);
        self.rough.insert((one, other));
    }

    /// All is as usual.
    pub fn mend(&mut self, sim: &Simulation) {
        for (from, to) in std::mem::take(&mut self.cut) {
            sim.mend(&self.places[from], &self.places[to]);
        }
        for (one, other) in std::mem::take(&mut self.rough) {
            sim.smooth(&self.places[one], &self.places[other]);
        }
    }

    /// Whether what one sends gets to the other, and back.
    pub fn is_there(&self, one: usize, other: usize) -> bool {
        !self.cut.contains(&(one, other)) && !self.cut.contains(&(other, one))
    }

    /// Whether nothing is wrong between a place and all others.
    pub fn is_well_at(&self, at: usize) -> bool {
        let mut bad = self.cut.iter().chain(&self.rough);
        !bad.any(|(one, other)| *one == at || *other == at)
    }
}
