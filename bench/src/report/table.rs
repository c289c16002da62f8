//! The result of a study as text.

use std::fmt;

use crate::report::text::{bytes, micros};
use crate::study::{Side, Spread, Study};

impl fmt::Display for Study {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let windows = self.sides.iter().map(|side| side.windows.len()).max().unwrap_or(0);
        let early = if self.interrupted { ", ended early" } else { "" };
        writeln!(f, "{}: {windows} windows of each side in turn{early}; medians", self.mode)?;
        let width = self.sides.iter().map(|side| side.label.chars().count()).max().unwrap_or(0);
        writeln!(
            f,
            "  {:width$}  {:>10}  {:>9}  {:>9}  {:>9}  {:>11}  {:>9}",
            "", "per second", "p50", "p99", "p99.9", "server CPU", "resident"
        )?;
        for side in &self.sides {
            row(f, side, width)?;
        }
        let width =
            self.spreads.iter().map(|spread| spread.name.chars().count()).max().unwrap_or(0);
        for spread in &self.spreads {
            let (name, value) = (&spread.name, value(spread));
            let (median, min, max) = (value(spread.median), value(spread.min), value(spread.max));
            writeln!(f, "  {name:width$}  {median:>9}  ({min} to {max})")?;
        }
        for note in &self.notes {
            writeln!(f, "  note: {note}")?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, side: &Side, width: usize) -> fmt::Result {
    let medians = &side.medians;
    let or_dash = |value: Option<f64>, show: fn(f64) -> String| value.map_or("-".to_owned(), show);
    writeln!(
        f,
        "  {:width$}  {:>10}  {:>9}  {:>9}  {:>9}  {:>11}  {:>9}",
        side.label,
        or_dash(medians.rate, |rate| format!("{rate:.0}")),
        or_dash(medians.p50_us, micros),
        or_dash(medians.p99_us, micros),
        or_dash(medians.p999_us, micros),
        or_dash(medians.server_cpu_us_per_msg, |cpu| format!("{cpu:.2} µs")),
        or_dash(medians.resident_bytes, bytes),
    )
}

/// How numbers of this unit are shown.
fn value(spread: &Spread) -> fn(f64) -> String {
    match spread.unit {
        "us" => micros,
        "bytes" => bytes,
        _ => |ratio| format!("{ratio:.3}"),
    }
}
