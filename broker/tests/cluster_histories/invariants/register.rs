//! Something that one client sets at a time, and that keeps what it was set to.

use std::collections::BTreeMap;
use std::fmt::Debug;

/// What a register may hold.
#[derive(Debug, Default)]
pub struct Register {
    /// What it was set to last, as far as that was acknowledged or read.
    last: Option<i64>,
    /// What it may be set to at any time, and how often: nobody has said that it was, or was not.
    unanswered: BTreeMap<i64, u32>,
}

impl Register {
    /// It is to be set to this.
    pub fn sets(&mut self, value: i64) {
        *self.unanswered.entry(value).or_default() += 1;
    }

    /// It was, whoever says so.
    pub fn is_set(&mut self, value: i64) {
        let left = self.unanswered.get_mut(&value).expect("somebody has tried");
        *left -= 1;
        if *left == 0 {
            self.unanswered.remove(&value);
        }
        self.last = Some(value);
    }

    /// What it was set to last, when somebody begins to ask.
    pub fn last(&self) -> Option<i64> {
        self.last
    }

    /// Somebody is told what it holds, who began to ask when it held `before`.
    pub fn is_told(&mut self, what: &dyn Debug, value: Option<i64>, before: Option<i64>) {
        let fits = value == before || value == self.last;
        let late = value.is_some_and(|value| self.unanswered.contains_key(&value));
        assert!(
            fits || late,
            "{what:?} is told to be {value:?}, and not {:?}: {self:?}",
            self.last
        );
        if !fits && let Some(value) = value {
            self.is_set(value);
        }
    }
}
