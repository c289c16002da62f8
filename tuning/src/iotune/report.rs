//! The measurements, for people.

use std::fmt::Write as _;

use super::advice::{Advice, kib};
use super::grid::{FITTED, HELD_OUT};
use super::run::Measurements;
use super::stats::{LEAST_FOR_P50, LEAST_FOR_P99, Stats, too_few};
use super::writer::Method;

const NEVER_FAILS: &str = "writing to a string cannot fail";

/// All tables and the recommendation. ASCII, lines without blanks at their end.
#[must_use]
pub fn report(measured: &Measurements, advice: &Advice) -> String {
    let mut out = String::new();
    grid(&mut out, measured);
    model(&mut out, measured, advice);
    extents(&mut out, measured);
    upkeep(&mut out, measured);
    recommendation(&mut out, advice);
    out
}

fn grid(out: &mut String, measured: &Measurements) {
    out.push_str("Durable writes over blocks that were written before: microseconds, and MB/s\n\n");
    let [first, second] = Method::BOTH;
    writeln!(out, "{:>26} {first:>8}{:>30}   {second:>8}", "", "").expect(NEVER_FAILS);
    let columns = format!("{:>8} {:>8} {:>8} {:>8}", "p50", "p99", "p99.9", "MB/s");
    writeln!(out, "{:>8} {:>9} {:>6}  {columns}   {columns}", "size", "in flight", "cores")
        .expect(NEVER_FAILS);
    // One line for both methods: they lie side by side.
    for pair in measured.grid.0.chunks(2) {
        let [one, other] = pair else { continue };
        assert!(one.shape == other.shape && one.busy == other.busy, "a point has both methods");
        let cores = if one.busy { "busy" } else { "idle" };
        let (size, depth) = (format!("{} KiB", one.shape.size >> 10), one.shape.depth);
        let (one, other) = (columns_of(&one.stats), columns_of(&other.stats));
        writeln!(out, "{size:>8} {depth:>9} {cores:>6}  {one}   {other}").expect(NEVER_FAILS);
    }
}

fn columns_of(stats: &Stats) -> String {
    format!(
        "{:>8.0} {:>8.0} {:>8.0} {:>8.1}",
        stats.p50,
        stats.p99,
        stats.p999,
        stats.bytes_a_second / 1e6
    )
}

fn model(out: &mut String, measured: &Measurements, advice: &Advice) {
    let method = advice.method.0;
    writeln!(out, "\nLatency by size: {method}, one in flight, idle cores\n").expect(NEVER_FAILS);
    let (Some(median), Some(p99)) = (advice.median, advice.p99) else {
        out.push_str("  It does not grow with the size: too noisy for a model.\n");
        return;
    };
    for (name, model) in [("p50", median), ("p99", p99)] {
        writeln!(
            out,
            "  {name} = {:.1} us + {:.2} us for each 4 KiB; knee at {}",
            model.fixed,
            model.per_byte * 4096.0,
            kib(model.knee())
        )
        .expect(NEVER_FAILS);
    }
    out.push_str("\nPredicted and measured, at sizes that the model has not seen\n\n");
    writeln!(
        out,
        "{:>8}  {:>9} {:>8} {:>6}  {:>9} {:>8} {:>6}",
        "size", "p50 pred.", "measured", "ratio", "p99 pred.", "measured", "ratio"
    )
    .expect(NEVER_FAILS);
    let fitted = || FITTED.into_iter().filter_map(|size| measured.grid.at(size, 1, false, method));
    let mut few_writes = false;
    for size in HELD_OUT {
        let Some(stats) = measured.grid.at(size, 1, false, method) else { continue };
        let (p50, tail) = (median.predict(size), p99.predict(size));
        let mut ratio = |ratio: f64, least| {
            let few = too_few(fitted().chain([stats]), least).is_some();
            few_writes |= few;
            format!("{ratio:.2}{}", if few { "?" } else { "" })
        };
        let median = ratio(stats.p50 / p50, LEAST_FOR_P50);
        let p99 = ratio(stats.p99 / tail, LEAST_FOR_P99);
        writeln!(
            out,
            "{:>8}  {p50:>9.0} {:>8.0} {median:>6}  {tail:>9.0} {:>8.0} {p99:>6}",
            format!("{} KiB", size >> 10),
            stats.p50,
            stats.p99
        )
        .expect(NEVER_FAILS);
    }
    if few_writes {
        writeln!(
            out,
            "\n  ?: it, or the line, is of fewer writes than {LEAST_FOR_P50} (p50), {LEAST_FOR_P99} (p99): much of it is chance"
        )
        .expect(NEVER_FAILS);
    }
}

/// A table of latencies with a line for each name.
fn lines(out: &mut String, rows: &[(String, Stats)]) {
    let (columns, most) = (["writes", "p50", "p99", "p99.9"], "max");
    let [writes, p50, p99, p999] = columns;
    writeln!(out, "{:>24}  {writes:>8} {p50:>8} {p99:>8} {p999:>8} {most:>8}", "")
        .expect(NEVER_FAILS);
    for (name, it) in rows {
        writeln!(
            out,
            "{name:>24}  {:>8} {:>8.0} {:>8.0} {:>8.0} {:>8.0}",
            it.writes, it.p50, it.p99, it.p999, it.max
        )
        .expect(NEVER_FAILS);
    }
}

fn extents(out: &mut String, measured: &Measurements) {
    out.push_str("\nBlocks written before, and blocks only reserved: FDATASYNC, microseconds\n\n");
    let rows: Vec<_> = measured
        .extents
        .iter()
        .flat_map(|it| {
            let size = it.size >> 10;
            let written = (format!("{size} KiB, written"), it.written);
            [written, (format!("{size} KiB, reserved"), it.unwritten)]
        })
        .collect();
    lines(out, &rows);
}

fn upkeep(out: &mut String, measured: &Measurements) {
    let it = &measured.upkeep;
    out.push_str("\nSingle 4 KiB writes beside other work: FDATASYNC, microseconds\n\n");
    let rows = [("quiet", it.quiet), ("zeroing", it.zeroing), ("deleting", it.deleting)];
    lines(out, &rows.map(|(name, stats)| (name.to_owned(), stats)));
    writeln!(
        out,
        "\n  zeros: {:.0} MB/s; deleting {} MiB: {:.1} ms",
        it.zeros_a_second / 1e6,
        it.file >> 20,
        it.deletion.as_secs_f64() * 1e3
    )
    .expect(NEVER_FAILS);
}

fn recommendation(out: &mut String, advice: &Advice) {
    out.push_str("\nRecommended\n\n");
    if let Some(why) = &advice.withheld {
        writeln!(out, "  {why}\n").expect(NEVER_FAILS);
    }
    for Setting { line, why } in settings(advice) {
        match line {
            Some((key, value)) => writeln!(out, "  {key} = {value}"),
            None => writeln!(out, "  maxBatchBytes: the default"),
        }
        .expect(NEVER_FAILS);
        if let Some(why) = why {
            writeln!(out, "      {why}").expect(NEVER_FAILS);
        }
    }
    out.push('\n');
    for note in &advice.notes {
        writeln!(out, "  - {note}").expect(NEVER_FAILS);
    }
}

/// What is recommended for one key.
pub struct Setting<'a> {
    /// The key and its value; `None` where the default stays.
    pub line: Option<(&'static str, String)>,
    /// Why; `None` where one reason goes for all.
    pub why: Option<&'a str>,
}

/// What the profile sets, and what it leaves.
pub fn settings(advice: &Advice) -> [Setting<'_>; 3] {
    let (method, why_method) = &advice.method;
    let (batch, why_batch) = &advice.max_batch;
    let (in_flight, why_in_flight) = &advice.in_flight;
    // A broker has one write under way; that two would pay is worth knowing all the same.
    let in_flight = (*in_flight == 1).then(|| ("writesInFlight", in_flight.to_string()));
    let batch = batch.map(|batch| ("maxBatchBytes", format!("{}KiB", batch >> 10)));
    let method = Some(("flushMethod", method.word().to_owned()));
    [(method, why_method), (batch, why_batch), (in_flight, why_in_flight)]
        .map(|(line, why)| Setting { line, why: advice.withheld.is_none().then_some(why.as_str()) })
}

#[cfg(test)]
mod tests {
    use super::super::advice::advise;
    use super::super::samples::Disk;
    use super::*;

    #[test]
    fn every_part_is_there_and_lines_are_clean() {
        let measured = Disk::default().measurements();
        let text = report(&measured, &advise(&measured));
        for part in [
            "FDATASYNC",
            "O_DSYNC",
            "1024 KiB         4   busy",
            "p50 = 50.0 us + 4.10 us for each 4 KiB; knee at 49 KiB",
            " 512 KiB        574      574   1.00       1149     1149   1.00",
            "64 KiB, reserved",
            "deleting 256 MiB: 7.0 ms",
            "maxBatchBytes = 256KiB",
            "  - the p99 of writes is 10.0 times as long beside the zeroing of a file (1000 MB/s)",
        ] {
            assert!(text.contains(part), "no `{part}` in:\n{text}");
        }
        assert!(text.is_ascii());
        assert!(text.lines().all(|line| !line.ends_with(' ')), "{text}");
    }

    #[test]
    fn a_busy_machine_is_told_once() {
        let measured = Measurements { load: Some(1.5), ..Disk::default().measurements() };
        let text = report(&measured, &advise(&measured));
        assert_eq!(text.matches("not idle").count(), 1, "{text}");
        assert!(text.contains("maxBatchBytes: the default"), "{text}");
        assert!(text.lines().all(|line| !line.ends_with(' ')), "{text}");
    }

    #[test]
    fn ratios_of_a_few_writes_are_marked() {
        let told = |writes| {
            let measured = Disk::default().of_writes(writes);
            report(&measured, &advise(&measured))
        };
        let text = told(20);
        assert!(text.contains(" 574  1.00?") && text.contains(" 1149  1.00?\n"), "{text}");
        assert!(text.contains("?: it, or the line, is of fewer writes than 100"), "{text}");
        let text = told(LEAST_FOR_P99 - 1);
        assert!(text.contains(" 574   1.00 ") && text.contains(" 1149  1.00?\n"), "{text}");
        assert!(!told(LEAST_FOR_P99).contains('?'));
    }

    #[test]
    fn noise_is_called_noise() {
        let measured = Disk { per_byte: -0.00001, ..Disk::default() }.measurements();
        let text = report(&measured, &advise(&measured));
        assert!(text.contains("too noisy for a model"), "{text}");
        assert!(text.contains("maxBatchBytes: the default"), "{text}");
    }
}
