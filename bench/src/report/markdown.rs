//! Results as tables for a page of text.

use std::fmt::Write as _;

use crate::report::page::{Document, Plot};
use crate::report::text::{bytes, micros};
use crate::study::Spread;

/// Two tables of a result: medians of each side, and ratios with their spread where there are any. Of `failover`, the windows.
#[must_use]
pub fn markdown(document: &Document) -> String {
    let mut out = String::new();
    if let Some(outages) = &document.outages {
        outages.markdown(&mut out).expect("a String takes everything");
        notes(&mut out, document);
        return out;
    }
    let mut put = |line: String| writeln!(out, "{line}").expect("a String takes everything");
    put("| | messages/s | p50 | p99 | p99.9 | server CPU a message | resident memory |".to_owned());
    put("|---|---|---|---|---|---|---|".to_owned());
    let mut sides: Vec<&str> = Vec::new();
    for plot in &document.plots {
        if !sides.contains(&plot.side.as_str()) {
            sides.push(&plot.side);
        }
    }
    for side in sides {
        put(row(document, side));
    }
    if !document.spreads.is_empty() {
        put(String::new());
        put("| windows side by side | median | from | to |".to_owned());
        put("|---|---|---|---|".to_owned());
        for spread in &document.spreads {
            let show = spread.show();
            let (median, min, max) = (show(spread.median), show(spread.min), show(spread.max));
            put(format!("| {} | {median} | {min} | {max} |", cell(&spread.name)));
        }
    }
    notes(&mut out, document);
    out
}

fn notes(out: &mut String, document: &Document) {
    for note in &document.notes {
        writeln!(out, "\nNote: {note}").expect("a String takes everything");
    }
}

fn row(document: &Document, side: &str) -> String {
    let median = |value: fn(&Plot) -> Option<f64>, show: fn(f64) -> String| {
        let plots = document.plots.iter().filter(|plot| plot.side == side);
        let spread = Spread::new("", "", plots.filter_map(value).collect());
        spread.map_or("–".to_owned(), |spread| show(spread.median))
    };
    let rate = |plot: &Plot| Some(plot.rate);
    let cpu = |plot: &Plot| plot.server.and_then(|server| server.cpu_us_per_msg);
    let resident = |plot: &Plot| plot.server.map(|server| server.resident_bytes);
    let cells = [
        cell(side),
        median(rate, |rate| format!("{rate:.0}")),
        median(|plot| plot.p50_us, micros),
        median(|plot| plot.p99_us, micros),
        median(|plot| plot.p999_us, micros),
        median(cpu, |cpu| format!("{cpu:.2} µs")),
        median(resident, bytes),
    ];
    format!("| {} |", cells.join(" | "))
}

/// Text that does not end a cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_side_is_a_row_with_the_medians_of_its_windows() {
        let window = |rate: f64, p50: f64| json!({"label": "w", "rate": rate, "p50_us": p50});
        let study = json!({
            "mode": "compare",
            "sides": [
                {"label": "A|1", "windows": [window(10.0, 1.0), window(30.0, 2000.0), window(20.0, 5.0)]},
                {"label": "B", "windows": [window(5.0, 100.0)]},
            ],
            "spreads": [{"name": "rate", "unit": "ratio", "median": 2.0, "min": 1.0, "max": 3.0}],
            "notes": ["so so"], "parameters": {},
        });
        let text = markdown(&Document::read("x", &study).unwrap());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2], "| A\\|1 | 20 | 5.00 µs | – | – | – | – |");
        assert_eq!(lines[3], "| B | 5 | 100 µs | – | – | – | – |");
        assert_eq!(lines[7], "| rate | 2.000 | 1.000 | 3.000 |");
        assert!(text.contains("Note: so so"));
    }
}
