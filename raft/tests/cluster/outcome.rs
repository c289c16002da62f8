//! The end of a history: nothing happens any more and all machines run, so the group must go on, and all that was seen must
//! be true.

use std::time::Duration;

use crate::board::{Disk, Group};
use crate::content::TOPIC;
use crate::history::{History, LOOK};
use crate::inspect::rows;
use crate::invariants::replicas;
use crate::machine::Machine;
use crate::report::Report;

/// Time in which a stop in order is done, on a disk that is well.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// Time in which a healthy group has a leader.
const LEADER_LIMIT: Duration = Duration::from_secs(20);
/// Time in which a message that is sent to the leader is acknowledged.
const ACK_LIMIT: Duration = Duration::from_secs(30);
/// Time in which all members have all.
const SAME_LIMIT: Duration = Duration::from_secs(60);
/// Time to look into a store.
const INSPECT_LIMIT: Duration = Duration::from_secs(60);

/// What a history came to.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The fingerprint of all that happened.
    pub trace: u64,
    /// How often a snapshot has taken the place of a log.
    pub snapshots: u32,
    /// The newest term.
    pub terms: u64,
    pub entries: usize,
    pub acknowledged: usize,
    pub served: usize,
    /// Members that were replaced.
    pub replaced: u32,
}

impl History {
    /// The network and the disks are well, and every machine runs.
    pub fn all_is_well(&mut self) {
        self.mend();
        for at in 0..self.machines.len() {
            let machine = &mut self.machines[at];
            let (disk, failed) = {
                let mut notes = machine.board.notes();
                (std::mem::take(&mut notes.disk), notes.failed.is_some())
            };
            machine.node.disk().heal();
            if disk == Disk::Failing || failed {
                machine.die(false);
            }
            if machine.board.notes().stop {
                self.until("a member stops", STOP_LIMIT, |machines| !machines[at].lives());
            }
            let machine = &mut self.machines[at];
            if !machine.lives() {
                machine.start(&self.witness);
            }
        }
    }

    /// A leader is elected, and a message acknowledged; another one is sent when nobody knows what became of the one before.
    pub fn goes_on(&mut self) {
        self.until("a leader", LEADER_LIMIT, |machines| {
            machines.iter().any(|machine| machine.leads().is_some())
        });
        let (first, end) = (self.next, self.sim.now() + ACK_LIMIT);
        let mut sent_to: Option<usize> = None;
        let acknowledged = |machine: &Machine| {
            machine.board.notes().acknowledged.last().is_some_and(|newest| *newest >= first)
        };
        while !self.machines.iter().any(acknowledged) {
            assert!(self.sim.now() < end, "not within {ACK_LIMIT:?}: a message is acknowledged");
            let newest = self.next.saturating_sub(1);
            let given_up =
                sent_to.is_none_or(|at| self.machines[at].board.notes().unknown.contains(&newest));
            let leader = self.machines.iter().position(|machine| machine.leads().is_some());
            if let (true, Some(at)) = (given_up, leader) {
                self.witness.seen().acknowledged.sent(self.next, self.sim.now());
                self.machines[at].board.notes().to_send.push_back(self.next);
                (self.next, sent_to) = (self.next + 1, Some(at));
            }
            self.run_for(LOOK);
        }
    }

    /// All members have the same, and that is what was seen.
    pub fn check(mut self) -> Outcome {
        let (members, reports) = self.reports();
        let report = &reports[0];
        for (other, at) in reports.iter().zip(&members).skip(1) {
            assert_eq!(other, report, "machine {at} beside machine {}", members[0]);
        }
        {
            let seen = self.witness.seen();
            seen.acknowledged.is_there(report);
            seen.reads.is_there(report);
            seen.groups.follow_each_other(&seen.entries.places());
        }
        self.everybody_ends();
        let logs: Vec<_> = members.iter().map(|at| self.rows(*at)).collect();
        replicas::are_the_same(&logs, report.end);
        self.outcome()
    }

    /// Waits until all members have the same, and asks them for it.
    fn reports(&mut self) -> (Vec<usize>, Vec<Report>) {
        let end = self.sim.now() + SAME_LIMIT;
        loop {
            self.until("all members have the same", SAME_LIMIT, |machines| {
                let members = members(machines);
                let mut applied = members.iter().map(|at| machines[*at].board.notes().applied);
                let first = applied.next();
                first > Some(0) && applied.all(|applied| Some(applied) == first)
            });
            let members = members(&self.machines);
            for at in &members {
                self.machines[*at].board.notes().report_wanted = true;
            }
            self.until("all report", SAME_LIMIT, |machines| {
                members.iter().all(|at| machines[*at].board.notes().report.is_some())
            });
            let reports: Vec<_> = members
                .iter()
                .map(|at| self.machines[*at].board.notes().report.take().unwrap())
                .collect();
            // Another leader may have begun its term meanwhile.
            if reports.iter().all(|report| report.end == reports[0].end) {
                return (members, reports);
            }
            assert!(self.sim.now() < end, "not within {SAME_LIMIT:?}: the log of {TOPIC} rests");
        }
    }

    /// In order, or all at once.
    fn everybody_ends(&mut self) {
        if self.dice.below(2) == 0 {
            self.machines.iter_mut().for_each(|machine| machine.die(false));
            return;
        }
        self.machines.iter_mut().for_each(Machine::stop);
        self.until("all members stop", STOP_LIMIT, |machines| {
            machines.iter().all(|machine| !machine.lives())
        });
    }

    /// What is on the disk of a member.
    fn rows(&self, at: usize) -> Vec<replicas::Row> {
        let machine = &self.machines[at];
        let dir = machine.home().dir;
        let inspecting = machine.node.start("inspect", move || rows(dir));
        self.sim.join(inspecting, INSPECT_LIMIT).unwrap()
    }

    fn outcome(&self) -> Outcome {
        let seen = self.witness.seen();
        Outcome {
            trace: self.sim.trace_hash(),
            snapshots: self.machines.iter().map(|one| one.board.notes().snapshots).sum(),
            terms: seen.leaders.newest(),
            entries: seen.entries.count(),
            acknowledged: seen.acknowledged.count(),
            served: seen.reads.count(),
            replaced: self.operator.done,
        }
    }
}

/// The machines whose members belong to the group, as its leader knows it. One that was lost for good, and is not replaced
/// yet, has no machine.
fn members(machines: &[Machine]) -> Vec<usize> {
    let newest = machines.iter().filter_map(Machine::leads).max();
    let leads = |machine: &&Machine| newest.is_some() && machine.leads() == newest;
    let Some(leader) = machines.iter().find(leads) else { return Vec::new() };
    let Group { voters, learners, .. } = leader.board.notes().group.clone();
    let belongs = |machine: &Machine| {
        machine.id().is_some_and(|id| voters.contains(&id) || learners.contains(&id))
    };
    (0..machines.len()).filter(|at| belongs(&machines[*at])).collect()
}
