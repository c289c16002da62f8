//! What happens to members, never more than a group must survive.

use std::time::Duration;

use runtime::sim::{DiskOp, When, cuts};

use crate::board::Disk;
use crate::history::History;

/// A disk that is about to be full has so many bytes left, at most.
const ALMOST_FULL: u64 = 800_000;
/// Operations of a disk after which one fails, at most.
const SOON: u64 = 60;
/// The longest time in which a disk stands still before its machine dies, in milliseconds: shorter than an election needs.
const STILL: u64 = 80;

impl History {
    /// Something, or nothing.
    pub fn something_happens(&mut self) {
        let at = self.draw_machine();
        match self.dice.below(36) {
            0 => self.machines[at].die(false),
            1 => self.machines[at].die(true),
            2 | 3 => self.leader_dies(),
            4 => self.all_die(),
            5 => self.cut(at, true, true),
            6 => self.cut(at, true, false),
            7 => self.cut(at, false, true),
            8 => self.leader_is_cut_off(),
            9 => self.cut_pair(),
            10 | 11 => self.roughen(),
            12..=17 => self.mend(),
            18 => self.machines[at].node.disk().slow(1 + self.dice.below(30) as u32),
            19 => self.machines[at].node.disk().stall(Duration::from_millis(self.dice.below(400))),
            20 | 21 => self.machines[at].stop(),
            22 => self.disk_fails(at),
            23 => self.disk_fills(at),
            24 => self.hands_over(at),
            25 | 26 => self.die_writing(&[at]),
            27 => self.die_writing(&(0..self.machines.len()).collect::<Vec<_>>()),
            28 => self.cut_as(cuts::split),
            29 if self.machines.len() > 3 => self.cut_as(cuts::ring),
            _ => {}
        }
    }

    fn draw_machine(&mut self) -> usize {
        self.dice.below(self.machines.len() as u64) as usize
    }

    fn leader(&self) -> Option<usize> {
        let newest = self.machines.iter().filter_map(|machine| machine.leads()).max()?;
        self.machines.iter().position(|machine| machine.leads() == Some(newest))
    }

    fn leader_dies(&mut self) {
        let with_power = self.dice.below(2) == 0;
        if let Some(at) = self.leader() {
            self.machines[at].die(with_power);
        }
    }

    /// The power of all goes at once, or all processes are killed.
    fn all_die(&mut self) {
        let with_power = self.dice.below(4) > 0;
        self.machines.iter_mut().for_each(|machine| machine.die(with_power));
    }

    /// Their disks stand still while messages come, and they die with all that they were writing.
    fn die_writing(&mut self, those: &[usize]) {
        let time = Duration::from_millis(1 + self.dice.below(STILL));
        let with_power = self.dice.below(2) == 0;
        those.iter().for_each(|at| self.machines[*at].node.disk().stall(2 * time));
        self.send();
        self.run_for(time);
        those.iter().for_each(|at| self.machines[*at].die(with_power));
    }

    /// Nothing gets from a machine to the others, or nothing from the others to it.
    fn cut(&mut self, at: usize, out: bool, into: bool) {
        for other in (0..self.machines.len()).filter(|other| *other != at) {
            if out {
                self.cut_way(at, other);
            }
            if into {
                self.cut_way(other, at);
            }
        }
    }

    fn leader_is_cut_off(&mut self) {
        let into = self.dice.below(2) == 0;
        if let Some(at) = self.leader() {
            self.cut(at, true, into);
        }
    }

    /// Two do not reach each other, and all others both: a bridge among three.
    fn cut_pair(&mut self) {
        let (one, other) = (self.draw_machine(), self.draw_machine());
        if one != other {
            self.cut_both(one, other);
        }
    }

    fn cut_both(&mut self, one: usize, other: usize) {
        self.cut_way(one, other);
        self.cut_way(other, one);
    }

    /// Cuts the pairs that this makes of all in any order.
    fn cut_as(&mut self, shape: fn(&[usize]) -> Vec<(usize, usize)>) {
        let order = self.shuffled();
        shape(&order).into_iter().for_each(|(one, other)| self.cut_both(one, other));
    }

    /// All machines, in any order.
    fn shuffled(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.machines.len()).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, self.dice.below(at as u64 + 1) as usize);
        }
        order
    }

    fn roughen(&mut self) {
        let (one, other) = (self.draw_machine(), self.draw_machine());
        let longer = Duration::from_millis(self.dice.below(120));
        let lost_in = [0, 3, 20][self.dice.below(3) as usize];
        if one != other {
            self.roughen_between(one, other, longer, lost_in);
        }
    }

    /// Some operation of one disk fails soon. One disk at a time.
    fn disk_fails(&mut self, at: usize) {
        if self.is_sick() {
            return;
        }
        let ops = [DiskOp::Write, DiskOp::Flush, DiskOp::Flush, DiskOp::Read, DiskOp::Metadata];
        let op = ops[self.dice.below(ops.len() as u64) as usize];
        let machine = &self.machines[at];
        machine.node.disk().fail(op, When::Nth(1 + self.dice.below(SOON)));
        machine.board.notes().disk = Disk::Failing;
    }

    fn disk_fills(&mut self, at: usize) {
        if self.is_sick() {
            return;
        }
        let machine = &self.machines[at];
        let disk = machine.node.disk();
        disk.resize(disk.used() + self.dice.below(ALMOST_FULL));
        machine.board.notes().disk = Disk::Full;
    }

    fn is_sick(&self) -> bool {
        self.machines.iter().any(|machine| machine.board.notes().disk != Disk::Well)
    }

    fn hands_over(&mut self, to: usize) {
        let to = self.machines[to].id();
        if let (Some(at), Some(to)) = (self.leader(), to) {
            self.machines[at].board.notes().hand_over = Some(to);
        }
    }
}
