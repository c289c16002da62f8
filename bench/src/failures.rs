//! What went wrong, counted by kind.

use std::fmt;

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

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × ", self.count)?;
        match (self.code, self.name) {
            (Some(code), Some(name)) => write!(f, "code {code} {name}")?,
            (Some(code), None) => write!(f, "code {code}")?,
            // What happened to a connection stands for itself.
            (None, _) => return write!(f, "{}", self.remark),
        }
        if self.remark.is_empty() { Ok(()) } else { write!(f, ": {}", self.remark) }
    }
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

/// First line, with `#` for each run of digits, and shortened. The kind of a kind is itself.
fn kind_of(remark: &str) -> String {
    let mut kind = String::new();
    let mut count = 0;
    for letter in remark.lines().next().unwrap_or_default().chars() {
        let letter = if letter.is_ascii_digit() { '#' } else { letter };
        if letter == '#' && kind.ends_with('#') {
            continue;
        }
        if count == REMARK_CHARS {
            return shortened(&kind);
        }
        kind.push(letter);
        count += 1;
    }
    kind
}

/// The words of `text` that leave room for an ellipsis among [`REMARK_CHARS`]; a part of the first one if it alone is
/// longer.
fn shortened(text: &str) -> String {
    let room = REMARK_CHARS - 1;
    assert!(text.chars().count() > room, "what fits is not shortened");
    let (end, next) = text.char_indices().nth(room).expect("it is longer");
    let head = &text[..end];
    let words = match head.rfind(char::is_whitespace) {
        Some(blank) if !next.is_whitespace() => head[..blank].trim_end(),
        _ => head.trim_end(),
    };
    format!("{}…", if words.is_empty() { head } else { words })
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
    fn a_long_remark_is_cut_between_words_and_stays_as_it_is_then() {
        let long = "no room for more on the disk ".repeat(20);
        let kind = kind_of(&long);
        assert!(kind.chars().count() <= REMARK_CHARS && kind.len() > REMARK_CHARS - 10, "{kind}");
        let words = kind.strip_suffix('…').expect("an ellipsis");
        assert!(long.starts_with(words) && long[words.len()..].starts_with(' '), "{kind}");
        assert_eq!(kind_of(&kind), kind);
        let one_word = kind_of(&"α".repeat(1000));
        assert_eq!(one_word, format!("{}…", "α".repeat(REMARK_CHARS - 1)));
        assert_eq!(kind_of(&format!(" {}", "y".repeat(1000))).chars().count(), REMARK_CHARS);
        for fits in ["x ".repeat(REMARK_CHARS / 2), "y".repeat(REMARK_CHARS)] {
            assert_eq!(kind_of(&fits), fits);
        }
        // The limit is right behind a word, or right before one.
        let word = "z".repeat(REMARK_CHARS - 1);
        assert_eq!(kind_of(&format!("{word} and more")), format!("{word}…"));
        let word = "z".repeat(REMARK_CHARS - 2);
        assert_eq!(kind_of(&format!("{word} and more")), format!("{word}…"));
    }

    #[test]
    fn a_failure_is_told_without_what_it_does_not_have() {
        let told = |code, name, remark: &str| {
            Failure { code, name, remark: remark.to_owned(), count: 3 }.to_string()
        };
        assert_eq!(told(Some(2), Some("SYSTEM_BUSY"), "busy"), "3 × code 2 SYSTEM_BUSY: busy");
        assert_eq!(told(Some(2), Some("SYSTEM_BUSY"), ""), "3 × code 2 SYSTEM_BUSY");
        assert_eq!(told(Some(999), None, "odd"), "3 × code 999: odd");
        assert_eq!(told(None, None, "connection lost"), "3 × connection lost");
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
