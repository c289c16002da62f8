//! A change of a topic or a consumer group that was acknowledged stays, on all members.
//!
//! One operator makes them all, one at a time.

use std::collections::BTreeMap;

use super::register::Register;

#[derive(Default)]
pub struct Settings {
    registers: BTreeMap<(u32, &'static str), Register>,
    pub acknowledged: u64,
}

impl Settings {
    pub fn of(&mut self, shard: u32, name: &'static str) -> &mut Register {
        self.registers.entry((shard, name)).or_default()
    }

    /// When all is well again, a member is asked.
    pub fn is_told(&mut self, shard: u32, name: &'static str, value: Option<i64>) {
        let register = self.of(shard, name);
        let since = register.since();
        register.is_told(&(shard, name), value, since);
    }

    /// What was set, at least once.
    pub fn all(&self) -> Vec<(u32, &'static str)> {
        self.registers.keys().copied().collect()
    }
}
