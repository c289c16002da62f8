//! What happens, never more than a cluster must survive: all of it passes but rot, or the loss of a disk, which one node of
//! a history may have.

use std::time::Duration;

use runtime::sim::{DiskOp, When, cuts};

use crate::clients::crowd;
use crate::content::{Queue, TOPICS, addr_of};
use crate::history::History;
use crate::machine::{Disk, ip};
use crate::rot;

/// A disk that is about to be full has so many bytes left, at most.
const ALMOST_FULL: u64 = 1_500_000;
/// Operations of a disk after which one fails, at most.
const SOON: u64 = 100;
/// An hour, in milliseconds: as far as clocks jump.
const HOUR: u64 = 3_600_000;

/// A kind of thing that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Kill,
    KillLeader,
    PowerCut,
    PowerCutOfAll,
    Stop,
    StandStill,
    CutOff,
    CutOneWay,
    CutPair,
    Split,
    Ring,
    CutFromNames,
    CutFromClients,
    Rough,
    SlowDisk,
    StillDisk,
    FailingDisk,
    FullDisk,
    Rot,
    Clock,
    NamesDie,
    NamesStandStill,
    Wipe,
    Overload,
}

impl Fault {
    pub const ALL: [Self; 24] = [
        Self::Kill,
        Self::KillLeader,
        Self::PowerCut,
        Self::PowerCutOfAll,
        Self::Stop,
        Self::StandStill,
        Self::CutOff,
        Self::CutOneWay,
        Self::CutPair,
        Self::Split,
        Self::Ring,
        Self::CutFromNames,
        Self::CutFromClients,
        Self::Rough,
        Self::SlowDisk,
        Self::StillDisk,
        Self::FailingDisk,
        Self::FullDisk,
        Self::Rot,
        Self::Clock,
        Self::NamesDie,
        Self::NamesStandStill,
        Self::Wipe,
        Self::Overload,
    ];
}

impl History {
    pub fn happens(&mut self, fault: Fault) {
        let at = self.some_node(fault);
        self.note(&format!("{fault:?} at n{at}"));
        match fault {
            Fault::Kill | Fault::KillLeader => self.machines[at].die(false),
            Fault::PowerCut => self.machines[at].die(true),
            Fault::PowerCutOfAll => self.machines.iter_mut().for_each(|machine| machine.die(true)),
            Fault::Stop => self.machines[at].stop(),
            Fault::StandStill => self.machines[at].stand_still(),
            Fault::CutOff => self.cut(at, (true, true)),
            Fault::CutOneWay => {
                let out = self.dice.below(2) == 0;
                self.cut(at, (out, !out));
            }
            Fault::CutPair => self.cut_pair(at),
            Fault::Split => self.cut_as(cuts::split),
            Fault::Ring if self.machines.len() > 3 => self.cut_as(cuts::ring),
            Fault::Ring => self.cut_pair(at),
            Fault::CutFromNames => self.cut_from_names(at),
            Fault::CutFromClients => self.cut_some_ways(at, self.network.places.len() - 1),
            Fault::Rough => self.roughen(at),
            Fault::SlowDisk | Fault::StillDisk => self.disk_is_slow(at, fault),
            Fault::FailingDisk => self.disk_fails(at),
            Fault::FullDisk => self.disk_fills(at),
            Fault::Rot => self.rots(at),
            Fault::Clock => self.clock_jumps(at),
            Fault::NamesDie | Fault::NamesStandStill => self.names_go(fault),
            Fault::Wipe => self.is_wiped(at),
            Fault::Overload => self.crowd_comes(at),
        }
    }

    /// Any node; half of the time one that leads a group.
    fn some_node(&mut self, fault: Fault) -> usize {
        let shard = self.dice.below(self.plan.shards.into()) as u32;
        let leader = self.witness.seen().leaders.last(shard);
        let any = self.dice.below(self.machines.len() as u64) as usize;
        let wanted = fault == Fault::KillLeader || self.dice.below(2) == 0;
        leader.filter(|_| wanted).unwrap_or(any)
    }

    fn names_place(&self, at: usize) -> usize {
        self.machines.len() + at
    }

    /// Nothing gets from a node to the others, or nothing from the others to it.
    fn cut(&mut self, at: usize, (out, into): (bool, bool)) {
        for other in (0..self.machines.len()).filter(|other| *other != at) {
            if out {
                self.network.cut_way(&self.sim, at, other);
            }
            if into {
                self.network.cut_way(&self.sim, other, at);
            }
        }
    }

    /// Two nodes do not reach each other, and all others both: a bridge among three.
    fn cut_pair(&mut self, at: usize) {
        let other = (at + 1 + self.dice.below(self.machines.len() as u64 - 1) as usize)
            % self.machines.len();
        self.cut_both(at, other);
    }

    fn cut_both(&mut self, one: usize, other: usize) {
        self.network.cut_way(&self.sim, one, other);
        self.network.cut_way(&self.sim, other, one);
    }

    /// Cuts the pairs that this makes of all in any order.
    fn cut_as(&mut self, shape: fn(&[usize]) -> Vec<(usize, usize)>) {
        let order = self.shuffled();
        shape(&order).into_iter().for_each(|(one, other)| self.cut_both(one, other));
    }

    /// All nodes, in any order.
    fn shuffled(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.machines.len()).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, self.dice.below(at as u64 + 1) as usize);
        }
        order
    }

    fn cut_from_names(&mut self, at: usize) {
        let which = self.dice.below(self.names.len() as u64) as usize;
        self.cut_some_ways(at, self.names_place(which));
    }

    /// Nothing gets from one place to another, or back, or both.
    fn cut_some_ways(&mut self, one: usize, other: usize) {
        let (out, into) = [(true, true), (true, false), (false, true)][self.dice.below(3) as usize];
        if out {
            self.network.cut_way(&self.sim, one, other);
        }
        if into {
            self.network.cut_way(&self.sim, other, one);
        }
    }

    fn roughen(&mut self, at: usize) {
        let places = self.machines.len() + self.names.len();
        let other = (at + 1 + self.dice.below(places as u64 - 1) as usize) % places;
        let longer = Duration::from_millis(self.dice.below(120));
        let lost_in = [0, 3, 20][self.dice.below(3) as usize];
        self.network.roughen(&self.sim, (at, other), longer, lost_in);
    }

    fn disk_is_slow(&mut self, at: usize, fault: Fault) {
        let disk = self.machines[at].node.disk();
        match fault {
            Fault::SlowDisk => disk.slow(2 + self.dice.below(100) as u32),
            _ => disk.stall(Duration::from_millis(self.dice.below(4_000))),
        }
        self.slow[at] = true;
    }

    /// One disk at a time.
    fn some_disk_is_bad(&self) -> bool {
        self.machines.iter().any(|machine| machine.disk != Disk::Well)
    }

    fn disk_fails(&mut self, at: usize) {
        if self.some_disk_is_bad() {
            return;
        }
        let ops = [DiskOp::Write, DiskOp::Flush, DiskOp::Flush, DiskOp::Read, DiskOp::Metadata];
        let op = ops[self.dice.below(ops.len() as u64) as usize];
        let machine = &mut self.machines[at];
        machine.node.disk().fail(op, When::Nth(1 + self.dice.below(SOON)));
        machine.disk = Disk::Bad;
    }

    fn disk_fills(&mut self, at: usize) {
        if self.some_disk_is_bad() {
            return;
        }
        let machine = &mut self.machines[at];
        let disk = machine.node.disk();
        disk.resize(disk.used() + self.dice.below(ALMOST_FULL));
        machine.disk = Disk::Bad;
    }

    /// Of all nodes one, for ever: what its group has acknowledged is there on the others.
    fn rots(&mut self, at: usize) {
        if self.some_disk_is_bad() {
            return;
        }
        if rot::rots(&self.machines[at].node.disk(), &mut self.dice) {
            self.machines[at].disk = Disk::Rotten;
        }
    }

    /// A node's disk is another one, and empty; half of the time it is that of the one that has founded the groups. Of all nodes one:
    /// it is no member any more, and nobody makes it one again. Not before each group has acknowledged something: what only its founder
    /// knew of is gone with that one's disk, and nobody founds it again where others have heard of it.
    fn is_wiped(&mut self, at: usize) {
        if self.some_disk_is_bad() || !self.all_groups_are_at_work() {
            return;
        }
        let at = if self.dice.below(2) == 0 { 0 } else { at };
        self.machines[at].new_disk();
    }

    fn all_groups_are_at_work(&self) -> bool {
        let queues = self.witness.seen().places.queues();
        (0..self.plan.shards).all(|shard| queues.iter().any(|queue| queue.shard == shard))
    }

    /// More is sent at a time than may wait.
    fn crowd_comes(&mut self, at: usize) {
        let shard = self.dice.below(self.plan.shards.into()) as u32;
        let (topic, id) = (TOPICS[self.dice.below(TOPICS.len() as u64) as usize], 0);
        let (stock, addr) = (self.stock(), addr_of(ip(at), shard));
        let run = move || async move {
            crowd::run(&stock(), &addr, Queue { shard, topic, id }).await;
        };
        drop(self.clients.start("crowd", run));
    }

    fn clock_jumps(&mut self, at: usize) {
        let far = [2_000, 120_000, HOUR][self.dice.below(3) as usize];
        let by = self.dice.below(2 * far).cast_signed() - far.cast_signed();
        self.machines[at].node.shift_clock(by);
    }

    fn names_go(&mut self, fault: Fault) {
        let at = self.dice.below(self.names.len() as u64) as usize;
        match fault {
            Fault::NamesDie => self.names[at].die(),
            _ if self.names[at].runs => self.names[at].stand_still(),
            _ => {}
        }
    }
}
