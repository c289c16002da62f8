//! Something that one client sets at a time, and that keeps what it was set to.

use std::collections::BTreeMap;
use std::fmt::Debug;

/// What a register may hold.
#[derive(Debug, Default)]
pub struct Register {
    /// What it was set to, as far as that was acknowledged or read, in this order.
    held: Vec<i64>,
    /// What it may be set to at any time, and how often: nobody has said that it was, or was not.
    unanswered: BTreeMap<i64, u32>,
    /// What somebody has read before it was acknowledged, and how often.
    read: BTreeMap<i64, u32>,
}

/// How far a register had come when somebody began to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since(usize);

impl Register {
    /// It is to be set to this.
    pub fn sets(&mut self, value: i64) {
        *self.unanswered.entry(value).or_default() += 1;
    }

    /// It was, as its answer says.
    pub fn is_set(&mut self, value: i64) {
        // What was read counts since then: something else may be there by now.
        if !take_one(&mut self.read, value) {
            assert!(take_one(&mut self.unanswered, value), "somebody has tried: {self:?}");
            self.held.push(value);
        }
    }

    /// Somebody begins to ask.
    pub fn since(&self) -> Since {
        Since(self.held.len())
    }

    /// Nobody has set it yet, for all that is known.
    pub fn is_unset(&self) -> bool {
        self.held.is_empty()
    }

    /// Somebody is told what it holds, who began to ask then.
    pub fn is_told(&mut self, what: &dyn Debug, value: Option<i64>, since: Since) {
        let held_then = since.0.checked_sub(1);
        let held = &self.held[held_then.unwrap_or(0)..];
        let fits = value.map_or(held_then.is_none(), |value| held.contains(&value));
        let late = value.filter(|value| !fits && self.unanswered.contains_key(value));
        assert!(
            fits || late.is_some(),
            "{what:?} is told to be {value:?}, and not one of {held:?}: {:?}",
            self.unanswered
        );
        // Where it was set to something else meanwhile, nobody knows which came first.
        if let (Some(value), true) = (late, since == self.since()) {
            assert!(take_one(&mut self.unanswered, value));
            *self.read.entry(value).or_default() += 1;
            self.held.push(value);
        }
    }
}

/// Whether there was one.
fn take_one(counts: &mut BTreeMap<i64, u32>, value: i64) -> bool {
    let Some(left) = counts.get_mut(&value) else { return false };
    *left -= 1;
    if *left == 0 {
        counts.remove(&value);
    }
    true
}
