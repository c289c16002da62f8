//! What went wrong, counted by kind.

use serde::Serialize;

use remoting::ResponseCode;

use crate::limits::{FAILURE_KINDS, REMARK_CHARS};

/// One kind of failure: a response code with the first line of its remark, or, without a code, what
/// happened to a connection. Numbers in the text are replaced by `#`, so that remarks which tell a time or
/// an offset stay one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Response code; `None` where there was no response.
    pub code: Option<i32>,
    /// RocketMQ's name of the code.
    pub name: Option<&'static str>,
    /// The remark, or what happened.
    pub remark: String,
    /// How often.
    pub count: u64,
}

/// Failures by kind; more kinds than [`FAILURE_KINDS`] are counted together.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    kinds: Vec<Failure>,
    total: u64,
}

impl Failures {
    /// Counts `count` failures of one kind.
    pub fn note(&mut self, code: Option<i32>, remark: &str, count: u64) {
        if count == 0 {
            return;
        }
        self.total += count;
        let remark = kind_of(remark);
        if let Some(kind) = self.kinds.iter_mut().find(|k| k.code == code && k.remark == remark) {
            kind.count += count;
            return;
        }
        if self.kinds.len() >= FAILURE_KINDS {
            let last = self.kinds.last_mut().expect("the limit is not zero");
            assert!(self.total > last.count, "each kind is a part of all");
            let remark = "other kinds".to_owned();
            *last = Failure { code: None, name: None, remark, count: last.count + count };
            return;
        }
        let name = code.and_then(ResponseCode::from_code).map(ResponseCode::name);
        self.kinds.push(Failure { code, name, remark, count });
    }

    /// Adds those of another.
    pub fn merge(&mut self, other: Failures) {
        for kind in other.kinds {
            self.note(kind.code, &kind.remark, kind.count);
        }
    }

    /// All kinds, the most frequent first.
    #[must_use]
    pub fn into_kinds(self) -> Vec<Failure> {
        let mut kinds = self.kinds;
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
        kinds
    }

    /// How many there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }
}

/// First line, shortened, with `#` for each run of digits.
fn kind_of(remark: &str) -> String {
    let mut kind = String::new();
    for letter in remark.lines().next().unwrap_or_default().chars().take(REMARK_CHARS) {
        if !letter.is_ascii_digit() {
            kind.push(letter);
        } else if !kind.ends_with('#') {
            kind.push('#');
        }
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_that_differ_in_numbers_are_one_kind() {
        let mut failures = Failures::default();
        failures.note(Some(2), "[TIMEOUT_CLEAN_QUEUE]busy, in queue: 203ms, size: 14\nat X", 1);
        failures.note(Some(2), "[TIMEOUT_CLEAN_QUEUE]busy, in queue: 7ms, size: 2", 2);
        failures.note(Some(14), "", 1);
        failures.note(None, "connection lost", 5);
        failures.note(None, "never counted", 0);
        assert_eq!(failures.total(), 9);
        let kinds = failures.into_kinds();
        let told: Vec<_> = kinds.iter().map(|k| (k.code, k.name, k.count)).collect();
        let busy = (Some(2), Some("SYSTEM_BUSY"), 3);
        assert_eq!(told, [(None, None, 5), busy, (Some(14), Some("SERVICE_NOT_AVAILABLE"), 1)]);
        assert_eq!(kinds[1].remark, "[TIMEOUT_CLEAN_QUEUE]busy, in queue: #ms, size: #");
    }

    #[test]
    fn kinds_are_bounded_and_nothing_is_lost() {
        let mut failures = Failures::default();
        for code in 0..1000 {
            failures.note(Some(code), "x", 2);
        }
        let mut merged = Failures::default();
        merged.note(Some(1), "x", 1);
        merged.merge(failures);
        assert_eq!(merged.total(), 2001);
        let kinds = merged.into_kinds();
        assert_eq!(kinds.len(), FAILURE_KINDS);
        assert_eq!(kinds.iter().map(|kind| kind.count).sum::<u64>(), 2001);
        assert!(kinds.iter().all(|kind| kind.remark.len() <= REMARK_CHARS));
    }
}
