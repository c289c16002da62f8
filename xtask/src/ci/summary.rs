//! What came of the steps, as a table.

use std::fmt::{self, Write as _};
use std::time::Duration;

/// How a step ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Passed,
    Failed,
    TimedOut,
    /// It cannot be made on this machine, and has said why.
    Skipped,
    /// A build that it needs had failed.
    NotRun,
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED OUT",
            Self::Skipped => "skipped",
            Self::NotRun => "not run",
        })
    }
}

impl Outcome {
    /// Whether the gate may be passed with it.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Passed | Self::Skipped)
    }
}

/// One row of the table.
pub struct Line {
    pub name: &'static str,
    pub outcome: Outcome,
    pub took: Duration,
}

impl Line {
    /// The row of a step that never started.
    pub fn not_run(name: &'static str) -> Self {
        Self { name, outcome: Outcome::NotRun, took: Duration::ZERO }
    }
}

/// The table, with a last row that counts.
pub fn table(lines: &[Line]) -> String {
    let width = lines.iter().map(|line| line.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for Line { name, outcome, took } in lines {
        let seconds = took.as_secs_f64();
        writeln!(out, "{name:width$}  {outcome:9}  {seconds:7.1} s").expect("a String takes all");
    }
    let count = |wanted| lines.iter().filter(|line| line.outcome == wanted).count();
    let total: f64 = lines.iter().map(|line| line.took.as_secs_f64()).sum();
    writeln!(
        out,
        "ci: {} passed, {} failed, {} skipped, {} not run, {total:.1} s",
        count(Outcome::Passed),
        count(Outcome::Failed) + count(Outcome::TimedOut),
        count(Outcome::Skipped),
        count(Outcome::NotRun),
    )
    .expect("a String takes all");
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Line, Outcome, table};

    #[test]
    fn only_what_passed_or_was_skipped_is_good() {
        assert!([Outcome::Passed, Outcome::Skipped].into_iter().all(Outcome::is_good));
        for bad in [Outcome::Failed, Outcome::TimedOut, Outcome::NotRun] {
            assert!(!bad.is_good(), "{bad}");
        }
    }

    #[test]
    fn the_table_counts_every_row_once() {
        let line = |name, outcome| Line { name, outcome, took: Duration::from_millis(1500) };
        let table = table(&[
            line("fmt", Outcome::Passed),
            line("clippy", Outcome::Failed),
            line("test", Outcome::TimedOut),
            line("chaos", Outcome::Skipped),
            Line::not_run("interop"),
        ]);
        let rows: Vec<_> = table.lines().collect();
        assert_eq!(rows.len(), 6);
        assert_eq!(rows[0], "fmt      passed         1.5 s");
        assert_eq!(rows[3], "chaos    skipped        1.5 s");
        assert_eq!(rows[5], "ci: 1 passed, 2 failed, 1 skipped, 1 not run, 6.0 s");
    }
}
