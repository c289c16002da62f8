//! The result as text.

use std::fmt;

use crate::report::Summary;
use crate::report::curve::float;

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { mode, queues, connections, duration_s, .. } = self;
        let early = if self.interrupted { ", ended early" } else { "" };
        writeln!(
            f,
            "{mode}: {queues} queues of {}, {connections} connections, {duration_s} s measured{early}",
            self.brokers.join(", ")
        )?;
        let bytes = bytes(self.bytes_per_s);
        writeln!(f, "  rate     {:.0} msg/s, {bytes}/s", self.rate)?;
        let columns = [
            ("p50", self.p50_us),
            ("p90", self.p90_us),
            ("p99", self.p99_us),
            ("p99.9", self.p999_us),
            ("p99.99", self.p9999_us),
            ("max", self.max_us),
        ];
        write!(f, "  latency ")?;
        for (name, value) in columns {
            write!(f, " {name} {} ", value.map_or("-".to_owned(), micros))?;
        }
        writeln!(f, " ({})", self.latency)?;
        self.counts(f)?;
        for kind in &self.errors_by_code {
            writeln!(f, "  {kind}")?;
        }
        for note in &self.notes {
            writeln!(f, "  note: {note}")?;
        }
        Ok(())
    }
}

impl Summary {
    fn counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = self.errors;
        if self.mode == "produce" {
            writeln!(
                f,
                "  messages sent {}, acknowledged {}, errors {errors}",
                self.sent, self.acked
            )?;
        } else {
            writeln!(f, "  messages received {}, errors {errors}", self.received)?;
        }
        if let (Some(late), Some(max)) = (self.late_p99_us, self.late_max_us) {
            let (late, max) = (micros(late), micros(max));
            writeln!(f, "  own delay p99 {late}  max {max}, unsent {}", self.unsent)?;
        }
        if let Some(audit) = &self.audit {
            writeln!(
                f,
                "  audit    {} looked for, lost {}, twice {}, misplaced connections {}, unacknowledged but there {}",
                audit.looked_for, audit.lost, audit.twice, audit.misplaced, audit.unacknowledged
            )?;
        }
        if self.moved > 0 {
            writeln!(f, "  moved    {} times to where the queue begins or ends", self.moved)?;
        }
        if self.broken.total() > 0 {
            let b = &self.broken;
            write!(f, "  BROKEN   ")?;
            for (name, count) in [
                ("offsets not rising", b.offsets_not_rising),
                ("wrong queue", b.wrong_queue),
                ("missing", b.missing),
                ("duplicates", b.duplicates),
                ("bad checksum", b.bad_checksum),
                ("wrong size", b.wrong_size),
                ("unreadable", b.unreadable),
                ("lost", b.lost),
                ("twice", b.twice),
                ("misplaced connections", b.misplaced),
                ("altered", b.altered),
            ] {
                if count > 0 {
                    write!(f, "{name} {count}  ")?;
                }
            }
            writeln!(f)?;
        }
        if let Some(server) = &self.server {
            let cpu = server.cpu_us_per_msg.map_or("-".to_owned(), |cpu| format!("{cpu:.2} µs"));
            let memory = bytes(float(server.resident_bytes));
            writeln!(f, "  server   CPU {cpu} a message, resident {memory}")?;
        }
        match self.own_cpu_us_per_msg {
            Some(cpu) => {
                let part = self.own_cpu_part * 100.0;
                writeln!(f, "  own CPU  {cpu:.2} µs a message, {part:.0} % of its cores")
            }
            None => Ok(()),
        }
    }
}

/// A time with the unit that suits it.
pub(super) fn micros(micros: f64) -> String {
    match micros {
        m if m < 10.0 => format!("{m:.2} µs"),
        m if m < 1000.0 => format!("{m:.0} µs"),
        m if m < 1e6 => format!("{:.2} ms", m / 1e3),
        m => format!("{:.2} s", m / 1e6),
    }
}

/// A time in milliseconds with the unit that suits it.
pub(crate) fn millis(millis: f64) -> String {
    micros(millis * 1e3)
}

pub(super) fn bytes(bytes: f64) -> String {
    const KIB: f64 = 1024.0;
    match bytes {
        b if b < KIB => format!("{b:.0} B"),
        b if b < KIB * KIB => format!("{:.1} KiB", b / KIB),
        b if b < KIB * KIB * KIB => format!("{:.1} MiB", b / KIB / KIB),
        b => format!("{:.2} GiB", b / KIB / KIB / KIB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_suit_the_size() {
        assert_eq!([1.4, 47.4, 1500.0].map(micros), ["1.40 µs", "47 µs", "1.50 ms"]);
        assert_eq!(micros(2.5e6), "2.50 s");
        assert_eq!(
            (bytes(10.0), bytes(3.5 * 1048576.0)),
            ("10 B".to_owned(), "3.5 MiB".to_owned())
        );
    }
}
