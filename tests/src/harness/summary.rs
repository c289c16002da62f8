//! What came of the checks, and what a run says at its end.

use std::fmt::Write as _;

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it should.
    Passed,
    /// It did not.
    Failed,
    /// It could not be run here; the text says what is missing.
    Skipped(String),
}

/// The outcomes of a run, in the order of the checks.
#[derive(Debug, Default)]
pub struct Summary {
    lines: Vec<(String, Outcome)>,
}

impl Summary {
    /// Takes down what came of a check.
    pub fn add(&mut self, name: &str, outcome: Outcome) {
        self.lines.push((name.to_owned(), outcome));
    }

    /// Whether nothing failed. Skips do not count: where they may not be, they are failures already.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.names(|outcome| *outcome == Outcome::Failed).is_empty()
    }

    /// A few lines: which checks failed and were skipped, by name, and how many passed.
    #[must_use]
    pub fn text(&self, seconds: f64) -> String {
        let failed = self.names(|outcome| *outcome == Outcome::Failed);
        let passed = self.names(|outcome| *outcome == Outcome::Passed).len();
        let mut text = String::from("\n");
        for name in &failed {
            lossless(writeln!(text, "failed: {name}"));
        }
        let mut skipped = 0;
        for (name, outcome) in &self.lines {
            if let Outcome::Skipped(missing) = outcome {
                skipped += 1;
                lossless(writeln!(text, "skipped: {name} ({missing})"));
            }
        }
        let word = if failed.is_empty() { "ok" } else { "FAILED" };
        lossless(writeln!(
            text,
            "interop: {word}. {passed} passed, {} failed, {skipped} skipped, {seconds:.0} s",
            failed.len()
        ));
        text
    }

    fn names(&self, chosen: impl Fn(&Outcome) -> bool) -> Vec<&str> {
        let lines = self.lines.iter().filter(|(_, outcome)| chosen(outcome));
        lines.map(|(name, _)| name.as_str()).collect()
    }
}

fn lossless(written: std::fmt::Result) {
    written.expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(outcomes: &[(&str, Outcome)]) -> Summary {
        let mut summary = Summary::default();
        for (name, outcome) in outcomes {
            summary.add(name, outcome.clone());
        }
        summary
    }

    #[test]
    fn failures_and_skips_are_named() {
        let summary = summary(&[
            ("a/one", Outcome::Passed),
            ("a/two", Outcome::Failed),
            ("b/three", Outcome::Skipped("Go".into())),
        ]);
        assert!(!summary.is_good());
        let text = summary.text(12.4);
        assert!(text.contains("failed: a/two\n"), "{text}");
        assert!(text.contains("skipped: b/three (Go)\n"), "{text}");
        assert!(!text.contains("a/one"), "{text}");
        assert!(text.ends_with("FAILED. 1 passed, 1 failed, 1 skipped, 12 s\n"), "{text}");
    }

    #[test]
    fn skips_alone_are_no_failure() {
        let summary = summary(&[("a", Outcome::Passed), ("b", Outcome::Skipped("Go".into()))]);
        assert!(summary.is_good());
        assert!(summary.text(0.0).contains("ok. 1 passed, 0 failed, 1 skipped"));
    }
}
