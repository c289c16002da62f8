//! What came of the steps, as a table.

use std::fmt::{self, Write as _};
use std::time::Duration;

/// How a step ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Passed,
    Failed,
    TimedOut,
    /// A build that it needs had failed.
    NotRun,
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED OUT",
            Self::NotRun => "not run",
        })
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
        "ci: {} passed, {} failed, {} not run, {total:.1} s",
        count(Outcome::Passed),
        count(Outcome::Failed) + count(Outcome::TimedOut),
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
    fn the_table_counts_every_row_once() {
        let line = |name, outcome| Line { name, outcome, took: Duration::from_millis(1500) };
        let table = table(&[
            line("fmt", Outcome::Passed),
            line("clippy", Outcome::Failed),
            line("test", Outcome::TimedOut),
            Line::not_run("interop"),
        ]);
        let rows: Vec<_> = table.lines().collect();
        assert_eq!(rows.len(), 5);
        assert_eq!(rows[0], "fmt      passed         1.5 s");
        assert_eq!(rows[4], "ci: 1 passed, 2 failed, 1 not run, 4.5 s");
    }
}
