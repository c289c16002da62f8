//! The rows, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Row, Severity};

/// Columns in which what is current is shown before it moves the next column.
const CURRENT_WIDTH: usize = 36;

/// A table with a line for each check, the remarks below their lines, and a last line that counts.
#[must_use]
pub fn text(rows: &[Row]) -> String {
    let check_width = rows.iter().map(|row| row.check.len()).max().unwrap_or(0);
    let mut out = format!(
        "{:<8} {:<check_width$} {:<CURRENT_WIDTH$} {}\n",
        "severity", "check", "current", "required"
    );
    let indent = " ".repeat(9 + check_width + 1);
    for row in rows {
        let line = format!(
            "{:<8} {:<check_width$} {:<CURRENT_WIDTH$} {}",
            row.severity.word(),
            row.check,
            row.current,
            row.required
        );
        writeln!(out, "{}", line.trim_end()).expect("writing to a string cannot fail");
        if let Some(fix) = &row.fix {
            writeln!(out, "{indent}→ {fix}").expect("writing to a string cannot fail");
        }
    }
    let count = |severity| rows.iter().filter(|row| row.severity == severity).count();
    writeln!(
        out,
        "\n{} checks: {} ok, {} info, {} unknown, {} warnings, {} errors",
        rows.len(),
        count(Severity::Ok),
        count(Severity::Info),
        count(Severity::Unknown),
        count(Severity::Warning),
        count(Severity::Error)
    )
    .expect("writing to a string cannot fail");
    out
}

/// The same as JSON.
#[must_use]
pub fn json(rows: &[Row]) -> Value {
    let checks: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "check": row.check,
                "severity": row.severity.word(),
                "required": row.required,
                "current": row.current,
                "fix": row.fix,
            })
        })
        .collect();
    let errors = rows.iter().filter(|row| row.severity == Severity::Error).count();
    json!({ "checks": checks, "errors": errors })
}
