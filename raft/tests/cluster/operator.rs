//! Whoever changes the group: one member comes, and one goes.

use raft::MemberId;

use crate::board::Change;
use crate::dice::Dice;
use crate::machine::Machine;
use crate::witness::Witness;

/// One that comes, and one that goes for it, perhaps for good and from the same machine.
struct Plan {
    comes: usize,
    goes: MemberId,
}

/// It has one plan at a time: a member that is lost for good is replaced before another one may be.
#[derive(Default)]
pub struct Operator {
    plan: Option<Plan>,
    /// Plans that were carried out.
    pub done: u32,
}

/// Entries that a learner may lack when it is promoted, mostly.
const NEAR: u64 = 50;

impl Operator {
    /// Does the next step, if the group has a leader that works.
    pub fn act(&mut self, machines: &mut [Machine], dice: &mut Dice, witness: &Witness) {
        let leader = machines.iter().filter_map(Machine::leads).max();
        let leads = |machine: &Machine| leader.is_some() && machine.leads() == leader;
        let Some(leader) = machines.iter().position(leads) else { return };
        match self.plan.take() {
            None => self.plan = begin(machines, leader, dice),
            Some(plan) if is_done(&plan, machines) => self.done += 1,
            Some(plan) => {
                if let Some(change) = next(&plan, machines, leader, dice) {
                    note(&change, witness);
                    machines[leader].board.notes().change = Some(change);
                }
                self.plan = Some(plan);
            }
        }
    }
}

fn begin(machines: &mut [Machine], leader: usize, dice: &mut Dice) -> Option<Plan> {
    let group = machines[leader].board.notes().group.clone();
    if !group.settled {
        return None;
    }
    let belongs = |machine: &Machine| machine.id().is_some_and(|id| group.voters.contains(&id));
    let inside: Vec<_> = (0..machines.len()).filter(|at| belongs(&machines[*at])).collect();
    if inside.is_empty() {
        return None;
    }
    let leaver = inside[dice.below(inside.len() as u64) as usize];
    let goes = machines[leaver].id().expect("it belongs to the group");
    let outside = (0..machines.len()).find(|at| !inside.contains(at));
    let comes = match outside {
        Some(at) if dice.below(3) > 0 => at,
        _ => leaver,
    };
    // Whoever was there is gone for good.
    machines[comes].die(dice.below(2) == 0);
    machines[comes].new_disk();
    Some(Plan { comes, goes })
}

fn is_done(plan: &Plan, machines: &[Machine]) -> bool {
    let removed = Change::Remove(plan.goes);
    machines.iter().any(|machine| machine.board.notes().changed.contains(&removed))
}

fn next(plan: &Plan, machines: &[Machine], leader: usize, dice: &mut Dice) -> Option<Change> {
    let newcomer = &machines[plan.comes];
    let id = newcomer.id()?;
    let (applied, group) = {
        let notes = machines[leader].board.notes();
        (notes.applied, notes.group.clone())
    };
    if !group.voters.contains(&id) && !group.learners.contains(&id) {
        return Some(Change::Learner(id, newcomer.member()));
    }
    if group.voters.contains(&id) {
        return Some(Change::Remove(plan.goes));
    }
    let near = newcomer.board.notes().applied + NEAR >= applied;
    (near || dice.below(8) == 0).then_some(Change::Promote(id))
}

fn note(change: &Change, witness: &Witness) {
    let groups = &mut witness.seen().groups;
    match change {
        Change::Learner(..) => {}
        Change::Promote(id) => groups.promote(*id),
        Change::Remove(id) => groups.remove(*id),
    }
}
