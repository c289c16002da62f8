//! What kind of a history it is.

use crate::dice::Dice;
use crate::faults::Fault;

#[derive(Debug)]
pub struct Plan {
    pub nodes: usize,
    pub shards: u32,
    pub name_servers: usize,
    /// `flushDiskType`. It makes no difference to what a group promises.
    pub flush: &'static str,
    /// Things that happen.
    pub steps: u64,
    /// Much time is between two of them.
    pub is_slow: bool,
    /// What can happen: not everything in each history, or no fault would be seen apart from the others.
    pub faults: Vec<Fault>,
    /// At the end all processes are started again; else only those that are gone, or whose disks were bad.
    pub all_start_again: bool,
}

impl Plan {
    pub fn draw(dice: &mut Dice, seed: u64) -> Self {
        let nodes = if dice.below(4) == 0 { 5 } else { 3 };
        let most_shards = if nodes == 5 { 2 } else { 3 };
        let shards = 1 + dice.below(most_shards) as u32;
        let name_servers = 1 + dice.below(2) as usize;
        let is_slow = dice.below(12) == 0;
        let steps = if is_slow { 3 + dice.below(4) } else { 5 + dice.below(12) };
        let share = 2 + dice.below(4);
        let mut faults: Vec<Fault> =
            Fault::ALL.into_iter().filter(|_| dice.below(share) == 0).collect();
        faults.push(Fault::ALL[dice.below(Fault::ALL.len() as u64) as usize]);
        Self {
            nodes,
            shards,
            name_servers,
            flush: ["SYNC_FLUSH", "ASYNC_FLUSH"][usize::from(seed % 2 == 1)],
            steps,
            is_slow,
            faults,
            all_start_again: dice.below(2) == 0,
        }
    }
}
