//! The page itself. The numbers go into it as JSON, and a small script of its own draws them.

use std::fmt::Write as _;

use super::document::{Document, Spread};
use crate::report::text::{bytes, micros};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("plots.js");

/// A whole page about these results.
#[must_use]
pub fn page(title: &str, documents: &[Document]) -> String {
    let mut out = String::new();
    let name = escaped(title);
    out.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    put(
        &mut out,
        format_args!("<title>{name}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"),
    );
    put(&mut out, format_args!("<h1>{name}</h1>\n"));
    for (number, document) in documents.iter().enumerate() {
        section(&mut out, number, document, documents.len() > 1);
    }
    put(&mut out, format_args!("<script>\n{SCRIPT}</script>\n</body>\n</html>\n"));
    out
}

fn section(out: &mut String, number: usize, document: &Document, is_one_of_many: bool) {
    put(out, format_args!("<section>\n<h2>{}</h2>\n", escaped(&heading(document, is_one_of_many))));
    let parameters: Vec<String> =
        document.parameters.iter().map(|one| format!("<code>{}</code>", escaped(one))).collect();
    put(
        out,
        format_args!(
            "<details><summary>flags</summary><p class=\"flags\">{}</p></details>\n",
            parameters.join(" ")
        ),
    );
    spreads(out, &document.spreads);
    for note in &document.notes {
        put(out, format_args!("<p class=\"note\">{}</p>\n", escaped(note)));
    }
    match &document.outages {
        Some(outages) => outages.html(out, number).expect("a String takes everything"),
        None => runs(out, number, document),
    }
    out.push_str("</section>\n");
}

/// The plots of runs, and a table of them.
fn runs(out: &mut String, number: usize, document: &Document) {
    put(out, format_args!("<div class=\"plots\" id=\"plots-{number}\"></div>\n"));
    table(out, document);
    let data = serde_json::to_string(&document.plots).expect("plain values");
    // `</script>` in a label would end the element.
    let data = data.replace('<', "\\u003c");
    put(
        out,
        format_args!(
            "<script type=\"application/json\" class=\"runs\" data-for=\"plots-{number}\">{data}</script>\n"
        ),
    );
}

fn heading(document: &Document, is_one_of_many: bool) -> String {
    let Document { mode, name, .. } = document;
    if is_one_of_many && name != mode { format!("{mode}: {name}") } else { mode.clone() }
}

fn spreads(out: &mut String, spreads: &[Spread]) {
    if spreads.is_empty() {
        return;
    }
    out.push_str("<table class=\"spreads\">\n<tr><th>windows side by side</th><th>median</th><th>from</th><th>to</th></tr>\n");
    for spread in spreads {
        let show = spread.show();
        let (median, min, max) = (show(spread.median), show(spread.min), show(spread.max));
        let name = escaped(&spread.name);
        put(
            out,
            format_args!(
                "<tr><td>{name}</td><td><b>{median}</b></td><td>{min}</td><td>{max}</td></tr>\n"
            ),
        );
    }
    out.push_str("</table>\n");
}

fn table(out: &mut String, document: &Document) {
    out.push_str("<table>\n<tr><th>run</th><th>per second</th><th>p50</th><th>p99</th><th>p99.9</th><th>p99.99</th>");
    out.push_str(
        "<th>max</th><th>samples</th><th>errors</th><th>server CPU</th><th>resident</th></tr>\n",
    );
    let or_dash = |value: Option<f64>| value.map_or("–".to_owned(), micros);
    for plot in &document.plots {
        let cpu = plot.server.and_then(|server| server.cpu_us_per_msg);
        let cells = [
            escaped(if plot.label.is_empty() { &plot.side } else { &plot.label }),
            format!("{:.0}", plot.rate),
            or_dash(plot.p50_us),
            or_dash(plot.p99_us),
            or_dash(plot.p999_us),
            or_dash(plot.p9999_us),
            or_dash(plot.max_us),
            plot.latency_count.to_string(),
            plot.errors.to_string(),
            cpu.map_or("–".to_owned(), |cpu| format!("{cpu:.2} µs")),
            plot.server.map_or("–".to_owned(), |server| bytes(server.resident_bytes)),
        ];
        put(out, format_args!("<tr><td>{}</td></tr>\n", cells.join("</td><td>")));
    }
    out.push_str("</table>\n");
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes everything");
}

/// Text that means itself in HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
#[path = "html_tests.rs"]
mod tests;
